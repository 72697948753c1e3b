package sim

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/faults"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
)

// Each of these networks breaks one promise; the checks must notice. The plan
// holds all promises where nothing is mutated.
var mutations = []struct {
	name   string
	plan   *plan
	mutate func() func(net.Conn) net.Conn
	want   string // in one of the violations
}{
	{"double delivery", onePlan(unaries(1, 4)), doubleDelivery, "ran 2 times"},
	{"lost credit of the connection", onePlan(streams(20_000)), loseCredit(true), "credit of the connection is lost"},
	{"lost credit of streams", onePlan(streams(20_000)), loseCredit(false), "an error that nothing explains: DEADLINE_EXCEEDED"},
	{"wrong last id, a call that is sent again", drainPlan(faults.Once), wrongLastID, "ran 2 times"},
	{"wrong last id, a call that says it never ran", drainPlan(faults.Down), wrongLastID, "says that it never ran"},
	{"answer to the wrong caller", onePlan(unaries(1, 1), unaries(10, 1)), swapAnswers, "arrived at call"},
	{"lost answer", onePlan(unaries(1, 2)), loseAnswer, "an error that nothing explains: DEADLINE_EXCEEDED"},
	{"request cut short", onePlan(streams(50)), loseMessage, "the stream ended after"},
	{"error made up", onePlan(unaries(1, 2)), failAnswer, "an error that nothing explains: DATA_LOSS"},
}

func TestMutations(t *testing.T) {
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			if res := runPlan(t, m.plan, nil); len(res.Wrong) > 0 {
				t.Fatalf("without the mutation: %v", res)
			}
			res := runPlan(t, m.plan, m.mutate())
			if !strings.Contains(strings.Join(res.Wrong, "\n"), m.want) {
				t.Errorf("no violation says %q: %v", m.want, res)
			}
		})
	}
}

// onePlan is a plan of good connections, with a worker for each list of orders.
func onePlan(workers ...[]faults.Order) *plan {
	const window = 64 << 10
	p := &plan{buffer: 64 << 10, window: window, streams: 4096, workers: workers}
	p.options = []rpcx.Option{rpcx.WithStreamWindow(window), rpcx.WithConnWindow(window)}
	p.script.Steps, p.script.Within = 1, 1
	for _, orders := range workers {
		p.pauses = append(p.pauses, make([]time.Duration, len(orders)))
	}
	return p
}

func unaries(first uint64, n int) (orders []faults.Order) {
	for i := range uint64(n) {
		orders = append(orders, faults.Order{
			ID: first + i, Kind: faults.Once, SendSize: 50, AnswerSize: 50,
			Work: 10 * time.Millisecond, Timeout: 5 * time.Second, Patient: true,
		})
	}
	return orders
}

func streams(size int) []faults.Order {
	return []faults.Order{{
		ID: 1, Kind: faults.Up, Sends: 9, SendSize: size, AnswerSize: size,
		Timeout: 5 * time.Second, Patient: true,
	}}
}

// drainPlan is a plan whose server is drained while a call runs.
func drainPlan(kind faults.Kind) *plan {
	p := onePlan([]faults.Order{{
		ID: 1, Kind: kind, Answers: 2, SendSize: 50, AnswerSize: 50,
		Work: 100 * time.Millisecond, Timeout: 5 * time.Second, Patient: true,
	}})
	p.events = []event{{after: 50 * time.Millisecond, what: drain, grace: time.Minute}}
	return p
}

// middle makes a mutation of rewriting functions that share a lock.
func middle(toServer, toClient faults.Rewrite) func(net.Conn) net.Conn {
	var mu sync.Mutex
	locked := func(f faults.Rewrite) faults.Rewrite {
		if f == nil {
			return nil
		}
		return func(fr faults.Frame) []faults.Frame {
			mu.Lock()
			defer mu.Unlock()
			return f(fr)
		}
	}
	return func(c net.Conn) net.Conn { return faults.Middle(c, locked(toServer), locked(toClient)) }
}

// doubleDelivery sends the second OPEN twice, under two ids; the ids behind it
// are moved to make room, and what is said about the copy is dropped.
func doubleDelivery() func(net.Conn) net.Conn {
	var opens int
	var copied uint64
	return middle(func(f faults.Frame) []faults.Frame {
		if copied != 0 && f.ID() >= copied {
			f.SetID(f.ID() + 2)
			return []faults.Frame{f}
		}
		if f.Type() != faults.Open {
			return []faults.Frame{f}
		}
		if opens++; opens != 2 {
			return []faults.Frame{f}
		}
		again := f
		copied = f.ID() + 2
		again.SetID(copied)
		return []faults.Frame{f, again}
	}, func(f faults.Frame) []faults.Frame {
		switch {
		case copied == 0 || f.ID() < copied:
		case f.ID() == copied:
			return nil
		default:
			f.SetID(f.ID() - 2)
		}
		return []faults.Frame{f}
	})
}

// loseCredit drops the server's CREDIT frames, of the connection or of streams.
func loseCredit(connection bool) func() func(net.Conn) net.Conn {
	return func() func(net.Conn) net.Conn {
		return middle(nil, func(f faults.Frame) []faults.Frame {
			if f.Type() == faults.Credit && (f.ID() == 0) == connection {
				return nil
			}
			return []faults.Frame{f}
		})
	}
}

// wrongLastID has GOAWAY say that nothing was accepted.
func wrongLastID() func(net.Conn) net.Conn {
	return middle(nil, func(f faults.Frame) []faults.Frame {
		if f.Type() == faults.GoAway && f.ID() < 1<<63 {
			f.SetID(0)
		}
		return []faults.Frame{f}
	})
}

// swapAnswers exchanges the first two answers.
func swapAnswers() func(net.Conn) net.Conn {
	var first *faults.Frame
	swapped := false
	return middle(nil, func(f faults.Frame) []faults.Frame {
		switch {
		case f.Type() != faults.Close || swapped:
			return []faults.Frame{f}
		case first == nil:
			first = &f
			return nil
		}
		swapped = true
		a, b := first.ID(), f.ID()
		first.SetID(b)
		f.SetID(a)
		return []faults.Frame{*first, f}
	})
}

// loseAnswer drops the second answer.
func loseAnswer() func(net.Conn) net.Conn {
	closes := 0
	return middle(nil, func(f faults.Frame) []faults.Frame {
		if f.Type() == faults.Close {
			if closes++; closes == 2 {
				return nil
			}
		}
		return []faults.Frame{f}
	})
}

// loseMessage drops the second message of a stream.
func loseMessage() func(net.Conn) net.Conn {
	messages := 0
	return middle(func(f faults.Frame) []faults.Frame {
		const whole = faults.Message | faults.More
		if f.Type() == faults.Data && f.Flags()&whole == faults.Message {
			if messages++; messages == 2 {
				return nil
			}
		}
		return []faults.Frame{f}
	}, nil)
}

// failAnswer turns the second answer into an error.
func failAnswer() func(net.Conn) net.Conn {
	closes := 0
	return middle(nil, func(f faults.Frame) []faults.Frame {
		if f.Type() == faults.Close {
			if closes++; closes == 2 {
				f.SetFlags(0)
				f.SetBody(nil)
				f.SetCode(15)
			}
		}
		return []faults.Frame{f}
	})
}
