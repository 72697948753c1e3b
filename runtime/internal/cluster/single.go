package cluster

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/transport"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// Single is a Line with one connection, made when the first call wants it and
// again when a call comes after it was lost.
type Single struct {
	cfg    Config
	client atomic.Pointer[transport.Client]
	tasks  sync.WaitGroup
	over   chan struct{} // closed when no call goes on any more
	// dialing is done when no connection is made any more.
	dialing context.Context
	noDial  context.CancelFunc

	mu        sync.Mutex
	attempt   *attempt      // in progress, or nil
	live      []*connection // those that have not ended
	failures  int           // in a row
	next      time.Time
	err       error             // of the last attempt
	lost      *transport.Client // the last one that was found lost
	settledAt time.Time         // when the server of the last connection had answered
	brief     int               // how many connections in a row were dismissed at once
	closed    bool
}

// NewSingle returns a line that has not connected yet.
func NewSingle(cfg Config) *Single {
	s := &Single{cfg: cfg, over: make(chan struct{})}
	s.dialing, s.noDial = context.WithCancel(context.Background())
	return s
}

// Take implements Line: the server has said on the connection what it accepts.
func (s *Single) Take() Client {
	if c := s.usable(true); c != nil {
		return c
	}
	return nil
}

// usable returns the connection if calls may begin on it and, if settled is set,
// the server has answered, or nil.
func (s *Single) usable(settled bool) *transport.Client {
	if c := s.client.Load(); c != nil && c.Usable() && (!settled || isDone(c.Settled())) {
		return c
	}
	return nil
}

// Failing implements Line.
func (s *Single) Failing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noteLossLocked()
	return s.failures > 0
}

// resting reports whether it is not yet time for the next attempt.
func (s *Single) resting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noteLossLocked()
	return s.attempt == nil && s.failures > 0 && time.Until(s.next) > 0
}

// noteLossLocked has the next attempt wait if the connection was lost, or the server
// is about to go and others take its calls: it has many clients. A server that takes
// connections and at once, without a call answered, asks for no calls on them, again
// and again, is one that fails.
func (s *Single) noteLossLocked() {
	c := s.client.Load()
	if c == nil || c == s.lost || c.Usable() || s.attempt != nil {
		return
	}
	s.lost = c
	if s.brief++; !c.Dismissed() || c.Served() || time.Since(s.settledAt) >= s.cfg.Backoff.Base {
		s.brief = 0
	}
	switch {
	case s.failures > 0:
	case s.brief > 1:
		s.failures = s.brief - 1
		s.next = time.Now().Add(s.cfg.Backoff.Delay(s.failures))
		if s.brief > mayBeBrief {
			s.err = errNotKept
		}
	case c.Draining() && (!c.Dismissed() || s.cfg.Others == nil || !s.cfg.Others()):
		// The next call connects again.
	default:
		s.failures = 1
		s.next = time.Now().Add(s.cfg.Backoff.AfterLoss())
	}
}

// mayBeBrief is how many connections in a row may end at once until calls that do
// not wait fail.
const mayBeBrief = 20

var errNotKept = errors.New("the server ends connections as soon as they are made")

// Pick implements Line. The server may not have answered yet.
func (s *Single) Pick(ctx context.Context, deadline time.Time, wait bool) (Client, *status.Error) {
	return s.pick(ctx, deadline, wait, false)
}

// Connect implements connecter.
func (s *Single) Connect(ctx context.Context, deadline time.Time, wait bool) (Client, *status.Error) {
	return s.pick(ctx, deadline, wait, true)
}

func (s *Single) pick(ctx context.Context, deadline time.Time, wait, settled bool) (Client, *status.Error) {
	if c := s.usable(settled); c != nil {
		return c, nil
	}
	var late <-chan time.Time
	if !deadline.IsZero() {
		t := time.NewTimer(time.Until(deadline))
		defer t.Stop()
		late = t.C
	}
	for {
		a, pause, err := s.join(s.patient(ctx, deadline))
		if err != nil && (!wait || err == transport.ErrClosed) || isDone(s.over) {
			return nil, s.failed(err)
		}
		if a == nil && pause == 0 {
			if c := s.usable(settled); c != nil {
				return c, nil
			}
			continue
		}
		if c := s.usable(settled); c != nil { // it was this caller that dialed
			return c, nil
		}
		if err := s.await(ctx, late, a, pause, settled); err != nil {
			return nil, err
		}
		if a == nil {
			continue
		}
		if err := a.failed(); err != nil && !wait {
			return nil, s.failed(err)
		}
		if c := s.usable(settled); c != nil {
			return c, nil
		}
	}
}

func (s *Single) await(ctx context.Context, late <-chan time.Time, a *attempt, pause time.Duration, settled bool) *status.Error {
	var done <-chan struct{}
	var retry <-chan time.Time
	if a != nil {
		done = a.dialed
		if settled || isDone(a.dialed) { // in which case the connection is lost already
			done = a.over
		}
	} else {
		t := time.NewTimer(pause)
		defer t.Stop()
		retry = t.C
	}
	select {
	case <-done:
	case <-retry:
	case <-s.over:
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
	return s.cfg.Expired(err, last)
}

func (s *Single) failed(err error) *status.Error { return Unavailable(err) }

func isDone(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Done implements Line.
func (s *Single) Done(Client) {}

// Retire implements Line.
func (s *Single) Retire() {
	for _, c := range s.stop(false) {
		if isDone(c.Settled()) { // else when it is
			c.Retire()
		}
	}
	s.noDial()
	s.tasks.Wait()
}

// Close implements Line.
func (s *Single) Close() error {
	each(s.stop(true), func(c *connection) { c.End() })
	s.noDial()
	s.tasks.Wait()
	return nil
}

// stop has no connection made any more and returns those that are left. With over
// no call goes on either.
func (s *Single) stop(over bool) []*connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if over && !isDone(s.over) {
		close(s.over)
	}
	return slices.Clone(s.live)
}
