// Package cluster chooses the connection that a call goes over, and keeps
// connections: resolver → router → balancer → connections.
package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/transport"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// Cluster chooses connections for calls. Its methods may be called concurrently.
type Cluster interface {
	// Pick returns a connection for a call. It waits for one that is being made
	// until ctx is done or deadline, if there is one, passes. While the last
	// attempt to connect has failed it fails at once, unless wait is set.
	Pick(ctx context.Context, deadline time.Time, wait bool) (*transport.Client, *status.Error)
	// Close closes all connections.
	Close() error
}

// DialFunc opens a connection to addr.
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// Config is what a Single is made from.
type Config struct {
	Endpoint address.Endpoint
	Dial     DialFunc
	// DialTimeout bounds each attempt to connect.
	DialTimeout time.Duration
	Backoff     Backoff
	Transport   *transport.Config
	Observers   []call.Observer
	Log         *slog.Logger
}

// Single is a cluster of one endpoint with one connection, made when the first
// call wants it and again when a call comes after it was lost.
type Single struct {
	cfg    Config
	client atomic.Pointer[transport.Client]
	ctx    context.Context // done when closed
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	mu       sync.Mutex
	attempt  *attempt // in progress, or nil
	failures int      // in a row
	next     time.Time
	err      error // of the last attempt
	closed   bool
}

// attempt is one attempt to connect.
type attempt struct {
	dialed chan struct{} // closed when there is a connection, or it has failed
	over   chan struct{} // closed when the server's settings are there, or it has failed
	err    error         // set before over is closed
}

// failed returns why the attempt failed, or nil if it has not.
func (a *attempt) failed() error {
	select {
	case <-a.over:
		return a.err
	default:
		return nil
	}
}

// NewSingle returns a cluster that has not connected yet.
func NewSingle(cfg Config) *Single {
	s := &Single{cfg: cfg}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Pick implements Cluster.
func (s *Single) Pick(ctx context.Context, deadline time.Time, wait bool) (*transport.Client, *status.Error) {
	if c := s.client.Load(); c != nil && c.Usable() {
		return c, nil
	}
	var late <-chan time.Time
	if !deadline.IsZero() {
		t := time.NewTimer(time.Until(deadline))
		defer t.Stop()
		late = t.C
	}
	for {
		a, pause, err := s.join()
		if err != nil && !wait || s.ctx.Err() != nil {
			return nil, s.failed(err)
		}
		if a == nil && pause == 0 {
			if c := s.client.Load(); c != nil && c.Usable() {
				return c, nil
			}
			continue
		}
		if err := s.await(ctx, late, a, pause); err != nil {
			return nil, err
		}
		if a == nil {
			continue
		}
		if err := a.failed(); err != nil && !wait {
			return nil, s.failed(err)
		}
		if c := s.client.Load(); c != nil && c.Usable() {
			return c, nil
		}
	}
}

// join returns the attempt in progress, starting one if it is time, or how long
// it is until then and why the last one failed.
func (s *Single) join() (a *attempt, pause time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, 0, transport.ErrClosed
	}
	if s.attempt != nil {
		return s.attempt, 0, nil
	}
	if c := s.client.Load(); c != nil && c.Usable() {
		return nil, 0, nil
	}
	if pause := time.Until(s.next); s.failures > 0 && pause > 0 {
		return nil, pause, s.err
	}
	s.attempt = &attempt{dialed: make(chan struct{}), over: make(chan struct{})}
	s.tasks.Add(1)
	go s.connect(s.attempt)
	return s.attempt, 0, nil
}

func (s *Single) await(ctx context.Context, late <-chan time.Time, a *attempt, pause time.Duration) *status.Error {
	var done <-chan struct{}
	var retry <-chan time.Time
	if a != nil {
		done = a.dialed
		select {
		case <-done: // and the connection is lost already
			done = a.over
		default:
		}
	} else {
		t := time.NewTimer(pause)
		defer t.Stop()
		retry = t.C
	}
	select {
	case <-done:
	case <-retry:
	case <-s.ctx.Done():
	case <-late:
		return s.expired(context.DeadlineExceeded)
	case <-ctx.Done():
		return s.expired(ctx.Err())
	}
	return nil
}

func (s *Single) expired(err error) *status.Error {
	s.mu.Lock()
	last := s.err
	s.mu.Unlock()
	e := status.FromError(err)
	msg := "no connection to " + s.cfg.Endpoint.String() + " in time"
	if last != nil {
		msg += ": " + last.Error()
	}
	e = status.New(e.Code(), msg).WithCause(err).WithNotRun()
	if e.Code() == status.DeadlineExceeded {
		e = e.WithPhase(status.PhaseDial)
	}
	return e
}

func (s *Single) failed(err error) *status.Error {
	if err == nil {
		err = transport.ErrClosed
	}
	return status.New(status.Unavailable, err.Error()).WithCause(err).WithNotRun()
}

// connect makes one connection and tends it until it is over.
func (s *Single) connect(a *attempt) {
	defer s.tasks.Done()
	e := s.cfg.Endpoint
	ctx, cancel := context.WithTimeout(s.ctx, s.cfg.DialTimeout)
	nc, err := s.cfg.Dial(ctx, e.Network, e.Addr)
	cancel()
	if err != nil {
		s.conclude(a, fmt.Errorf("dial %s: %w", e, err))
		return
	}
	peer := call.Peer{Addr: nc.RemoteAddr(), Protocol: "rpcx", Secure: e.Network == "unix"}
	c := transport.NewClient(nc, s.cfg.Transport, peer)
	info := call.ConnInfo{Side: call.Client, Local: nc.LocalAddr(), Remote: nc.RemoteAddr(), Protocol: "rpcx", Opened: time.Now()}
	for _, o := range s.cfg.Observers {
		o.ConnOpened(info)
	}
	s.mu.Lock()
	s.client.Store(c)
	s.mu.Unlock()
	// Calls that may be sent before the server's settings need not wait for them.
	close(a.dialed)
	select {
	case <-c.Settled():
		s.settled(a)
		select {
		case <-c.Dead():
		case <-s.ctx.Done():
		}
	case <-c.Dead():
		s.conclude(a, c.Err())
	case <-s.ctx.Done():
	}
	c.Close()
	if s.ctx.Err() == nil {
		s.cfg.Log.Debug("connection lost", "peer", peer.Addr, "error", c.Err())
	}
	for _, o := range s.cfg.Observers {
		o.ConnClosed(info, s.lostBy(c))
	}
}

func (s *Single) lostBy(c *transport.Client) error {
	if s.ctx.Err() != nil {
		return nil
	}
	return c.Err()
}

// settled ends the attempt: the server speaks our protocol.
func (s *Single) settled(a *attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempt, s.failures, s.err = nil, 0, nil
	close(a.over)
}

// conclude ends the attempt as failed.
func (s *Single) conclude(a *attempt, err error) {
	s.cfg.Log.Debug("cannot connect", "target", s.cfg.Endpoint, "error", err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures++
	s.next = time.Now().Add(s.cfg.Backoff.delay(s.failures))
	s.err, s.attempt = err, nil
	a.err = err
	close(a.over)
	select {
	case <-a.dialed: // calls wait for the server's settings already
	default:
		close(a.dialed)
	}
}

// Close implements Cluster.
func (s *Single) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.tasks.Wait()
	return nil
}
