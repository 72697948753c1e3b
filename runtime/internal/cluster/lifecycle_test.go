package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/internal/transport"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// lineKinds are the ways to connect.
var lineKinds = map[string]LineFunc{
	"single":  func(cfg Config) (Line, error) { return NewSingle(cfg), nil },
	"several": func(cfg Config) (Line, error) { return NewMulti(cfg, 3), nil },
	"pooled":  func(cfg Config) (Line, error) { return NewPerCall(cfg, 4), nil },
	"short":   func(cfg Config) (Line, error) { return NewPerCall(cfg, 0), nil },
}

// eachLine runs f in a bubble for each way to connect.
func eachLine(t *testing.T, f func(t *testing.T, name string, edit func(*BalancedConfig))) {
	for name, open := range lineKinds {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f(t, name, func(c *BalancedConfig) { c.Open = open })
			})
		})
	}
}

// TestLinesBalanced: with each way to connect, servers come, go and come back
// without a call that fails.
func TestLinesBalanced(t *testing.T) {
	eachLine(t, func(t *testing.T, name string, edit func(*BalancedConfig)) {
		f := newFarm(t, edit, "a", "b", "c")
		even := func(when string, want int) {
			t.Helper()
			counts, longest := f.picks(90)
			for _, n := range counts {
				if n < 90/want-15 || n > 90/want+15 {
					t.Errorf("%s: %v", when, counts)
				}
			}
			if len(counts) != want || longest > 0 {
				t.Errorf("%s: %v, up to %v", when, counts, longest)
			}
		}
		even("at first", 3)
		f.down("b")
		even("one is down", 2)
		f.up("b")
		time.Sleep(10 * time.Second)
		even("it is back", 3)
		f.deregister("c")
		even("one is gone", 2)
		if s := f.siteCount(); s != 2 {
			t.Errorf("%d sites of 2 servers", s)
		}
		f.register(address.Endpoint{Network: "tcp", Addr: "c"})
		f.settle()
		even("and back", 3)
	})
}

// TestManyFailAtOnce: however many calls meet a server that is down, it is used
// again soon after it is up.
func TestManyFailAtOnce(t *testing.T) {
	eachLine(t, func(t *testing.T, name string, edit func(*BalancedConfig)) {
		f := newFarm(t, edit, "a", "b")
		f.down("a")
		var all sync.WaitGroup
		for range 200 {
			all.Go(func() {
				if _, err := f.pick(&Pick{}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		f.up("a")
		time.Sleep(300 * time.Millisecond)
		if c, _ := f.picks(4); c["a"] < 1 {
			t.Errorf("got %v", c)
		}
	})
}

// TestVanished: the connections to an endpoint that is gone are closed when the
// last call on them has ended; it may come back meanwhile.
func TestVanished(t *testing.T) {
	eachLine(t, func(t *testing.T, name string, edit func(*BalancedConfig)) {
		f := newFarm(t, edit, "a", "b")
		f.picks(20)
		p := &Pick{Request: address.Request{Method: nopMethod}}
		c, err := f.Pick(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		gone := c.Peer().Addr.String()
		ended := make(chan *status.Error)
		go func() { ended <- callOver(t.Context(), c, waitMethod) }()
		synctest.Wait()
		f.deregister(gone)
		if c, _ := f.picks(10); c[gone] > 0 {
			t.Errorf("after it is gone: %v", c)
		}
		f.register(address.Endpoint{Network: "tcp", Addr: gone})
		f.settle()
		if c, longest := f.picks(10); c[gone] < 3 || longest > 0 {
			t.Errorf("when it is back: %v", c)
		}
		if n := f.siteCount(); n != 3 {
			t.Errorf("%d sites while a call runs", n)
		}
		close(f.gate)
		if err := <-ended; err != nil {
			t.Errorf("the call in flight: %v", err)
		}
		f.Done(p, c, nil)
		f.settle()
		if n := f.siteCount(); n != 2 {
			t.Errorf("%d sites after it", n)
		}
	})
}

// TestOnly: calls for one server go there and nowhere else, and fail once it is gone.
func TestOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, nil, "a", "b", "c")
		nodes, err := f.Nodes(t.Context())
		if err != nil || len(nodes) != 3 {
			t.Fatal(nodes, err)
		}
		only := func(wait bool) (string, *status.Error) { return f.pick(&Pick{Only: nodes[1], Wait: wait}) }
		for range 5 {
			if name, err := only(false); err != nil || name != "b" {
				t.Errorf("got %q, %v", name, err)
			}
		}
		nodes[1].MarkOut(address.Unhealthy)
		if name, err := only(false); err != nil || name != "b" {
			t.Errorf("avoided: got %q, %v", name, err)
		}
		f.down("b")
		only(false)
		if _, err := only(false); err.Code() != status.Unavailable || !strings.Contains(err.Error(), "refused") {
			t.Errorf("down: got %v", err)
		}
		time.AfterFunc(time.Minute, func() { f.up("b") })
		if name, err := only(true); err != nil || name != "b" {
			t.Errorf("up: got %q, %v", name, err)
		}
		f.deregister("b")
		for _, wait := range []bool{false, true} {
			if _, err := only(wait); err.Code() != status.Unavailable || !err.NotRun() || !strings.Contains(err.Error(), "tcp://b") {
				t.Errorf("gone: got %v", err)
			}
		}
		f.register(address.Endpoint{Network: "tcp", Addr: "b"})
		f.settle()
		if _, err := only(true); err.Code() != status.Unavailable {
			t.Errorf("another one of that address: got %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) { // it goes while calls wait
		f := newFarm(t, nil, "a", "b")
		nodes, _ := f.Nodes(t.Context())
		f.down("b")
		time.AfterFunc(time.Minute, func() { f.entries["b"].Deregister(t.Context()) })
		start := time.Now()
		_, err := f.pick(&Pick{Only: nodes[1], Wait: true})
		if took := time.Since(start); err.Code() != status.Unavailable || took > time.Minute+time.Second {
			t.Errorf("got %v after %v", err, took)
		}
	})
}

// TestCloseAnyTime: Close returns at once whatever is under way, and leaves
// nothing; the farm's own end checks the latter.
func TestCloseAnyTime(t *testing.T) {
	for _, test := range []struct {
		name  string
		setup func(f *farm)
	}{
		{"unused", func(*farm) {}},
		{"resolving", func(f *farm) { f.deregister("a", "b", "c"); f.later(&Pick{Wait: true}) }},
		{"connecting", func(f *farm) { f.hang("a", true); f.hang("b", true); f.hang("c", true); f.later(&Pick{}) }},
		{"racing", func(f *farm) {
			f.hang("a", true)
			f.hang("b", true)
			f.down("c")
			for range 3 {
				f.later(&Pick{Wait: true})
			}
			time.Sleep(attemptDelay / 2)
		}},
		{"mending", func(f *farm) { f.picks(9); f.down("a"); f.picks(9); time.Sleep(time.Minute) }},
		{"waiting", func(f *farm) { f.down("a"); f.down("b"); f.down("c"); f.later(&Pick{Wait: true}) }},
		{"lost", func(f *farm) { f.picks(9); f.down("a"); f.down("b"); f.down("c"); f.later(&Pick{Wait: true}) }},
		{"retiring", func(f *farm) {
			f.picks(30)
			p := &Pick{Request: address.Request{Method: nopMethod}}
			if _, err := f.Pick(f.t.Context(), p); err != nil {
				f.t.Error(err)
			}
			f.deregister("a", "b")
		}},
		{"checking", func(f *farm) { f.picks(9); time.Sleep(time.Hour) }},
	} {
		for kind, open := range lineKinds {
			t.Run(test.name+"/"+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newFarm(t, func(c *BalancedConfig) {
						c.Open = open
						c.CheckEvery = time.Second
						c.Check = func(ctx context.Context, _ *address.Node) error { <-ctx.Done(); return ctx.Err() }
					}, "a", "b", "c")
					test.setup(f)
					synctest.Wait()
					start := time.Now()
					f.Close()
					if took := time.Since(start); took > 0 {
						t.Errorf("Close took %v", took)
					}
					if _, err := f.pick(&Pick{Wait: true}); err.Code() != status.Unavailable || !err.NotRun() {
						t.Errorf("after Close: %v", err)
					}
					f.Close()
				})
			})
		}
	}
}

// later picks and expects the cluster to be closed meanwhile.
func (f *farm) later(p *Pick) {
	f.tasks.Go(func() {
		if _, err := f.pick(p); err.Code() != status.Unavailable || !err.NotRun() || !errors.Is(err, transport.ErrClosed) {
			f.t.Errorf("while it was closed: %v", err)
		}
	})
	synctest.Wait()
}

// TestChecks: two failures of checks in a row have a server avoided, one that
// succeeds brings it back, and servers are not checked together.
func TestChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var times []time.Time
		var bad, asked atomic.Int32
		f := newFarm(t, func(c *BalancedConfig) {
			c.CheckEvery = 10 * time.Second
			c.Check = func(ctx context.Context, n *address.Node) error {
				mu.Lock()
				times = append(times, time.Now())
				mu.Unlock()
				if at, _ := ctx.Deadline(); time.Until(at) != 10*time.Second {
					t.Errorf("the deadline is in %v", time.Until(at))
				}
				if n.Endpoint().Addr != "b" {
					return nil
				}
				asked.Add(1)
				if bad.Load() > 0 {
					bad.Add(-1)
					return fmt.Errorf("not well")
				}
				return nil
			}
		}, "a", "b", "c")
		f.picks(3)
		time.Sleep(time.Minute)
		until := func(n int32) { // more checks of b
			for was := asked.Load(); asked.Load() < was+n; {
				time.Sleep(100 * time.Millisecond)
			}
		}
		bad.Store(1)
		until(1)
		if f.node("b").Out() != 0 {
			t.Errorf("after one failure: %v", f.node("b").Out())
		}
		until(1)
		bad.Store(2)
		until(2)
		if c, _ := f.picks(9); f.node("b").Out() != address.Unhealthy || c["b"] > 0 {
			t.Errorf("after two: %v, %v", f.node("b").Out(), c)
		}
		until(1)
		if c, _ := f.picks(9); f.node("b").Out() != 0 || c["b"] == 0 {
			t.Errorf("after one success: %v, %v", f.node("b").Out(), c)
		}
		n := asked.Load()
		f.deregister("b")
		time.Sleep(time.Minute)
		if asked.Load() > n {
			t.Error("a server that is gone is checked")
		}
		f.Close()
		together := 0
		for i := range times[1:] {
			if times[i+1].Equal(times[i]) {
				together++
			}
		}
		if together > 1 {
			t.Errorf("%d of %d checks at the same time", together, len(times))
		}
	})
}
