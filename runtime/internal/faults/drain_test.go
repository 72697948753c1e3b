package faults_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/faults"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
)

// TestDrains has another server take over every 10 ms while unary calls run:
// none fails.
func TestDrains(t *testing.T) {
	calls := howMany(2_000, 100_000)
	t.Run("memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			network := rpcxtest.NewNetwork()
			network.WrapDial = slow
			drainOften(t, newWorld(network), calls, faults.Once, faults.Repeat, faults.Inline)
		})
	})
	// A listener that closes resets the connections that it has not accepted: the
	// calls that wait for them go elsewhere, those sent early may have run.
	t.Run("TCP", func(t *testing.T) {
		w := realWorld()
		conn, err := w.Dial(rpcx.WithDefaultCallOptions(rpcx.WithWaitForReady(true)), rpcx.WithBackoff(time.Millisecond, 10*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		w.Agent.Conn = conn
		drainOften(t, w, calls, faults.Once)
	})
}

func drainOften(t *testing.T, w *faults.World, calls int, kinds ...faults.Kind) {
	const callers = 64
	done := make(chan struct{})
	drained := make(chan int)
	go func() { drained <- drainEvery(w, 10*time.Millisecond, done) }()
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(c), 8))
			for id := uint64(c); id < uint64(calls); id += callers {
				_ = w.Agent.Do(t.Context(), faults.Order{
					ID: id + 1, Kind: kinds[r.IntN(len(kinds))], SendSize: r.IntN(100), AnswerSize: r.IntN(100),
					Work: time.Duration(r.IntN(15)) * time.Millisecond, Timeout: time.Minute, Patient: true,
				})
			}
		})
	}
	all.Wait()
	close(done)
	servers := <-drained
	w.Close()
	report(t, w, "drains")
	n, good := w.Journal.Totals()
	t.Logf("%d calls, %d of them succeeded, %d servers", n, good, servers)
	if servers < 10 || n != calls || good != n {
		t.Errorf("%d of %d calls succeeded, over %d servers", good, calls, servers)
	}
}

// drainEvery lets servers take over from each other until done.
func drainEvery(w *faults.World, pause time.Duration, done <-chan struct{}) (servers int) {
	var stops sync.WaitGroup
	defer stops.Wait()
	for servers = 1; ; servers++ {
		select {
		case <-time.After(pause):
		case <-done:
			return servers
		}
		stop := w.Start()
		stops.Go(func() {
			stop(func(srv *rpcx.Server) {
				if err := srv.Shutdown(context.Background()); err != nil {
					w.Journal.Wrong("Shutdown: %v", err)
				}
			})
		})
	}
}
