package rpcx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/fallback"
	"github.com/rpcx-go/rpcx/runtime/internal/transport"
)

// visit is a connection that a server serves. There is one as long as the
// connection lasts, so it holds little. It is the owner of native connections.
type visit struct {
	s     *Server
	c     *transport.Server // nil if it was known from the start to speak something else
	other atomic.Bool       // it speaks something else
	old   atomic.Bool       // the peer should call no more on it
	nc    net.Conn
	peer  *call.Peer
	info  *call.ConnInfo // for the observers; nil if there are none
	over  chan<- error   // receives why the connection has ended; may be nil

	accepted time.Duration // since the server was made
	age      age
}

// serveConn has nc served, which is closed in the end. It returns when nc has
// ended or come to rest. ended, unless it is nil, receives why nc has ended: nil if
// one of the two sides closed it. A handler may end the goroutine.
func (s *Server) serveConn(nc net.Conn, ended chan<- error) {
	accepted := time.Now()
	v, err := s.admit(nc, accepted)
	if err != nil {
		s.served(ended, err)
		return
	}
	v.over = ended
	if v.c == nil {
		v.divert(nil)
		return
	}
	v.c.Run(accepted, v)
}

// admit has nc pass the door and enter. It closes nc if it fails.
func (s *Server) admit(nc net.Conn, accepted time.Time) (*visit, error) {
	nc, peer, err := s.arrive(nc)
	if err != nil {
		s.cfg.log.Debug("connection refused", "peer", peer.Addr, "error", err)
		return nil, err
	}
	v := &visit{s: s, accepted: s.aging.at(accepted), nc: nc, peer: &peer}
	if s.fallback == nil || peer.TLS == nil || peer.TLS.NegotiatedProtocol == alpn {
		v.c = transport.NewServer(s.cfg.base, nc, s.transport, s.dispatch, v.peer)
	}
	if err := s.enter(v); err != nil {
		return nil, err
	}
	if len(s.cfg.observers) > 0 {
		v.info = &call.ConnInfo{Side: call.Server, Local: nc.LocalAddr(), Remote: peer.Addr}
	}
	return v, nil
}

// served says that a connection has ended, and why, which has been logged.
func (s *Server) served(ended chan<- error, err error) {
	if ended != nil {
		ended <- err
	}
	s.serving.Done()
}

// Begun implements transport.Owner.
func (v *visit) Begun() { v.opened("rpcx") }

// opened is called when it is known what the connection speaks.
func (v *visit) opened(protocol string) {
	if v.info == nil {
		return
	}
	v.info.Protocol, v.info.Opened = protocol, time.Now()
	for _, o := range v.s.cfg.observers {
		o.ConnOpened(*v.info)
	}
}

// Divert implements transport.Owner. On TLS it has been agreed on what is spoken.
func (v *visit) Divert(first []byte) bool {
	if v.s.fallback == nil || v.peer.TLS != nil {
		return false
	}
	v.divert(first)
	return true
}

// divert has the connection served by the fallback.
func (v *visit) divert(first []byte) {
	s := v.s
	v.other.Store(true)
	s.fallback.Serve(&fallback.Conn{Conn: v.nc, First: first, Peer: *v.peer, Accepted: s.aging.begun.Add(v.accepted), Retired: &v.old, Begun: v.opened, Ended: v.Ended})
}

// Ended implements transport.Owner.
func (v *visit) Ended(err error) {
	v.s.settleDown(v)
	if err != nil {
		v.s.cfg.log.Debug("connection ended", "peer", v.peer.Addr, "error", err)
	}
	if v.info != nil && v.info.Protocol != "" {
		for _, o := range v.s.cfg.observers {
			o.ConnClosed(*v.info, err)
		}
	}
	v.s.leave(v)
	v.s.served(v.over, err)
}

// enter adds a connection unless there is no room for it.
func (s *Server) enter(v *visit) error {
	ip := ipOf(v.peer.Addr)
	s.mu.Lock()
	var reason string
	switch {
	case s.closed:
		s.mu.Unlock()
		defer context.AfterFunc(s.killed, func() { v.nc.Close() })()
		if v.c == nil {
			v.nc.Close()
		} else {
			transport.TurnAway(v.nc, s.transport.Settings)
		}
		return ErrServerClosed
	case len(s.conns) >= s.cfg.maxConns:
		reason = fmt.Sprintf("the server has %d connections, the limit is %d (option WithMaxConnections)", len(s.conns), s.cfg.maxConns)
	case s.cfg.maxPeerConns > 0 && s.perPeer[ip] >= s.cfg.maxPeerConns:
		reason = fmt.Sprintf("%v has %d connections, the limit is %d (option WithMaxConnectionsPerPeer)", ip, s.perPeer[ip], s.cfg.maxPeerConns)
	default:
		s.conns[v] = struct{}{}
		s.ageLocked(v)
		if s.cfg.maxPeerConns > 0 {
			s.perPeer[ip]++
		}
		s.mu.Unlock()
		return nil
	}
	s.mu.Unlock()
	s.cfg.log.Warn("connection refused", "peer", v.peer.Addr, "reason", reason)
	if v.c == nil {
		v.nc.Close()
	} else {
		transport.Refuse(v.nc, reason)
	}
	return errors.New("rpcx: " + reason)
}

func (s *Server) leave(v *visit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, v)
	if s.cfg.maxPeerConns > 0 {
		ip := ipOf(v.peer.Addr)
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
