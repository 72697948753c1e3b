package rpcx

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
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
	over  func(error)

	accepted   time.Time
	retirement *time.Timer    // nil if it is never too old
	retired    sync.WaitGroup // waits until the retirement is over that has begun
}

// serveConn has nc served, which is closed in the end. It returns when nc has
// passed the door; ended is called when nc has ended and says why: nil if one of
// the two sides closed it.
func (s *Server) serveConn(nc net.Conn, ended func(error)) {
	v := &visit{s: s, accepted: time.Now(), over: ended}
	nc, peer, err := s.arrive(nc)
	if err != nil {
		s.cfg.log.Debug("connection refused", "peer", peer.Addr, "error", err)
		ended(err)
		return
	}
	v.nc, v.peer = nc, &peer
	native := s.fallback == nil || peer.TLS == nil || peer.TLS.NegotiatedProtocol == alpn
	if native {
		v.c = transport.NewServer(s.cfg.base, nc, s.transport, s.dispatch, peer)
	}
	if err := s.enter(v); err != nil {
		ended(err)
		return
	}
	if len(s.cfg.observers) > 0 {
		v.info = &call.ConnInfo{Side: call.Server, Local: nc.LocalAddr(), Remote: peer.Addr}
	}
	v.retireLater()
	if native {
		v.c.Start(v.accepted, v)
		return
	}
	v.divert(nil)
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
	s.mu.Lock()
	delete(s.conns, v.c)
	s.mu.Unlock()
	s.fallback.Serve(&fallback.Conn{Conn: v.nc, First: first, Peer: *v.peer, Accepted: v.accepted, Retired: &v.old, Begun: v.opened, Ended: v.Ended})
}

// Ended implements transport.Owner.
func (v *visit) Ended(err error) {
	if v.retirement != nil && !v.retirement.Stop() {
		v.retired.Wait()
	}
	if err != nil {
		v.s.cfg.log.Debug("connection ended", "peer", v.peer.Addr, "error", err)
	}
	if v.info != nil && v.info.Protocol != "" {
		for _, o := range v.s.cfg.observers {
			o.ConnClosed(*v.info, err)
		}
	}
	v.s.leave(v)
	v.over(err)
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
	case s.visits >= s.cfg.maxConns:
		reason = fmt.Sprintf("the server has %d connections, the limit is %d (option WithMaxConnections)", s.visits, s.cfg.maxConns)
	case s.cfg.maxPeerConns > 0 && s.perPeer[ip] >= s.cfg.maxPeerConns:
		reason = fmt.Sprintf("%v has %d connections, the limit is %d (option WithMaxConnectionsPerPeer)", ip, s.perPeer[ip], s.cfg.maxPeerConns)
	default:
		s.visits++
		if v.c != nil {
			s.conns[v.c] = struct{}{}
		}
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
	s.visits--
	delete(s.conns, v.c)
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
	v.old.Store(true)
	if v.c == nil || v.other.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), v.s.cfg.ageGrace)
	defer cancel()
	v.c.Drain(ctx)
}
