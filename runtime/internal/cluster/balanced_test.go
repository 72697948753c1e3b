package cluster

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/transport"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// TestBalancedLazy: nothing is looked up or connected before the first call, and
// then one connection to each server serves all.
func TestBalancedLazy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, nil, "a", "b", "c")
		time.Sleep(time.Hour)
		if s := f.Resolver(); s.Updates != 0 || f.events.opened.Load() != 0 {
			t.Errorf("before the first call: %d updates, %d connections", s.Updates, f.events.opened.Load())
		}
		counts, _ := f.picks(1)
		if n := f.events.opened.Load(); n != 1 || len(counts) != 1 {
			t.Errorf("one call opened %d connections", n)
		}
		counts, _ = f.picks(299)
		for name, n := range counts {
			if n < 99 || n > 101 {
				t.Errorf("%s got %d of 299 calls", name, n)
			}
		}
		if n := f.events.opened.Load(); n != 3 || len(counts) != 3 {
			t.Errorf("%d connections, calls %v", n, counts)
		}
	})
}

// TestServerAway: as long as other servers live no call fails, and after the
// first ones none waits. The server is avoided, and used again when it is back.
func TestServerAway(t *testing.T) {
	for _, test := range []struct {
		name    string
		before  bool // it is away before there is a connection
		goAway  func(f *farm)
		back    func(f *farm)
		longest time.Duration // that a call waits
	}{
		{"refused", true, func(f *farm) { f.down("b") }, func(f *farm) { f.up("b") }, 0},
		{"lost", false, func(f *farm) { f.down("b") }, func(f *farm) { f.up("b") }, 0},
		{"drained", false, func(f *farm) { f.drain("b") }, func(f *farm) { f.up("b") }, 0},
		{"cannot be reached", true, func(f *farm) { f.hang("b", true) }, func(f *farm) { f.hang("b", false) }, attemptDelay},
		{"vanished", false, func(f *farm) { f.hang("b", true); f.down("b") }, func(f *farm) { f.hang("b", false); f.up("b") }, attemptDelay},
		{"says nothing", true, func(f *farm) {
			f.down("b")
			l, err := f.network.Listen("b")
			if err != nil {
				f.t.Fatal(err)
			}
			f.servers["b"] = &farmer{l: l}
		}, func(f *farm) { f.down("b"); f.up("b") }, attemptDelay},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFarm(t, nil, "a", "b", "c")
				if !test.before {
					f.picks(9)
				}
				test.goAway(f)
				f.settle()
				if counts, longest := f.picks(9); counts["b"] > 0 || longest > test.longest {
					t.Errorf("while it is away: %v, up to %v", counts, longest)
				}
				if why := f.node("b").Out(); why != address.Disconnected {
					t.Errorf("it is %v", why)
				}
				for range 60 { // what is mended does not disturb
					time.Sleep(time.Second)
					if counts, longest := f.picks(9); counts["b"] > 0 || longest > 0 {
						t.Errorf("while it is away: %v, up to %v", counts, longest)
					}
				}
				if n := f.dialed("b"); n < 6 || n > 70 {
					t.Errorf("%d attempts to connect in a minute", n)
				}
				test.back(f)
				time.Sleep(21 * time.Second) // an attempt that hangs, and the backoff
				if counts, longest := f.picks(9); counts["b"] != 3 || longest > 0 || f.node("b").Out() != 0 {
					t.Errorf("when it is back: %v, up to %v, %v", counts, longest, f.node("b").Out())
				}
			})
		})
	}
}

// TestAttemptDelay: a server that takes long is not waited for alone.
func TestAttemptDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, nil, "a", "b", "c", "d")
		for _, name := range []string{"a", "b", "c"} {
			f.hang(name, true)
		}
		start := time.Now()
		name, err := f.pick(&Pick{})
		if took := time.Since(start); err != nil || name != "d" || took > 3*attemptDelay || took%attemptDelay != 0 {
			t.Errorf("got %q, %v after %v", name, err, took)
		}
		if c, _ := f.picks(9); c["d"] != 9 {
			t.Errorf("got %v", c)
		}
	})
}

// TestAllAway: without a server calls fail at once and say why, or wait.
func TestAllAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, nil, "a", "b")
		f.picks(4)
		f.down("a")
		f.down("b")
		f.settle()
		// What was lost is first tried again.
		for i := range 10 {
			start := time.Now()
			_, err := f.pick(&Pick{})
			if err.Code() != status.Unavailable || !err.NotRun() || !strings.Contains(err.Error(), "refused") {
				t.Errorf("got %v", err)
			}
			if took := time.Since(start); i == 0 && took >= 100*time.Millisecond || i > 0 && took > 0 {
				t.Errorf("call %d took %v", i, took)
			}
		}
		time.AfterFunc(time.Minute, func() { f.up("b") })
		start := time.Now()
		if name, err := f.pick(&Pick{Wait: true}); err != nil || name != "b" {
			t.Errorf("got %q, %v", name, err)
		}
		if took := time.Since(start); took < time.Minute || took > 70*time.Second {
			t.Errorf("ready after %v", took)
		}
	})
}

// TestTimeWaited: how long a call waited is not held against the server it goes to.
func TestTimeWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, nil, "a")
		f.down("a")
		time.AfterFunc(time.Minute, func() { f.up("a") })
		p := &Pick{Wait: true}
		c, err := f.Pick(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond)
		f.Done(p, c, nil)
		if l := f.node("a").Latency(0); l != 2*time.Millisecond {
			t.Errorf("latency %v", l)
		}
	})
}

// TestPhases: an error of a deadline says what took the time.
func TestPhases(t *testing.T) {
	silent := address.SourceFunc(func(ctx context.Context, _ func(address.Update)) { <-ctx.Done() })
	for _, test := range []struct {
		name  string
		edit  func(*BalancedConfig)
		setup func(*farm)
		wait  bool
		phase status.Phase
		text  string
	}{
		{"resolve", func(c *BalancedConfig) { c.Source = silent }, nil, false, status.PhaseResolve, "not found in time"},
		{"resolver fails", nil, func(f *farm) { f.registry.Break(errors.New("down")) }, true, status.PhasePick, "down"},
		{"pick", func(c *BalancedConfig) { c.Pool.Balancer = nobody{} }, nil, true, status.PhasePick, "used"},
		{"dial", nil, func(f *farm) { f.hang("a", true); f.hang("b", true) }, false, status.PhaseDial, "no connection"},
		{"dial, ready", nil, func(f *farm) { f.down("a"); f.down("b") }, true, status.PhaseDial, "refused"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFarm(t, test.edit, "a", "b")
				if test.setup != nil {
					test.setup(f)
				}
				start := time.Now()
				_, err := f.pick(&Pick{Deadline: start.Add(3 * time.Second), Wait: test.wait})
				if err.Code() != status.DeadlineExceeded || err.Phase() != test.phase || !err.NotRun() || !strings.Contains(err.Error(), test.text) {
					t.Errorf("got %v in phase %v, not run %v", err, err.Phase(), err.NotRun())
				}
				if took := time.Since(start); took != 3*time.Second {
					t.Errorf("after %v", took)
				}
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				if _, err := f.Pick(ctx, &Pick{Wait: true, Request: address.Request{Method: nopMethod}}); err.Code() != status.Canceled || !err.NotRun() {
					t.Errorf("cancelled: got %v", err)
				}
			})
		})
	}
}

// nobody is a balancer that lets nobody have any call.
type nobody struct{}

func (nobody) Picker(address.View, address.Picker) address.Picker { return nobody{} }
func (nobody) Pick(*address.Request) *address.Node                { return nil }

// TestNobodyMay: a call that no server may have fails at once.
func TestNobodyMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, func(c *BalancedConfig) { c.Pool.Balancer = nobody{} }, "a")
		if _, err := f.pick(&Pick{}); err.Code() != status.Unavailable || !err.NotRun() || !strings.Contains(err.Error(), "mem:///farm") {
			t.Errorf("got %v", err)
		}
	})
}

// TestBalancedLanes: calls of different lanes share no connection.
func TestBalancedLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, nil, "a", "b", "c")
		clients := map[Client]uint8{}
		for range 3 {
			for lane := range uint8(call.MaxLane + 1) {
				p := &Pick{Request: address.Request{Method: nopMethod, Class: call.Class{Lane: lane}}}
				c, err := f.Pick(t.Context(), p)
				if err != nil {
					t.Fatal(err)
				}
				f.Done(p, c, nil)
				if was, ok := clients[c]; ok && was != lane {
					t.Errorf("lanes %d and %d share a connection", was, lane)
				}
				clients[c] = lane
			}
		}
		if n := f.events.opened.Load(); n != 3*(call.MaxLane+1) || int(n) != len(clients) {
			t.Errorf("%d connections, %d in use", n, len(clients))
		}
		f.down("a")
		f.settle()
		f.up("a")
		time.Sleep(time.Second)
		for lane := range uint8(call.MaxLane + 1) {
			for range 2 {
				if _, err := f.pick(&Pick{Request: address.Request{Class: call.Class{Lane: lane}}}); err != nil {
					t.Errorf("lane %d: %v", lane, err)
				}
			}
		}
	})
}

// TestSeveralConnections: all connections to each server are made and used.
func TestSeveralConnections(t *testing.T) {
	for n := 2; n <= 5; n++ {
		synctest.Test(t, func(t *testing.T) {
			f := newFarm(t, func(c *BalancedConfig) {
				c.Open = func(cfg Config) (Line, error) { return NewMulti(cfg, n), nil }
			}, "a", "b")
			f.picks(4 * n) // which have all of them made
			f.settle()
			used := map[Client]int{}
			for range 100 * n {
				p := &Pick{Request: address.Request{Method: nopMethod}}
				c, err := f.Pick(t.Context(), p)
				if err != nil {
					t.Fatal(err)
				}
				used[c]++
				f.Done(p, c, nil)
			}
			if opened := f.events.opened.Load(); opened != int32(2*n) || len(used) != 2*n {
				t.Errorf("%d connections to each of 2 servers: %d opened, %d used", n, opened, len(used))
			}
			for _, calls := range used {
				if calls < 40 || calls > 60 {
					t.Errorf("one of %d connections got %d of 50 calls", n, calls)
				}
			}
			// One that is lost delays nobody, and is made again.
			f.servers["a"].open()[0].Close()
			f.settle()
			if _, longest := f.picks(20 * n); longest > 0 {
				t.Errorf("a call waited %v", longest)
			}
			time.Sleep(100 * time.Millisecond)
			f.picks(4 * n)
			f.settle()
			if f.events.open.Load() != int32(2*n) {
				t.Errorf("%d connections are open", f.events.open.Load())
			}
		})
	}
}

// TestResolverStats: what the resolver says is counted, and where it ends.
func TestResolverStats(t *testing.T) {
	broken := errors.New("broken")
	for _, strict := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := newFarm(t, func(c *BalancedConfig) { c.Strict = strict }, "a", "b")
			f.picks(4)
			f.registry.Break(broken)
			f.settle()
			_, err := f.pick(&Pick{})
			if strict && (err.Code() != status.Unavailable || !err.NotRun() || !strings.Contains(err.Error(), "broken")) || !strict && err != nil {
				t.Errorf("strict %v, broken: %v", strict, err)
			}
			f.registry.Break(nil)
			f.settle()
			f.deregister("a", "b")
			_, err = f.pick(&Pick{})
			if strict && (err.Code() != status.Unavailable || !errors.Is(err, address.ErrNoEndpoints)) || !strict && err != nil {
				t.Errorf("strict %v, empty: %v", strict, err)
			}
			want := address.KeepStats{Updates: 3, Errors: 1, Empty: 1, Kept: 2, Err: address.ErrNoEndpoints}
			if strict {
				want.Kept = 0
			}
			if diff := cmp.Diff(want, f.Resolver(), cmp.Comparer(func(a, b error) bool { return errors.Is(a, b) })); diff != "" {
				t.Error(diff)
			}
			f.register(address.Endpoint{Network: "tcp", Addr: "b"})
			f.settle()
			if c, _ := f.picks(4); c["b"] != 4 {
				t.Errorf("got %v", c)
			}
		})
	}
}

// TestSpeaks: servers of a protocol that is not spoken are left out.
func TestSpeaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, func(c *BalancedConfig) { c.Speaks = func(p string) bool { return p == "" } }, "a", "b")
		f.register(address.Endpoint{Network: "tcp", Addr: "a", Protocol: "smoke"})
		if c, _ := f.picks(4); c["b"] != 4 {
			t.Errorf("got %v", c)
		}
		// A list in which nobody can be understood is as good as an empty one.
		f.register(address.Endpoint{Network: "tcp", Addr: "b", Protocol: "smoke"})
		f.settle()
		if c, _ := f.picks(4); c["b"] != 4 {
			t.Errorf("got %v", c)
		}
		f.Close()
		if _, err := f.pick(&Pick{}); !errors.Is(err, transport.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, func(c *BalancedConfig) { c.Speaks = func(p string) bool { return p == "" } })
		f.register(address.Endpoint{Network: "tcp", Addr: "a", Protocol: "smoke"})
		if _, err := f.pick(&Pick{}); err.Code() != status.Unavailable || !strings.Contains(err.Error(), `speaks "smoke"`) {
			t.Errorf("got %v", err)
		}
	})
}
