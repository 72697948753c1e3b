package faults_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/rpcx-go/rpcx/runtime/internal/faults"
	"github.com/rpcx-go/rpcx/runtime/internal/leaktest"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
)

// level says how long the tests are: FAULTS=whole runs every offset, every bit and
// the full number of calls; FAULTS=more is between that and the short form.
var (
	level = os.Getenv("FAULTS")
	whole = level == "whole"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(leaktest.Buffers(m)) }

// timeout is the deadline of recorded calls.
const timeout = 2 * time.Second

// orders are the calls that are recorded: a small one of each kind.
func orders() (all []faults.Order) {
	for kind := range faults.Kinds {
		all = append(all, faults.Order{
			ID: uint64(kind) + 1, Kind: kind, Sends: 3, Answers: 3, SendSize: 20, AnswerSize: 20,
			Work: time.Millisecond, Timeout: timeout, ByContext: kind%2 == 0,
		})
	}
	return all
}

// large returns o with messages of several frames, larger than the smallest windows.
func large(o faults.Order) faults.Order {
	o.Sends, o.Answers = 2, 2
	o.SendSize, o.AnswerSize = 70_000, 70_000
	return o
}

// small are options of windows that a large message does not fit.
func small() []rpcx.Option {
	return []rpcx.Option{rpcx.WithStreamWindow(64 << 10), rpcx.WithConnWindow(64 << 10)}
}

// end says which end of a connection a fault is at.
type end bool

const (
	atClient end = false
	atServer end = true
)

func (e end) String() string {
	if e == atServer {
		return "server"
	}
	return "client"
}

// faulty returns a network whose first connection has the steps at the given
// end, or all connections if every is set. The others hold.
func faulty(at end, every bool, steps ...rpcxtest.Step) *rpcxtest.Network {
	var mu sync.Mutex
	used := false
	wrap := func(c *rpcxtest.Conn) net.Conn {
		mu.Lock()
		defer mu.Unlock()
		if used && !every {
			return c
		}
		used = true
		return rpcxtest.NewFault(c, steps...)
	}
	network := rpcxtest.NewNetwork()
	if at == atClient {
		network.WrapDial = wrap
	} else {
		network.WrapAccept = wrap
	}
	return network
}

// record makes the call over a network without faults and returns what each
// direction carried, as the client sees them.
func record(t *testing.T, o faults.Order, opts ...rpcx.Option) (recorded [2][]byte) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		network := rpcxtest.NewNetwork()
		var tap *tapped
		network.WrapDial = func(c *rpcxtest.Conn) net.Conn {
			tap = &tapped{Conn: c}
			return tap
		}
		w := newWorld(network, opts...)
		if err := w.Agent.Do(t.Context(), o); err != nil {
			t.Fatalf("without faults: %v", err)
		}
		w.Close()
		report(t, w, "without faults")
		recorded = tap.seen
	})
	return recorded
}

func newWorld(network faults.Network, opts ...rpcx.Option) *faults.World {
	var sopts []rpcx.ServerOption
	var dopts []rpcx.DialOption
	for _, o := range opts {
		sopts, dopts = append(sopts, o), append(dopts, o)
	}
	return faults.NewWorld(network, sopts, dopts)
}

// tapped keeps what passes.
type tapped struct {
	*rpcxtest.Conn
	mu   sync.Mutex
	seen [2][]byte
}

func (c *tapped) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.keep(rpcxtest.Outbound, p[:n])
	return n, err
}

func (c *tapped) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.keep(rpcxtest.Inbound, p[:n])
	return n, err
}

func (c *tapped) keep(in rpcxtest.Direction, p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[in] = append(c.seen[in], p...)
}

// report fails the test if a promise was broken. The world has been closed.
func report(t *testing.T, w *faults.World, what string) {
	t.Helper()
	if _, real := w.Net.(*faults.Loopback); !real {
		synctest.Wait() // until observers have been told
	}
	for late := time.Now().Add(10 * time.Second); !w.Journal.Told() && time.Now().Before(late); {
		time.Sleep(time.Millisecond)
	}
	if wrong := w.Journal.Check(); len(wrong) > 0 {
		t.Errorf("%s:\n%s\ntrace:\n%s", what, wrong, w.Journal.Trace())
	}
}

// cuts are the ways in which a connection breaks.
var cuts = []struct {
	name   string
	action rpcxtest.Action
}{{"FIN", rpcxtest.FIN()}, {"RST", rpcxtest.RST()}, {"stall", rpcxtest.Stall()}}

// direction returns the direction of a fault at e for what the client sends, or reads.
func (e end) direction(sent bool) rpcxtest.Direction {
	if sent == (e == atClient) {
		return rpcxtest.Outbound
	}
	return rpcxtest.Inbound
}

// offsets returns the places at which a recording is cut: each one, or, in
// short, every step-th beginning at skew, and always so many from the byte before
// each header on.
func offsets(recorded []byte, step, skew, around int) (all []int64) {
	near := map[int64]bool{}
	for _, at := range faults.HeaderOffsets(recorded) {
		for d := range int64(around) {
			near[at+d-1] = true
		}
	}
	for at := range int64(len(recorded)) + 1 {
		if near[at] || (int(at)+skew)%step == 0 {
			all = append(all, at)
		}
	}
	return all
}

// TestCuts breaks the connection of a call of each kind at every byte, in both
// directions, at both ends.
func TestCuts(t *testing.T) {
	for _, o := range orders() {
		t.Run(o.Kind.String(), func(t *testing.T) {
			t.Parallel()
			step := 13
			if whole {
				step = 1
			}
			cutEverywhere(t, o, step, 4)
		})
	}
}

// TestCutsInLargeMessages does the same with messages of several frames, at the
// edges of all frames.
func TestCutsInLargeMessages(t *testing.T) {
	for _, o := range orders() {
		t.Run(o.Kind.String(), func(t *testing.T) {
			t.Parallel()
			step, near := 70_000, 1
			if whole {
				step, near = 1009, 4
			}
			cutEverywhere(t, large(o), step, near, small()...)
		})
	}
}

func cutEverywhere(t *testing.T, o faults.Order, step, near int, opts ...rpcx.Option) {
	recorded := record(t, o, opts...)
	brief := !whole && o.SendSize > 1_000 // a quarter of the ways to do it
	runs := 0
	for dir, bytes := range recorded {
		sent := dir == int(rpcxtest.Outbound)
		for _, at := range []end{atClient, atServer} {
			for c, cut := range cuts {
				for _, after := range offsets(bytes, step, c*step/3, near) {
					for _, every := range []bool{false, true} {
						if brief && (int(after)+c)%4 != 2*b2i(at == atServer)+b2i(every) {
							continue
						}
						cutOnce(t, o, at, every, rpcxtest.Step{In: at.direction(sent), After: after, Do: cut.action}, opts...)
						runs++
						if t.Failed() {
							return
						}
					}
				}
			}
		}
	}
	t.Logf("%d runs", runs)
}

// cutOnce makes the call while one step happens, and then others, which must
// succeed once they have a connection that holds.
func cutOnce(t *testing.T, o faults.Order, at end, every bool, step rpcxtest.Step, opts ...rpcx.Option) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(faulty(at, every, step), opts...)
		_ = w.Agent.Do(t.Context(), o)
		if stalled := step.Do == rpcxtest.Stall(); !every && !stalled {
			time.Sleep(time.Second) // the end may still be on its way
			again := o
			again.SendSize, again.AnswerSize = 20, 20
			for again.ID < o.ID+300 {
				again.ID += 100
				again.Patient = again.ID > o.ID+100 // the first may meet an end that was due
				_ = w.Agent.Do(context.Background(), again)
			}
		}
		w.Close()
		report(t, w, fmt.Sprintf("%v, at the %v, every connection %v, %v", o, at, every, step))
	})
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
