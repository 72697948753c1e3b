package cluster

import (
	"context"
	"slices"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/transport"
)

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

// patient reports whether a caller would wait for as long as dialing may take, and
// nothing of the user's runs in between, which might panic.
func (s *Single) patient(ctx context.Context, deadline time.Time) bool {
	cfg := &s.cfg
	return ctx.Done() == nil && (deadline.IsZero() || time.Until(deadline) >= cfg.DialTimeout) &&
		cfg.Dial == nil && cfg.Secure == nil && len(cfg.Observers) == 0
}

// join returns the attempt in progress, starting one if it is time, or how long
// it is until then and why the last one failed. A patient caller dials itself:
// that spares a goroutine growing its stack, and waking the caller.
func (s *Single) join(patient bool) (*attempt, time.Duration, error) {
	a, begun, pause, err := s.joinOrBegin()
	switch {
	case !begun:
	case !patient:
		go s.connect(a, true)
	default:
		if c := s.dial(a, true); c != nil {
			go c.run()
		}
	}
	return a, pause, err
}

// joinOrBegin returns the attempt in progress, which may be one that begins and that
// the caller sees to, or how long it is until there may be one.
func (s *Single) joinOrBegin() (a *attempt, begun bool, pause time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, false, 0, transport.ErrClosed
	}
	if s.attempt != nil {
		return s.attempt, false, 0, nil
	}
	if c := s.client.Load(); c != nil && c.Usable() {
		return nil, false, 0, nil
	}
	s.noteLossLocked()
	if pause := time.Until(s.next); s.failures > 0 && pause > 0 {
		return nil, false, pause, s.err
	}
	s.attempt = &attempt{dialed: make(chan struct{}), over: make(chan struct{})}
	s.tasks.Add(1)
	return s.attempt, true, 0, nil
}

// connect makes one connection and reads it until it is over or rests. A second one
// takes its place at once if the first ends unanswered, as happens when a server
// stops listening whose successor listens already.
func (s *Single) connect(a *attempt, first bool) {
	if c := s.dial(a, first); c != nil {
		c.run()
	}
}

// dial makes a connection, which is to be run, or concludes the attempt.
func (s *Single) dial(a *attempt, first bool) *connection {
	c, err := s.cfg.open(s.dialing, &trial{s, a, first})
	if err != nil {
		defer s.tasks.Done()
		s.conclude(a, err)
		return nil
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
	return c
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

// conclude ends the attempt as failed.
func (s *Single) conclude(a *attempt, err error) {
	defer s.cfg.Log.Debug("cannot connect", "target", s.cfg.Endpoint, "error", err)
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
