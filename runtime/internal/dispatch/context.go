package dispatch

import (
	"context"
	"slices"
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
	origin  *Origin
	start   time.Duration // since origin.Since
	timeout time.Duration // from start on; zero if there is no deadline

	mu    sync.Mutex
	watch *watch // nil until somebody wants to be told
	end   cause
}

// cause is why a context is done; the zero value says that it is not.
type cause uint8

const (
	canceled cause = iota + 1
	expired
)

// err returns the error of a context that is done for this reason, or nil.
func (c cause) err() error {
	switch c {
	case canceled:
		return context.Canceled
	case expired:
		return context.DeadlineExceeded
	}
	return nil
}

// watch is what tells others that a context is done.
type watch struct {
	done  chan struct{} // nil until somebody asks for it
	timer *time.Timer   // nil if there is no deadline
	after []*afterFunc
}

type afterFunc struct{ f func() }

var closedChan = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Deadline returns when the caller stops waiting, if it said so.
func (c *lazyContext) Deadline() (time.Time, bool) {
	if c.timeout <= 0 {
		return time.Time{}, false
	}
	return c.origin.Since.Add(c.start + c.timeout), true
}

// late reports whether there is a deadline and it has passed.
func (c *lazyContext) late() bool { return c.timeout > 0 && c.age() >= c.timeout }

// age returns how long ago the call arrived.
func (c *lazyContext) age() time.Duration { return time.Since(c.origin.Since) - c.start }

// Done returns a channel that is closed when the call is cancelled, its
// deadline passes or its handler has returned.
func (c *lazyContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end != 0 && (c.watch == nil || c.watch.done == nil) {
		return closedChan
	}
	w := c.watchLocked()
	if w.done == nil {
		w.done = make(chan struct{})
	}
	return w.done
}

// Err returns why the context is done, or nil.
func (c *lazyContext) Err() error {
	c.mu.Lock()
	end := c.end
	c.mu.Unlock()
	if end == 0 && c.late() {
		c.cancel(expired)
		c.mu.Lock()
		end = c.end // somebody may have been faster
		c.mu.Unlock()
	}
	return end.err()
}

// AfterFunc has f run on a goroutine of its own once the context is done, so
// that contexts derived from this one need no goroutine to watch it. The
// returned function takes f back and reports whether it did.
func (c *lazyContext) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end != 0 {
		go f()
		return func() bool { return false }
	}
	w := c.watchLocked()
	a := &afterFunc{f}
	w.after = append(w.after, a)
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		i := slices.Index(w.after, a)
		if i < 0 {
			return false
		}
		w.after = slices.Delete(w.after, i, i+1)
		return true
	}
}

// watchLocked returns what tells others that the context is done. It is not done yet.
func (c *lazyContext) watchLocked() *watch {
	if c.watch == nil {
		c.watch = new(watch)
		if c.timeout > 0 {
			c.watch.timer = time.AfterFunc(c.timeout-c.age(), func() { c.cancel(expired) })
		}
	}
	return c.watch
}

// cancel makes the context done for the reason why, once, and reports whether it did.
func (c *lazyContext) cancel(why cause) bool {
	c.mu.Lock()
	if c.end != 0 {
		c.mu.Unlock()
		return false
	}
	c.end = why
	var after []*afterFunc
	if w := c.watch; w != nil {
		if w.timer != nil {
			w.timer.Stop()
		}
		if w.done != nil {
			close(w.done)
		}
		after, w.after = w.after, nil
	}
	c.mu.Unlock()
	for _, a := range after {
		go a.f()
	}
	return true
}
