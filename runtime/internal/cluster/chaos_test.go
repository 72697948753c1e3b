package cluster_test

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// chaosSeeds is how many there are for each way to connect.
const chaosSeeds = 1

// TestChaos: servers come, go, restart and cannot be reached at random, and
// connections are reset, while one of them is always there and in the registry. A
// call fails only if it was under way to a server that died, and few wait for a
// server that cannot be reached.
func TestChaos(t *testing.T) {
	ways := map[string][]rpcx.DialOption{
		"single":  nil,
		"several": {rpcx.WithConnections(3)},
		"pooled":  {rpcx.WithPooledConnections(4)},
		"short":   {rpcx.WithShortConnections()},
		"hash":    {rpcx.WithBalancer(address.Hash{})},
		"aging":   {rpcx.WithConnectionLifetime(2 * time.Second), rpcx.WithIdleTimeout(time.Second)},
	}
	for name, opts := range ways {
		for seed := range uint64(chaosSeeds) {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { chaos(t, seed, opts) })
			})
		}
	}
}

func chaos(t *testing.T, seed uint64, opts []rpcx.DialOption) {
	f := newFleet(t)
	random := rand.New(rand.NewPCG(seed, 0))
	var mu sync.Mutex
	hangs := map[string]bool{}
	dial := f.dial
	f.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		mu.Lock()
		hang := hangs[addr]
		mu.Unlock()
		if hang {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return dial(ctx, network, addr)
	}
	f.work = func(context.Context, string) { time.Sleep(time.Millisecond) }
	names := []string{"rock", "b", "c", "d", "e"}
	f.up(names...)
	f.register(names...)
	conn := f.conn(opts...)
	ctx, cancel := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	good, failed, slow := 0, 0, 0
	for i := range 5 {
		callers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				start := time.Now()
				_, err := who(t.Context(), conn, rpcx.WithRouteKey(rpcx.IntKey(int64(100*i+n%100))))
				took := time.Since(start)
				mu.Lock()
				switch e := status.FromError(err); {
				case err == nil:
					good++
				case e.Code() != status.Unavailable || e.NotRun():
					t.Errorf("seed %d, at %v: %v, not run %v", seed, start.Format("05.000"), err, e.NotRun())
				default:
					failed++
				}
				if took > 100*time.Millisecond {
					slow++
				}
				if took > 1100*time.Millisecond {
					t.Errorf("seed %d, at %v: a call took %v: %v", seed, start.Format("05.000"), took, err)
				}
				mu.Unlock()
				time.Sleep(7 * time.Millisecond)
			}
		})
	}
	up, listed := map[string]bool{}, map[string]bool{}
	for _, name := range names {
		up[name], listed[name] = true, true
	}
	var drains sync.WaitGroup
	for range 100 {
		time.Sleep(time.Duration(random.Int64N(int64(200 * time.Millisecond))))
		name := names[1+random.IntN(len(names)-1)]
		switch random.IntN(6) {
		case 0: // it dies
			f.servers[name].Close()
			up[name] = false
		case 1: // it drains
			srv := f.servers[name]
			drains.Go(func() { srv.Shutdown(t.Context()) })
			synctest.Wait()
			up[name] = false
		case 2, 3:
			if !up[name] {
				f.up(name)
				up[name] = true
			}
		case 4:
			mu.Lock()
			hangs[name] = !hangs[name]
			mu.Unlock()
		case 5:
			if listed[name] {
				f.deregister(name)
			} else {
				f.register(name)
			}
			listed[name] = !listed[name]
		}
	}
	cancel()
	callers.Wait()
	drains.Wait()
	t.Logf("%d calls succeeded, %d failed, %d waited", good, failed, slow)
	if conn.Close(); good < 1000 || failed > good/20 || slow > 80 {
		t.Errorf("seed %d: %d calls succeeded, %d failed, %d waited", seed, good, failed, slow)
	}
}
