package rpcx

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/proxyproto"
	"github.com/rpcx-go/rpcx/runtime/internal/transport"
)

// door is what a server's connections pass before the protocol begins: the
// PROXY header and the TLS handshake. Each passes it on its own goroutine.
type door struct {
	base    context.Context
	timeout time.Duration
	proxies *proxies
	secure  secureFunc // nil: plain
	// closed is done when nobody may pass any more.
	closed context.Context
	close  context.CancelFunc
}

// newDoor returns the door of a server with the given options. It fails if the
// server cannot be made secure.
func newDoor(cfg *serverConfig) (*door, error) {
	d := &door{base: cfg.base, timeout: cfg.handshake, proxies: cfg.proxies}
	d.closed, d.close = context.WithCancel(context.Background())
	if cfg.secure == nil {
		return d, nil
	}
	var err error
	d.secure, err = cfg.secure(call.Server, &cfg.common)
	return d, err
}

// arrive has nc pass the door, if there is room behind it.
func (s *Server) arrive(nc net.Conn) (net.Conn, call.Peer, error) {
	if s.door.open(nc) {
		return s.door.pass(nc)
	}
	s.mu.Lock()
	n := len(s.conns) + s.arriving
	full := n >= s.cfg.maxConns
	if !full {
		s.arriving++
	}
	s.mu.Unlock()
	if full {
		nc.Close()
		return nil, call.Peer{Addr: nc.RemoteAddr()}, fmt.Errorf("rpcx: the server has %d connections, the limit is %d (option WithMaxConnections)", n, s.cfg.maxConns)
	}
	defer func() {
		s.mu.Lock()
		s.arriving--
		s.mu.Unlock()
	}()
	return s.door.pass(nc)
}

// open reports whether there is nothing to be done at the door.
func (d *door) open(nc net.Conn) bool {
	_, secured := nc.(handshaker)
	return d.secure == nil && !d.announced(nc) && !secured
}

// announced reports whether nc begins with a PROXY header.
func (d *door) announced(nc net.Conn) bool {
	return d.proxies != nil && d.proxies.trusts(nc.RemoteAddr())
}

// pass returns what the protocol runs on and who the peer is, as far as that is
// known if it fails. It closes nc then.
func (d *door) pass(nc net.Conn) (net.Conn, call.Peer, error) {
	_, unix := nc.RemoteAddr().(*net.UnixAddr)
	peer := call.Peer{Addr: nc.RemoteAddr(), Protocol: "rpcx", Secure: unix}
	if d.open(nc) {
		return nc, peer, nil
	}
	raw := nc
	defer context.AfterFunc(d.closed, func() { raw.Close() })()
	if d.timeout > 0 {
		nc.SetDeadline(time.Now().Add(d.timeout))
	}
	if d.announced(nc) {
		header, err := proxyproto.Read(nc)
		if err != nil {
			nc.Close()
			return nil, peer, fmt.Errorf("from a proxy: %w", err)
		}
		if header.Source != nil {
			peer.Addr, peer.Secure = header.Source, false
		}
	}
	if d.secure != nil {
		var err error
		if nc, err = d.secure(d.base, nc, ""); err != nil {
			return nil, peer, err
		}
	} else if secured, ok := nc.(handshaker); ok {
		if err := secured.HandshakeContext(d.base); err != nil {
			nc.Close()
			return nil, peer, err
		}
	}
	nc.SetDeadline(time.Time{})
	if peer.TLS = transport.TLSState(nc); peer.TLS != nil {
		peer.Secure = true
	}
	return nc, peer, nil
}

// handshaker is a connection that a listener of the user's has made secure, such
// as that of tls.NewListener.
type handshaker interface {
	HandshakeContext(ctx context.Context) error
}
