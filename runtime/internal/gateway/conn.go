package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/fallback"
	"github.com/rpcx-go/rpcx/runtime/internal/steady"
)

// Serve implements fallback.Fallback.
func (g *Gateway) Serve(c *fallback.Conn) {
	protocol, nc, err := g.begin(c)
	if err != nil {
		c.Close()
		c.Ended(err)
		return
	}
	c.Begun(protocol)
	g.conns.Store(nc, c)
	g.run()
	if !g.doorway.enter(nc) {
		g.conns.Delete(nc)
		nc.Close()
		c.Ended(nil)
	}
}

var errNotHTTP = errors.New("it does not begin like HTTP")

// begin finds out which HTTP c speaks, and returns what net/http is to be given:
// of TLS the real connection, as it asks that for its state.
func (g *Gateway) begin(c *fallback.Conn) (string, net.Conn, error) {
	if c.Peer.TLS != nil {
		protocol := c.Peer.TLS.NegotiatedProtocol
		if protocol == "" {
			protocol = http1.String()
		}
		if secured, ok := c.Conn.(*tls.Conn); ok {
			return protocol, secured, nil
		}
		return protocol, g.plain(c), nil // made secure by a listener of the user's
	}
	stop := context.AfterFunc(g.closing, func() { c.Close() })
	defer stop()
	if t := g.cfg.HandshakeTimeout; t > 0 {
		if err := c.SetReadDeadline(c.Accepted.Add(t)); err != nil {
			return "", nil, err
		}
	}
	v := sniff(c.First)
	for v == needMore {
		var b [sniffLength]byte
		n, err := c.Read(b[:sniffLength-len(c.First)])
		if c.First = append(c.First, b[:n]...); n == 0 && err != nil {
			return "", nil, err
		}
		v = sniff(c.First)
	}
	if v == notHTTP {
		return "", nil, errNotHTTP
	}
	return v.String(), g.plain(c), c.SetReadDeadline(time.Time{})
}

func (g *Gateway) plain(c *fallback.Conn) net.Conn {
	out := steady.New(c.Conn)
	out.SetStall(g.cfg.WriteStall)
	first := c.First
	c.First = nil
	return &begunConn{out, first}
}

// begunConn is a connection of which something has been read.
type begunConn struct {
	*steady.Conn
	first []byte // to be read again
}

func (c *begunConn) Read(b []byte) (int, error) {
	if len(c.first) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.first)
	if c.first = c.first[n:]; len(c.first) == 0 {
		c.first = nil
	}
	return n, nil
}

// CloseWrite ends the sending direction, as net/http does before it closes.
func (c *begunConn) CloseWrite() error {
	if half, ok := c.Conn.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// doorway is the listener of which net/http accepts the connections that are
// given to it.
type doorway struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newDoorway() *doorway {
	return &doorway{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// enter reports whether nc has been accepted; if not, the doorway is closed.
func (d *doorway) enter(nc net.Conn) bool {
	select {
	case d.conns <- nc:
		return true
	case <-d.closed:
		return false
	}
}

// Accept implements net.Listener.
func (d *doorway) Accept() (net.Conn, error) {
	select {
	case nc := <-d.conns:
		return nc, nil
	case <-d.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (d *doorway) Close() error {
	d.once.Do(func() { close(d.closed) })
	return nil
}

// Addr implements net.Listener.
func (d *doorway) Addr() net.Addr { return doorwayAddr{} }

type doorwayAddr struct{}

func (doorwayAddr) Network() string { return "rpcx" }
func (doorwayAddr) String() string  { return "the connections that speak HTTP" }
