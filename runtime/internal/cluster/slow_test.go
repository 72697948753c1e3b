package cluster_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
)

// exponential draws times with the given mean. It may be used concurrently.
type exponential struct {
	mu     sync.Mutex
	random *rand.Rand
}

func (e *exponential) draw(mean time.Duration) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return time.Duration(e.random.ExpFloat64() * float64(mean))
}

// slowOne makes calls at random times, rate per second on average, to ten servers
// with eight workers each, which take 1 ms on average, and the last of them ten
// times that. It returns the last one's share and the 99th percentile of the
// latencies.
func slowOne(t *testing.T, b address.Balancer, calls int, rate float64, seed uint64) (share float64, p99 time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		names := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "slow"}
		times := exponential{random: rand.New(rand.NewPCG(seed, 0))}
		workers := map[string]chan struct{}{}
		for _, name := range names {
			workers[name] = make(chan struct{}, 8)
		}
		f.work = func(_ context.Context, name string) {
			workers[name] <- struct{}{}
			defer func() { <-workers[name] }()
			mean := time.Millisecond
			if name == "slow" {
				mean *= 10
			}
			time.Sleep(times.draw(mean))
		}
		f.up(names...)
		f.register(names...)
		conn := f.conn(rpcx.WithBalancer(b))
		var mu sync.Mutex
		var all sync.WaitGroup
		var took []time.Duration
		slow := 0
		for range calls {
			time.Sleep(times.draw(time.Duration(float64(time.Second) / rate)))
			all.Go(func() {
				start := time.Now()
				name, err := who(t.Context(), conn)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if took = append(took, time.Since(start)); name == "slow" {
					slow++
				}
			})
		}
		all.Wait()
		slices.Sort(took)
		share, p99 = float64(slow)/float64(calls), took[len(took)*99/100]
	})
	return share, p99
}

// TestSlowServer: one of ten servers takes ten times as long as the others.
func TestSlowServer(t *testing.T) {
	for seed, rate := range []float64{200, 1000, 6000} { // of the 8,000 that round robin can take
		const calls = 3000
		fair, want := slowOne(t, address.RoundRobin{}, calls, rate, uint64(seed))
		share, p99 := slowOne(t, address.P2C{}, calls, rate, uint64(seed))
		t.Logf("%.0f calls/s: p2c sends it %.2f %%, p99 %v; round robin %.1f %%, p99 %v", rate, 100*share, p99, 100*fair, want)
		if share > 0.025 || p99 > want/2 || fair < 0.09 || fair > 0.11 {
			t.Errorf("%.0f calls/s: want at most 2.5 %% and half of round robin's p99", rate)
		}
	}
}
