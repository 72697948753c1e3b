package cluster

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/internal/transport"
)

// clients is how many lose their server at the same moment: 2,000, and fewer with
// the race detector, which makes that slow. make upheaval runs them all.
const clients = 2000 / slower

// enough is how many attempts in a window say more than chance.
const enough = 150

// stormBackoff is the default of rpcx.Dial.
var stormBackoff = Backoff{Base: 100 * time.Millisecond, Max: 10 * time.Second}

// stormWindows are what attempts are counted in; grid divides them.
var stormWindows = []time.Duration{10 * time.Millisecond, 100 * time.Millisecond, time.Second}

const grid = time.Millisecond

// expectedAttempts returns, for each time after the loss in steps of grid, the
// attempts to connect that all clients together make on average then: the
// first is spread evenly over Base, and each that comes before the server is up
// fails and is followed by another one after half to all of the backoff.
func expectedAttempts(b Backoff, n int, down, until time.Duration) []float64 {
	total := make([]float64, until/grid)
	at := make([]float64, len(total)) // of the attempt at hand
	for i := range at[:b.Base/grid] {
		at[i] = float64(n) * float64(grid) / float64(b.Base)
	}
	for longest := float64(b.Base); ; {
		longest = min(longest*1.6, float64(b.Max))
		next := make([]float64, len(at))
		from, to := int(longest/2/float64(grid)), int(longest/float64(grid))
		some := false
		for i, v := range at {
			total[i] += v
			if v == 0 || time.Duration(i)*grid >= down {
				continue
			}
			some = true
			for k := i + from; k < min(i+to, len(next)); k++ {
				next[k] += v / float64(to-from)
			}
		}
		if at = next; !some {
			return total
		}
	}
}

// peak returns the most in any window.
func peak[N int | float64](counts []N, window time.Duration) float64 {
	var sum, most N
	w := int(window / grid)
	for i, n := range counts {
		if sum += n; i >= w {
			sum -= counts[i-w]
		}
		most = max(most, sum)
	}
	return float64(most)
}

// restart has clients, each made by connect and with a call as soon as it can have
// one, lose the server, which is back after down, and returns how many attempts to
// connect began in each step of grid after the loss.
func restart(t *testing.T, names []string, down, until time.Duration, lose func(*farm), connect func(BalancedConfig) (pick func(context.Context) (Client, error), stop func())) []int {
	counts := make([]int, until/grid)
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var lost time.Time
		var cfg BalancedConfig
		f := newFarm(t, func(c *BalancedConfig) {
			dial := c.Line.Dial
			c.Line.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				mu.Lock()
				if i := int(time.Since(lost) / grid); !lost.IsZero() && addr == "a" && i < len(counts) {
					counts[i]++
				}
				mu.Unlock()
				return dial(ctx, network, addr)
			}
			c.Line.Backoff, c.Line.Observers = stormBackoff, nil
			cfg = *c
		}, names...)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range clients {
			pick, stop := connect(cfg)
			all.Go(func() {
				defer stop()
				for ctx.Err() == nil {
					c, err := pick(ctx)
					if err != nil {
						continue
					}
					select {
					case <-c.(*transport.Client).Dead():
					case <-ctx.Done():
					}
				}
			})
		}
		time.Sleep(time.Minute)
		mu.Lock()
		lost = time.Now()
		mu.Unlock()
		lose(f)
		if down > 0 {
			time.Sleep(down)
		}
		f.up("a")
		time.Sleep(until)
		cancel()
		all.Wait()
	})
	return counts
}

// TestStorm: clients lose a server. At most half as many again as the jitter
// says come to it at a time, and all of them come.
func TestStorm(t *testing.T) {
	single := func(cfg BalancedConfig) (func(context.Context) (Client, error), func()) {
		cfg.Line.Endpoint = address.Endpoint{Network: "tcp", Addr: "a"}
		s := NewSingle(cfg.Line)
		return func(ctx context.Context) (Client, error) { return picked(s.Pick(ctx, time.Time{}, true)) }, func() { s.Close() }
	}
	balanced := func(cfg BalancedConfig) (func(context.Context) (Client, error), func()) {
		b := NewBalanced(cfg)
		return func(ctx context.Context) (c Client, err error) {
			for range 4 { // so that each server gets one
				c, err = picked(b.Pick(ctx, &Pick{Wait: true, Request: address.Request{Method: nopMethod}}))
				if err != nil || c.Peer().Addr.String() == "a" {
					break
				}
			}
			return c, err
		}, func() { b.Close() }
	}
	crash := func(f *farm) { f.down("a") }
	for _, test := range []struct {
		name    string
		servers []string
		lose    func(*farm)
		connect func(BalancedConfig) (func(context.Context) (Client, error), func())
		down    []time.Duration
	}{
		{"one connection", []string{"a"}, crash, single, []time.Duration{0, 500 * time.Millisecond, 5 * time.Second}},
		{"balanced", []string{"a"}, crash, balanced, []time.Duration{0, 500 * time.Millisecond, 5 * time.Second}},
		{"drain", []string{"a", "b"}, func(f *farm) { f.drain("a") }, balanced, []time.Duration{0, 500 * time.Millisecond}},
	} {
		for _, down := range test.down {
			t.Run(test.name+"/"+down.String(), func(t *testing.T) {
				until := 2*down + time.Second
				counts := restart(t, test.servers, down, until, test.lose, test.connect)
				compareStorm(t, counts, expectedAttempts(stormBackoff, clients, down, until))
			})
		}
	}
}

// compareStorm says what is wrong with the number of attempts in each step of grid.
func compareStorm(t *testing.T, counts []int, expected []float64) {
	all := 0
	for _, n := range counts {
		all += n
	}
	if all < clients {
		t.Errorf("%d attempts of %d clients", all, clients)
	}
	jittered := float64(clients) / stormBackoff.Base.Seconds()
	for _, w := range stormWindows {
		got, want := peak(counts, w), peak(expected, w)
		t.Logf("in %v: at most %.0f attempts, expected %.0f: %.2f times; %.0f a second", w, got, want, got/want, got/w.Seconds())
		if want < enough {
			continue
		}
		if got > 1.5*want {
			t.Errorf("in %v: %.0f attempts, want at most half as many again as %.0f", w, got, want)
		}
		// In a short window chance alone may make it more.
		if want/w.Seconds() > 1.5*jittered || w >= stormBackoff.Base && got/w.Seconds() > 1.5*jittered {
			t.Errorf("in %v: %.0f attempts a second, want at most half as many again as %.0f", w, got/w.Seconds(), jittered)
		}
	}
}

// picked makes the error of a pick an error.
func picked[E interface{ error }](c Client, err E) (Client, error) {
	if c != nil {
		return c, nil
	}
	return nil, err
}
