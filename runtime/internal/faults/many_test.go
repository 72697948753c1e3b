package faults_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/faults"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// howMany returns short, or in the whole form long.
func howMany(short, long int) int {
	if whole {
		return long
	}
	return short
}

// TestCancels makes calls of which many are given up about when they are
// answered, so that answers and cancellations cross. Each answer has its call's number.
func TestCancels(t *testing.T) {
	calls := howMany(5_000, 300_000)
	if level == "more" {
		calls = 50_000
	}
	t.Run("memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { manyCancels(t, newWorld(rpcxtest.NewNetwork()), calls, time.Millisecond) })
	})
	t.Run("TCP", func(t *testing.T) { manyCancels(t, realWorld(), calls, 10*time.Millisecond) })
}

// realWorld is a world over TCP, where the machine may be busy with other things.
func realWorld(opts ...rpcx.Option) *faults.World {
	w := newWorld(new(faults.Loopback), opts...)
	w.Journal.Slack = 20 * time.Second
	return w
}

// manyCancels makes calls that take one to three units.
func manyCancels(t *testing.T, w *faults.World, calls int, unit time.Duration) {
	const callers = 50
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(c), 7))
			for i := range calls / callers {
				_ = w.Agent.Do(t.Context(), randomCancel(r, uint64(i*callers+c+1), unit))
			}
		})
	}
	all.Wait()
	w.Close()
	report(t, w, "cancels")
	n, good := w.Journal.Totals()
	t.Logf("%d calls, %d of them answered", n, good)
	_, busy := w.Net.(*faults.Loopback) // then less is answered in time
	if n != calls || good > n*3/4 || good < n/4 && !busy || good == 0 {
		t.Errorf("%d of %d calls were answered, which proves little", good, n)
	}
}

// randomCancel is a call that is given up a moment before its answer, at the
// same moment, or a moment later.
func randomCancel(r *rand.Rand, id uint64, unit time.Duration) faults.Order {
	o := faults.Order{
		ID: id, Kind: faults.Kind(r.IntN(int(faults.Kinds))), Sends: 2, Answers: 2,
		SendSize: r.IntN(100), AnswerSize: r.IntN(100), Timeout: time.Minute, Patient: true,
		Work: time.Duration(1+r.IntN(3)) * unit,
	}
	end := o.Work + time.Duration(r.IntN(3)-1)*unit/2
	if r.IntN(3) == 0 {
		o.Timeout, o.Patient = end, false
	} else {
		o.CancelAfter = end
	}
	return o
}

// TestSleepingReaders has four streams of answers that nobody takes, beside
// unary calls on the same connection, which do not notice.
func TestSleepingReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(rpcxtest.NewNetwork())
		var all sync.WaitGroup
		for s := range uint64(4) {
			all.Go(func() {
				_ = w.Agent.Do(t.Context(), faults.Order{
					ID: 1_000_000 + s, Kind: faults.Down, Answers: 200, AnswerSize: 20_000,
					Pause: time.Second, Timeout: time.Hour, Patient: true,
				})
			})
		}
		time.Sleep(time.Second)
		for i := range howMany(1_000, 20_000) {
			start := time.Now()
			_ = w.Agent.Do(t.Context(), faults.Order{
				ID: uint64(i + 1), Kind: faults.Kind(i % 3), SendSize: 100, AnswerSize: i % 70_000, Timeout: time.Second, Patient: true,
			})
			if took := time.Since(start); took != 0 {
				t.Fatalf("call %d took %v beside sleeping readers", i, took)
			}
		}
		all.Wait()
		w.Close()
		report(t, w, "sleeping readers")
	})
}

// TestLargerThanAllWindows sends messages larger than the windows of stream and
// connection, and than the network holds, both ways at once on several streams.
func TestLargerThanAllWindows(t *testing.T) {
	for _, size := range []int{64 << 10, 200_000, 1 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := rpcxtest.NewNetwork()
				network.Buffer = 16 << 10
				largeBothWays(t, newWorld(network, small()...), size)
			})
		})
		t.Run(fmt.Sprint(size, " over TCP"), func(t *testing.T) { largeBothWays(t, realWorld(small()...), size) })
	}
}

func largeBothWays(t *testing.T, w *faults.World, size int) {
	var all sync.WaitGroup
	for i := range howMany(8, 64) {
		all.Go(func() {
			_ = w.Agent.Do(t.Context(), faults.Order{
				ID: uint64(i + 1), Kind: faults.Kind(int(faults.Both) - i%3), Sends: 4, Answers: 4,
				SendSize: size, AnswerSize: size, Timeout: time.Minute, Patient: true,
			})
		})
	}
	all.Wait()
	w.Close()
	report(t, w, "messages larger than all windows")
}

// TestStreamsOverManyCancels has no credit get lost while streams are given up
// in the middle: in the end the connection carries as much as in the beginning.
func TestStreamsOverManyCancels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := rpcxtest.NewNetwork()
		var ledger *faults.Ledger
		network.WrapDial = ledgerOf(&ledger)
		w := newWorld(network, small()...)
		var all sync.WaitGroup
		for c := range 16 {
			all.Go(func() {
				r := rand.New(rand.NewPCG(uint64(c), 9))
				for i := range howMany(20, 400) {
					_ = w.Agent.Do(t.Context(), faults.Order{
						ID: uint64(i*16 + c + 1), Kind: faults.Kind(int(faults.Both) - r.IntN(3)), Sends: 5, Answers: 5,
						SendSize: r.IntN(40_000), AnswerSize: r.IntN(40_000), Timeout: time.Minute, Patient: true,
						Leave: r.IntN(4), Pause: time.Duration(r.IntN(2)) * time.Millisecond,
						CancelAfter: time.Duration(r.IntN(3)) * time.Millisecond,
						Code:        []status.Code{status.OK, status.Aborted}[r.IntN(2)],
					})
				}
			})
		}
		all.Wait()
		synctest.Wait()
		if err := ledger.Lost(); err != nil {
			t.Error(err)
		}
		w.Close()
		report(t, w, "streams")
	})
}
