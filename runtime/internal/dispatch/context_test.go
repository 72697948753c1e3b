package dispatch

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
)

type baseKey struct{}

// newContext returns the context of a call with the timeout; 0 is none.
func newContext(timeout time.Duration) *Call {
	c := new(Call)
	base := context.WithValue(context.Background(), baseKey{}, "base")
	now := time.Now()
	c.Init(&Origin{Base: base, Peer: &call.Peer{Protocol: "test"}, Since: now}, nil, nil, now, timeout)
	return c
}

func TestContextDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newContext(time.Second)
		if d, ok := c.Deadline(); !ok || time.Until(d) != time.Second {
			t.Errorf("deadline in %v, %v", time.Until(d), ok)
		}
		if err := c.Err(); err != nil {
			t.Errorf("before: %v", err)
		}
		time.Sleep(time.Second)
		if err := c.Err(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after: %v", err)
		}
		if c.watch != nil {
			t.Error("Err needed a timer")
		}
		select {
		case <-c.Done():
		default:
			t.Error("not done")
		}
		if c.cancel(canceled); !errors.Is(c.Err(), context.DeadlineExceeded) {
			t.Errorf("the reason changed to %v", c.Err())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c := newContext(time.Second)
		start := time.Now()
		<-c.Done()
		if took := time.Since(start); took != time.Second || !errors.Is(c.Err(), context.DeadlineExceeded) {
			t.Errorf("done after %v with %v", took, c.Err())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c := newContext(0)
		if _, ok := c.Deadline(); ok {
			t.Error("a deadline where there is none")
		}
		done := c.Done()
		time.Sleep(time.Hour)
		select {
		case <-done:
			t.Error("done")
		default:
		}
		c.Cancel(context.Canceled)
		<-done
		if c.Done() != done {
			t.Error("Done returns another channel")
		}
	})
}

// TestContextAfterFunc: the function runs once the context is done, unless it
// was taken back.
func TestContextAfterFunc(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newContext(time.Second)
		ran := map[string]int{}
		c.AfterFunc(func() { ran["deadline"]++ })
		stop := c.AfterFunc(func() { ran["stopped"]++ })
		if !stop() || stop() {
			t.Error("stop reports wrongly")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		late := c.AfterFunc(func() { ran["late"]++ })
		synctest.Wait()
		if late() {
			t.Error("what has run was stopped")
		}
		if ran["deadline"] != 1 || ran["stopped"] != 0 || ran["late"] != 1 {
			t.Errorf("ran %v", ran)
		}
	})
}

// TestContextDerived: contexts derived from a call's end with it, and need no
// goroutine for that.
func TestContextDerived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newContext(0)
		before := runtime.NumGoroutine()
		var derived []context.Context
		var cancels []func()
		for range 100 {
			d, cancel := context.WithCancel(c)
			defer cancel()
			derived, cancels = append(derived, d), append(cancels, cancel)
		}
		if n := runtime.NumGoroutine() - before; n > 0 {
			t.Errorf("%d goroutines for 100 derived contexts", n)
		}
		for _, cancel := range cancels[:50] {
			cancel()
		}
		c.mu.Lock()
		if n := len(c.watch.after); n != 50 {
			t.Errorf("%d functions are left of those whose contexts are done", n)
		}
		c.mu.Unlock()
		c.Cancel(context.Canceled)
		for _, d := range derived {
			<-d.Done()
			if !errors.Is(d.Err(), context.Canceled) {
				t.Errorf("derived: %v", d.Err())
			}
		}
		d, cancel := context.WithTimeout(c, time.Second)
		defer cancel()
		if d.Err() == nil {
			t.Error("derived from a done context and not done")
		}
	})
}

func TestContextValue(t *testing.T) {
	c := newContext(0)
	if v := c.Value(baseKey{}); v != "base" {
		t.Errorf("base value: %v", v)
	}
	if p, _ := c.Value(call.PeerKey).(*call.Peer); p == nil || p.Protocol != "test" {
		t.Errorf("peer: %v", p)
	}
	if c.Value("nothing") != nil {
		t.Error("a value for a key that nobody set")
	}
}

// TestContextIsLazy: a handler that does not ask for Done pays for nothing.
func TestContextIsLazy(t *testing.T) {
	c := newContext(time.Hour)
	n := testing.AllocsPerRun(100, func() {
		c.Deadline()
		_ = c.Err()
		c.Value(baseKey{})
	})
	if n > 0 || c.watch != nil {
		t.Errorf("%v allocations, watched: %v", n, c.watch != nil)
	}
}

// TestContextErrStays: Err never changes its mind, and is not set before Done is closed.
func TestContextErrStays(t *testing.T) {
	for range 2000 {
		c := newContext(time.Nanosecond)
		done := c.Done()
		go c.Cancel(context.Canceled)
		for c.Err() == nil {
		}
		select {
		case <-done:
		default:
			t.Fatal("Err is set and Done is open")
		}
		first := c.Err()
		for range 5 {
			if err := c.Err(); err != first {
				t.Fatalf("%v, then %v", first, err)
			}
		}
	}
}
