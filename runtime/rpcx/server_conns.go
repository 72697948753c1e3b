package rpcx

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/transport"
)

func (s *Server) serveConn(nc net.Conn) error {
	accepted := time.Now()
	nc, peer, err := s.arrive(nc)
	if err != nil {
		s.cfg.log.Debug("connection refused", "peer", peer.Addr, "error", err)
		return err
	}
	c := transport.NewServer(s.cfg.base, nc, s.transport, s.dispatch, peer)
	c.Accepted(accepted)
	if err := s.enter(c, nc, peer.Addr); err != nil {
		return err
	}
	defer s.leave(c, peer.Addr)
	info := call.ConnInfo{Side: call.Server, Local: nc.LocalAddr(), Remote: peer.Addr, Protocol: "rpcx", Opened: time.Now()}
	for _, o := range s.cfg.observers {
		o.ConnOpened(info)
	}
	retire := s.retireLater(c)
	err = c.Serve()
	retire()
	if err != nil {
		s.cfg.log.Debug("connection ended", "peer", peer.Addr, "error", err)
	}
	for _, o := range s.cfg.observers {
		o.ConnClosed(info, err)
	}
	return err
}

// enter adds a connection unless there is no room for it.
func (s *Server) enter(c *transport.Server, nc net.Conn, peer net.Addr) error {
	ip := ipOf(peer)
	s.mu.Lock()
	var reason string
	switch {
	case s.closed:
		s.mu.Unlock()
		nc.Close()
		return ErrServerClosed
	case len(s.conns) >= s.cfg.maxConns:
		reason = fmt.Sprintf("the server has %d connections, as many as it may (option WithMaxConnections)", len(s.conns))
	case s.cfg.maxPeerConns > 0 && s.perPeer[ip] >= s.cfg.maxPeerConns:
		reason = fmt.Sprintf("%v has %d connections, as many as it may (option WithMaxConnectionsPerPeer)", ip, s.perPeer[ip])
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

// retireLater has c drained when it is old. The returned function takes that
// back, or waits until it is done.
func (s *Server) retireLater(c *transport.Server) (stop func()) {
	if s.cfg.maxAge <= 0 {
		return func() {}
	}
	done := make(chan struct{})
	age := time.Duration(float64(s.cfg.maxAge) * (0.9 + 0.2*rand.Float64()))
	timer := time.AfterFunc(age, func() {
		defer close(done)
		ctx, cancel := context.WithTimeout(context.Background(), s.cfg.ageGrace)
		defer cancel()
		c.Drain(ctx)
	})
	return func() {
		if !timer.Stop() {
			<-done
		}
	}
}
