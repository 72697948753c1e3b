package rpcx

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/transport"
)

// visit is a connection that a server serves. There is one as long as the
// connection lasts, so it holds little.
type visit struct {
	s     *Server
	c     *transport.Server
	peer  net.Addr
	info  *call.ConnInfo // for the observers; nil if there are none
	ended func(error)

	retirement *time.Timer    // nil if it is never too old
	retired    sync.WaitGroup // waits until the retirement is over that has begun
}

// serveConn has nc served, which is closed in the end. It returns when nc has
// passed the door; ended is called when nc has ended and says why: nil if one of
// the two sides closed it.
func (s *Server) serveConn(nc net.Conn, ended func(error)) {
	accepted := time.Now()
	nc, peer, err := s.arrive(nc)
	if err != nil {
		s.cfg.log.Debug("connection refused", "peer", peer.Addr, "error", err)
		ended(err)
		return
	}
	c := transport.NewServer(s.cfg.base, nc, s.transport, s.dispatch, peer)
	if err := s.enter(c, nc, peer.Addr); err != nil {
		ended(err)
		return
	}
	v := &visit{s: s, c: c, peer: peer.Addr, ended: ended}
	if len(s.cfg.observers) > 0 {
		v.info = &call.ConnInfo{Side: call.Server, Local: nc.LocalAddr(), Remote: peer.Addr, Protocol: "rpcx", Opened: time.Now()}
		for _, o := range s.cfg.observers {
			o.ConnOpened(*v.info)
		}
	}
	v.retireLater()
	c.Start(accepted, v.end)
}

// end is called when the connection has ended with err.
func (v *visit) end(err error) {
	if v.retirement != nil && !v.retirement.Stop() {
		v.retired.Wait()
	}
	if err != nil {
		v.s.cfg.log.Debug("connection ended", "peer", v.peer, "error", err)
	}
	if v.info != nil {
		for _, o := range v.s.cfg.observers {
			o.ConnClosed(*v.info, err)
		}
	}
	v.s.leave(v.c, v.peer)
	v.ended(err)
}

// enter adds a connection unless there is no room for it.
func (s *Server) enter(c *transport.Server, nc net.Conn, peer net.Addr) error {
	ip := ipOf(peer)
	s.mu.Lock()
	var reason string
	switch {
	case s.closed:
		s.mu.Unlock()
		defer context.AfterFunc(s.killed, func() { nc.Close() })()
		transport.TurnAway(nc, s.transport.Settings)
		return ErrServerClosed
	case len(s.conns) >= s.cfg.maxConns:
		reason = fmt.Sprintf("the server has %d connections, the limit is %d (option WithMaxConnections)", len(s.conns), s.cfg.maxConns)
	case s.cfg.maxPeerConns > 0 && s.perPeer[ip] >= s.cfg.maxPeerConns:
		reason = fmt.Sprintf("%v has %d connections, the limit is %d (option WithMaxConnectionsPerPeer)", ip, s.perPeer[ip], s.cfg.maxPeerConns)
	default:
		s.conns[c] = struct{}{}
		if s.cfg.maxPeerConns > 0 {
			s.perPeer[ip]++
		}
		s.mu.Unlock()
		return nil
	}
	s.mu.Unlock()
	s.cfg.log.Warn("connection refused", "peer", peer, "reason", reason)
	transport.Refuse(nc, reason)
	return errors.New("rpcx: " + reason)
}

func (s *Server) leave(c *transport.Server, peer net.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if s.cfg.maxPeerConns > 0 {
		ip := ipOf(peer)
		if s.perPeer[ip]--; s.perPeer[ip] == 0 {
			delete(s.perPeer, ip)
		}
	}
}

// ipOf returns the peer's address without port, the zero Addr if it has none.
func ipOf(peer net.Addr) netip.Addr {
	if a, ok := peer.(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// retireLater has the connection drained when it is old.
func (v *visit) retireLater() {
	if v.s.cfg.maxAge <= 0 {
		return
	}
	age := time.Duration(float64(v.s.cfg.maxAge) * (0.9 + 0.2*rand.Float64()))
	v.retired.Add(1)
	v.retirement = time.AfterFunc(age, v.retire)
}

func (v *visit) retire() {
	defer v.retired.Done()
	ctx, cancel := context.WithTimeout(context.Background(), v.s.cfg.ageGrace)
	defer cancel()
	v.c.Drain(ctx)
}
