package workload

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rpcx-go/rpcx/bench/measure"
)

// A Phase is what the callers of a cell did in one stretch of time.
type Phase struct {
	// Messages is how many messages the calls that ended brought back.
	Messages int64 `json:"messages"`
	// Elapsed is how long the phase took, the last calls' ends included.
	Elapsed time.Duration `json:"elapsed_ns"`
	// P50, P99 and P999 are quantiles of the time that a call took; for
	// streams, a whole stream.
	P50  time.Duration `json:"p50_ns"`
	P99  time.Duration `json:"p99_ns"`
	P999 time.Duration `json:"p999_ns"`
	// BesideBytes is how much came for those who worked beside the callers, and
	// BesideElapsed how long it took them.
	BesideBytes   int64         `json:"beside_bytes,omitempty"`
	BesideElapsed time.Duration `json:"beside_elapsed_ns,omitempty"`
}

// histograms is how many histograms the callers share, so that counting costs
// neither a contended cache line nor one histogram per caller.
const histograms = 16

// RunPhase lets every caller call for the given time, and those beside them
// as long. The first error ends the phase: a benchmark of failing calls tells nothing.
func RunPhase(cell Cell, callers, beside []Caller, length time.Duration) (Phase, error) {
	var (
		stop          atomic.Bool
		calls, others atomic.Int64
		group, aside  sync.WaitGroup
		latency       [histograms]measure.Histogram
		unmeasured    measure.Histogram
		errs          = make([]error, len(callers)+len(beside))
	)
	run := func(i int, call Caller, latency *measure.Histogram, total *atomic.Int64) {
		n, err := callUntil(&stop, call, latency)
		total.Add(n)
		if err != nil {
			errs[i] = fmt.Errorf("caller %d, after %d calls: %w", i, n, err)
			stop.Store(true)
		}
	}
	start := time.Now()
	timer := time.AfterFunc(length, func() { stop.Store(true) })
	defer timer.Stop()
	for i, call := range beside {
		aside.Go(func() { run(len(callers)+i, call, &unmeasured, &others) })
	}
	for i, call := range callers {
		group.Go(func() { run(i, call, &latency[i%histograms], &calls) })
	}
	group.Wait()
	elapsed := time.Since(start)
	aside.Wait()
	if err := errors.Join(errs...); err != nil {
		return Phase{}, err
	}
	q := measure.Quantiles(latency[:], 0.5, 0.99, 0.999)
	phase := Phase{
		Messages: calls.Load() * int64(cell.MessagesPerCall()),
		Elapsed:  elapsed,
		P50:      q[0], P99: q[1], P999: q[2],
	}
	if other, ok := cell.Beside(); ok {
		phase.BesideBytes = others.Load() * int64(other.MessagesPerCall()) * int64(other.Bytes)
		phase.BesideElapsed = time.Since(start)
	}
	return phase, nil
}

// callUntil calls until stop is set or a call fails, and returns how many
// calls succeeded.
func callUntil(stop *atomic.Bool, call Caller, latency *measure.Histogram) (n int64, err error) {
	last := time.Now()
	for !stop.Load() {
		if err := call(); err != nil {
			return n, err
		}
		now := time.Now()
		latency.Record(now.Sub(last))
		last = now
		n++
	}
	return n, nil
}

// CallOnce lets every caller make one call, at most as many at a time as said.
func CallOnce(callers []Caller, atOnce int) error {
	var (
		next  atomic.Int64
		group sync.WaitGroup
		errs  = make([]error, min(atOnce, len(callers)))
	)
	for i := range errs {
		group.Go(func() {
			for errs[i] == nil {
				n := int(next.Add(1)) - 1
				if n >= len(callers) {
					return
				}
				errs[i] = callers[n]()
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}
