package cluster

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// TestIdle: a connection without calls is closed after the idle time and at most
// half of it more; the next call connects at once.
func TestIdle(t *testing.T) {
	for _, last := range []time.Duration{0, 29 * time.Minute, 30 * time.Minute, 31 * time.Minute, 59 * time.Minute} {
		eachLine(t, func(t *testing.T, name string, edit func(*BalancedConfig)) {
			f := newFarm(t, func(c *BalancedConfig) { edit(c); c.Line.IdleTimeout = time.Hour }, "a")
			if f.use(); name == "short" {
				return
			}
			if time.Sleep(last); last > 0 {
				f.use()
			}
			opened := f.events.opened.Load()
			time.Sleep(time.Hour - time.Second)
			if n := f.events.open.Load(); n != opened {
				t.Errorf("%d of %d open before the idle time is over", n, opened)
			}
			time.Sleep(30*time.Minute + time.Minute)
			if n := f.events.open.Load(); n != 0 {
				t.Errorf("%d open after it", n)
			}
			start := time.Now()
			if f.use(); time.Since(start) > 0 || f.node("a").Out() != 0 {
				t.Errorf("the next call took %v; %v", time.Since(start), f.node("a").Out())
			}
		})
	}
}

// use makes enough calls for all connections.
func (f *farm) use() {
	f.t.Helper()
	for range 6 {
		p := &Pick{Request: address.Request{Method: nopMethod}}
		c, err := f.Pick(f.t.Context(), p)
		if err != nil {
			f.t.Error(err)
			continue
		}
		if err = callOver(f.t.Context(), c, nopMethod); err.Code() != status.Unimplemented {
			f.t.Errorf("got %v", err)
		}
		f.Done(p, c, nil)
	}
	synctest.Wait()
}

// TestLifetime: calls begin on no connection that is too old, and none waits or fails for that.
func TestLifetime(t *testing.T) {
	eachLine(t, func(t *testing.T, name string, edit func(*BalancedConfig)) {
		f := newFarm(t, func(c *BalancedConfig) { edit(c); c.Line.MaxAge = time.Minute }, "a")
		if f.use(); name == "short" {
			return
		}
		before := f.events.opened.Load()
		start := time.Now()
		for range 30 {
			time.Sleep(2 * time.Second)
			now := time.Now()
			if f.use(); time.Since(now) > 0 {
				t.Errorf("a call waited %v", time.Since(now))
			}
			if opened := f.events.opened.Load(); opened > before && time.Since(start) < 54*time.Second {
				t.Fatalf("a new connection after %v", time.Since(start))
			}
		}
		time.Sleep(8 * time.Second)
		f.use()
		if opened, open := f.events.opened.Load(), f.events.open.Load(); opened < 2*before || open > before {
			t.Errorf("%d opened before, %d since; %d are open", before, opened, open)
		}
	})
}

// TestNoAnswer: a server that ends connections as soon as they are made is not
// asked more often than one that refuses them, also by calls that wait for it.
func TestNoAnswer(t *testing.T) {
	eachLine(t, func(t *testing.T, name string, edit func(*BalancedConfig)) {
		f := newFarm(t, edit, "a")
		f.down("a")
		l, err := f.network.Listen("a")
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		defer all.Wait()
		defer l.Close()
		all.Go(func() {
			for {
				nc, err := l.Accept()
				if err != nil {
					return
				}
				nc.Close()
			}
		})
		for end := time.Now().Add(time.Minute); time.Now().Before(end); {
			p := &Pick{Wait: true, Deadline: end, Request: address.Request{Method: nopMethod}}
			c, err := f.Pick(t.Context(), p)
			if err != nil {
				break
			}
			err = callOver(t.Context(), c, nopMethod)
			if f.Done(p, c, err); !err.NotRun() {
				t.Errorf("got %v", err)
			}
		}
		if n := f.dialed("a"); n < 10 || n > 200 {
			t.Errorf("%d attempts to connect in a minute", n)
		}
	})
}

// TestLostLatency: a server that was lost with many calls in flight is not held to
// be slow when it is back.
func TestLostLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, func(c *BalancedConfig) { c.Pool.Balancer = address.P2C{} }, "a", "b")
		calls := func(n int, m *call.Method) {
			for range n {
				f.tasks.Go(func() {
					p := &Pick{Request: address.Request{Method: m}}
					c, err := f.Pick(t.Context(), p)
					if err != nil {
						t.Error(err)
						return
					}
					time.Sleep(time.Millisecond)
					f.Done(p, c, callOver(t.Context(), c, m))
				})
			}
			synctest.Wait()
		}
		for range 50 {
			calls(10, nopMethod)
			time.Sleep(10 * time.Millisecond)
		}
		calls(100, waitMethod)
		time.Sleep(time.Second)
		if n := f.node("a").InFlight(); n < 30 {
			t.Errorf("%d calls in flight", n)
		}
		was := f.node("a").Latency(0)
		f.down("a")
		f.up("a")
		time.Sleep(time.Second)
		if _, failed := f.node("a").Counts(); failed < 30 || f.node("a").Latency(0) > was || f.node("a").Out() != 0 {
			t.Errorf("%d calls failed, latency %v, %v before; %v", failed, f.node("a").Latency(0), was, f.node("a").Out())
		}
		close(f.gate)
	})
}
