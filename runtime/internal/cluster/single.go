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
		a, pause, err := s.join()
		if err != nil && (!wait || err == transport.ErrClosed) || isDone(s.over) {
			return nil, s.failed(err)
		}
		if a == nil && pause == 0 {
			if c := s.usable(settled); c != nil {
				return c, nil
			}
			continue
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
	s.noteLossLocked()
	if pause := time.Until(s.next); s.failures > 0 && pause > 0 {
		return nil, pause, s.err
	}
	s.attempt = &attempt{dialed: make(chan struct{}), over: make(chan struct{})}
	s.tasks.Add(1)
	go s.connect(s.attempt, true)
	return s.attempt, 0, nil
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

// connect makes one connection and reads it until it is over or rests. A second one
// takes its place at once if the first ends unanswered, as happens when a server
// stops listening whose successor listens already.
func (s *Single) connect(a *attempt, first bool) {
	c, err := s.cfg.open(s.dialing, &trial{s, a, first})
	if err != nil {
		defer s.tasks.Done()
		s.conclude(a, err)
		return
	}
	s.mu.Lock()
	s.client.Store(c.Client)
	s.live = append(s.live, c)
	over := isDone(s.over)
	s.mu.Unlock()
	if over {
		c.End()
	}
	if first {
		// Calls that may be sent before the server's settings need not wait for them.
		close(a.dialed)
	}
	c.run()
}

// trial keeps a connection of a Single, and what is to be made of its end if the
// server never answers.
type trial struct {
	*Single
	a     *attempt
	first bool
}

// settled implements keeper. It ends the attempt: the server speaks our protocol.
func (t *trial) settled(c *connection) {
	s := t.Single
	s.mu.Lock()
	s.settledAt = time.Now()
	s.attempt, s.failures, s.err = nil, 0, nil
	close(t.a.over)
	closed := s.closed
	s.mu.Unlock()
	if closed {
		c.Retire()
	}
}

// ended implements keeper.
func (t *trial) ended(c *connection) {
	s, again := t.Single, false
	if !isDone(c.Settled()) && !isDone(s.over) {
		if again = t.first && c.Unanswered(); !again {
			s.conclude(t.a, c.Err())
		}
	}
	s.mu.Lock()
	s.live = slices.DeleteFunc(s.live, func(o *connection) bool { return o == c })
	s.noteLossLocked()
	s.mu.Unlock()
	if again {
		go s.connect(t.a, false)
		return
	}
	s.tasks.Done()
}

func isDone(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// conclude ends the attempt as failed.
func (s *Single) conclude(a *attempt, err error) {
	s.cfg.Log.Debug("cannot connect", "target", s.cfg.Endpoint, "error", err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures++
	s.next = time.Now().Add(s.cfg.Backoff.Delay(s.failures))
	s.err, s.attempt = err, nil
	a.err = err
	close(a.over)
	select {
	case <-a.dialed: // calls wait for the server's settings already
	default:
		close(a.dialed)
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
