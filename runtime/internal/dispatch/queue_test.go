package dispatch

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/rpcx-go/rpcx/runtime/status"
)

// push has n calls of a method run through q and returns what their wires saw
// and a function that waits for all of them.
func push(d *Dispatcher, q *Queue, name string, n int) (wires []*wire, wait func()) {
	for i := range n {
		w := &wire{req: fmt.Sprint(i), end: make(chan struct{})}
		wires = append(wires, w)
		q.Push(newCall(d, name, w))
	}
	return wires, func() {
		for _, w := range wires {
			<-w.end
		}
	}
}

// newQueue returns a queue that is closed when the test ends.
func newQueue(t *testing.T, d *Dispatcher) *Queue {
	q := d.NewQueue()
	t.Cleanup(func() {
		q.Close()
		d.Wait()
	})
	return q
}

func TestQueue(t *testing.T) {
	d := New(Config{Log: quiet()})
	d.Register(unary("Echo", echo))
	q := newQueue(t, d)
	for range 3 {
		wires, wait := push(d, q, "Echo", 1000)
		wait()
		for i, w := range wires {
			if w.finished != 1 || w.res.(*text).Value != fmt.Sprint(i) {
				t.Fatalf("call %d: finished %d times with %v", i, w.finished, w.res)
			}
		}
	}
	if n := q.Waiting(); n != 0 {
		t.Errorf("%d calls wait", n)
	}
}

// TestQueueOrder: calls start in the order of their arrival.
func TestQueueOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(Config{Log: quiet()})
		var mu sync.Mutex
		var order []string
		d.Register(unary("Note", func(ctx context.Context, req string) (string, error) {
			mu.Lock()
			order = append(order, req)
			mu.Unlock()
			return req, nil
		}))
		q := newQueue(t, d)
		// One at a time there is nothing that could change the order.
		var want []string
		for i := range 50 {
			w := &wire{req: fmt.Sprint(i)}
			want = append(want, w.req)
			q.Push(newCall(d, "Note", w))
			synctest.Wait()
		}
		if !slices.Equal(order, want) {
			t.Errorf("ran in the order %q", order)
		}
	})
}

// TestQueueBlockingHandlers: handlers that block keep nobody from running.
func TestQueueBlockingHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(Config{Log: quiet()})
		release := make(chan struct{})
		var running atomic.Int32
		d.Register(unary("Block", func(context.Context, string) (string, error) {
			running.Add(1)
			<-release
			return "", nil
		}), unary("Echo", echo))
		q := newQueue(t, d)
		_, wait := push(d, q, "Block", 500)
		synctest.Wait()
		if n := running.Load(); n != 500 {
			t.Errorf("%d of 500 handlers run", n)
		}
		_, others := push(d, q, "Echo", 10)
		synctest.Wait()
		if n := q.Waiting(); n != 0 {
			t.Errorf("%d calls wait", n)
		}
		close(release)
		wait()
		others()
	})
}

// TestQueueResting: a few runners stay for the next calls until Close.
func TestQueueResting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(Config{Log: quiet()})
		release := make(chan struct{})
		d.Register(unary("Block", func(context.Context, string) (string, error) { <-release; return "", nil }), unary("Echo", echo))
		q := newQueue(t, d)
		_, wait := push(d, q, "Block", 50)
		synctest.Wait()
		close(release)
		wait()
		synctest.Wait()
		if q.resting != maxResting {
			t.Errorf("%d runners rest, want %d", q.resting, maxResting)
		}
		q.Close()
		d.Wait()                         // for all of them
		_, wait = push(d, q, "Echo", 50) // they run all the same
		wait()
	})
}

// TestQueueGoexit: a handler that ends its goroutine ends its call, and those
// behind it run.
func TestQueueGoexit(t *testing.T) {
	d := New(Config{Log: quiet(), Admission: NewLimit(1000)})
	d.Register(unary("Exit", func(context.Context, string) (string, error) { runtime.Goexit(); return "", nil }), unary("Echo", echo))
	q := newQueue(t, d)
	for range 20 {
		exits, wait1 := push(d, q, "Exit", 5)
		echoes, wait2 := push(d, q, "Echo", 5)
		wait1()
		wait2()
		for _, w := range exits {
			if w.err.Code() != status.Internal || w.finished != 1 {
				t.Errorf("got %v, finished %d times", w.err, w.finished)
			}
		}
		for _, w := range echoes {
			if w.err != nil {
				t.Errorf("got %v", w.err)
			}
		}
	}
}

// TestQueueFewGoroutines: a batch of handlers that do not block takes a few
// goroutines, not one each.
func TestQueueFewGoroutines(t *testing.T) {
	d := New(Config{Log: quiet()})
	var now, most atomic.Int32
	d.Register(unary("Short", func(context.Context, string) (string, error) {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		now.Add(-1)
		return "", nil
	}))
	q := newQueue(t, d)
	before := runtime.NumGoroutine()
	peak := 0
	for range 200 {
		_, wait := push(d, q, "Short", 50)
		peak = max(peak, runtime.NumGoroutine()-before)
		wait()
	}
	if limit := 2*runtime.GOMAXPROCS(0) + 4; peak > limit {
		t.Errorf("%d goroutines for batches of 50 calls", peak)
	}
	t.Logf("%d goroutines at most, %d handlers at once", peak, most.Load())
}
