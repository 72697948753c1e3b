// Package sim runs random schedules of calls over a bad network, each from a
// seed, and says which promises were broken. A seed reproduces the calls, the
// faults and the virtual time, not the order in which goroutines run.
package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/faults"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// plan is what a seed stands for.
type plan struct {
	seed    uint64
	breaks  bool // connections are cut, servers restarted at once
	buffer  int  // of the network
	window  int  // of streams and connections
	streams int  // that a server accepts at once
	options []rpcx.Option
	script  rpcxtest.RandomScript
	workers [][]faults.Order
	pauses  [][]time.Duration // before each call
	events  []event
}

// event is something that happens to the network or the server.
type event struct {
	after time.Duration // since the one before
	what  happening
	grace time.Duration // of a shutdown
}

type happening uint8

const (
	reset   happening = iota // all connections are reset
	restart                  // another server takes over, the old one is closed
	drain                    // another server takes over, the old one is shut down
)

func (h happening) String() string { return [...]string{"reset", "restart", "drain"}[h] }

// duration draws an exponentially distributed duration below 10 × mean.
func duration(r *rand.Rand, mean time.Duration) time.Duration {
	return time.Duration(min(r.ExpFloat64(), 10) * float64(mean))
}

func chance(r *rand.Rand, percent int) bool { return r.IntN(100) < percent }

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// newPlan draws the plan of a seed.
func newPlan(seed uint64) *plan {
	r := rand.New(rand.NewPCG(seed, 1))
	p := &plan{
		seed:    seed,
		breaks:  chance(r, 60),
		buffer:  pick(r, 300, 4<<10, 64<<10),
		window:  pick(r, 64<<10, 64<<10, 1<<20),
		streams: pick(r, 16, 4096),
		script:  rpcxtest.RandomScript{Steps: r.IntN(16), Within: pick(r, int64(2_000), 50_000), MaxPiece: pick(r, 3, 64, 4096)},
	}
	if chance(r, 70) {
		p.script.MaxDelay = pick(r, time.Millisecond, 50*time.Millisecond, 500*time.Millisecond)
	}
	p.script.Breaks = p.breaks && chance(r, 80)
	p.script.Steps = max(p.script.Steps, 1)
	p.options = []rpcx.Option{rpcx.WithStreamWindow(p.window), rpcx.WithConnWindow(p.window)}
	if chance(r, 30) {
		p.options = append(p.options, rpcx.WithChecksums())
	}
	if chance(r, 30) {
		p.options = append(p.options, rpcx.WithCompression(pick(r, "gzip", "zstd", "s2"), 100))
	}
	p.drawEvents(r)
	if len(p.events) > 0 && !p.breaks {
		// A server that has drained waits a second for what is under way.
		p.script.MaxDelay = min(p.script.MaxDelay, 20*time.Millisecond)
	}
	p.drawOrders(r)
	return p
}

func (p *plan) drawEvents(r *rand.Rand) {
	if chance(r, 40) {
		return
	}
	for range 1 + r.IntN(4) {
		e := event{after: duration(r, 50*time.Millisecond), what: drain, grace: time.Minute}
		if p.breaks {
			e.what = pick(r, reset, restart, drain)
			e.grace = duration(r, time.Second)
		}
		p.events = append(p.events, e)
	}
}

func (p *plan) drawOrders(r *rand.Rand) {
	id := uint64(0)
	count := pick(r, 1, 4, 24)
	for range count {
		var orders []faults.Order
		var pauses []time.Duration
		for range 1 + r.IntN(40/count+3) {
			id++
			orders = append(orders, p.order(r, id))
			pauses = append(pauses, duration(r, 10*time.Millisecond))
		}
		p.workers = append(p.workers, orders)
		p.pauses = append(p.pauses, pauses)
	}
}

func (p *plan) order(r *rand.Rand, id uint64) faults.Order {
	o := faults.Order{
		ID: id, Kind: faults.Kind(r.IntN(int(faults.Kinds))),
		Sends: r.IntN(6), Answers: r.IntN(6),
		SendSize: size(r), AnswerSize: size(r),
		Work:      duration(r, pick(r, 0, time.Millisecond, 30*time.Millisecond)),
		ByContext: chance(r, 50),
		Timeout:   10 * time.Minute,
		Crowded:   p.streams == 16,
	}
	if chance(r, 10) {
		o.Code = pick(r, status.NotFound, status.Aborted, status.DataLoss)
	}
	switch r.IntN(5) {
	case 0:
		o.CancelAfter = duration(r, 30*time.Millisecond)
	case 1:
		o.Leave = 1 + r.IntN(4)
	case 2:
		o.Pause = duration(r, 20*time.Millisecond)
	}
	o.Patient = !p.breaks && (len(p.events) == 0 || o.Kind <= faults.Inline)
	if p.breaks || chance(r, 20) {
		o.Patient = false
		o.Timeout = duration(r, pick(r, 10*time.Millisecond, time.Second, 5*time.Second))
	}
	return o
}

func size(r *rand.Rand) int {
	switch n := r.IntN(100); {
	case n < 70:
		return r.IntN(200)
	case n < 94:
		return r.IntN(20_000)
	default:
		return 60_000 + r.IntN(40_000)
	}
}

// String returns what is not in the trace.
func (p *plan) String() string {
	return fmt.Sprintf("seed %d: breaks %v, buffer %d, window %d, streams %d, %d options, script %+v, events %v",
		p.seed, p.breaks, p.buffer, p.window, p.streams, len(p.options), p.script, p.events)
}
