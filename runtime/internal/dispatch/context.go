package dispatch

import (
	"context"
	"sync"
	"time"
)

// lazyContext is the part of a call's context that can be cancelled. It costs
// neither a channel nor a timer until someone asks for Done; until then Err
// compares the clock with the deadline.
//
// A call's context is made for the call and never used again, so that a
// goroutine which outlives the handler and still holds it sees a cancelled
// context and not somebody else's.
type lazyContext struct {
	deadline time.Time // zero if none

	mu    sync.Mutex
	err   error
	done  chan struct{}
	timer *time.Timer
	after []*afterFunc
}

type afterFunc struct{ f func() }

var closedChan = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Deadline returns when the caller stops waiting, if it said so.
func (c *lazyContext) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

// Done returns a channel that is closed when the call is cancelled, its
// deadline passes or its handler has returned.
func (c *lazyContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		if c.err != nil {
			c.done = closedChan
		} else {
			c.done = make(chan struct{})
			c.armLocked()
		}
	}
	return c.done
}

// Err returns why the context is done, or nil.
func (c *lazyContext) Err() error {
	c.mu.Lock()
	err := c.err
	c.mu.Unlock()
	if err == nil && !c.deadline.IsZero() && !time.Now().Before(c.deadline) {
		c.cancel(context.DeadlineExceeded)
		return context.DeadlineExceeded
	}
	return err
}

// AfterFunc has f run on a goroutine of its own once the context is done, so
// that contexts derived from this one need no goroutine to watch it. The
// returned function takes f back and reports whether it did.
func (c *lazyContext) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		go f()
		return func() bool { return false }
	}
	c.armLocked()
	a := &afterFunc{f}
	c.after = append(c.after, a)
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for i, x := range c.after {
			if x == a {
				c.after = append(c.after[:i], c.after[i+1:]...)
				return true
			}
		}
		return false
	}
}

// armLocked starts the timer of the deadline if there is one.
func (c *lazyContext) armLocked() {
	if c.timer == nil && !c.deadline.IsZero() {
		c.timer = time.AfterFunc(time.Until(c.deadline), func() { c.cancel(context.DeadlineExceeded) })
	}
}

// cancel makes the context done with err, once, and reports whether it did.
func (c *lazyContext) cancel(err error) bool {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return false
	}
	c.err = err
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	if c.done != nil {
		close(c.done)
	}
	after := c.after
	c.after = nil
	c.mu.Unlock()
	for _, a := range after {
		go a.f()
	}
	return true
}
