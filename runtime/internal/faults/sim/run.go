package sim

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/faults"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest/memnet"
)

// Result is what came of one schedule.
type Result struct {
	Seed uint64
	// Calls is how many calls there were, Good how many of them succeeded.
	Calls, Good int
	// Wrong says which promises were broken.
	Wrong []string
	// Trace is what happened, one event a line.
	Trace string
}

// String returns what to print of a schedule that failed.
func (r Result) String() string {
	return fmt.Sprintf("schedule of seed %d:\n  %s\ntrace:\n%s", r.Seed, strings.Join(r.Wrong, "\n  "), r.Trace)
}

// patience is how long a schedule may take until it counts as hanging.
const patience = time.Hour

// Run runs the schedule of a seed, in a bubble of its own. Mutate, if not nil,
// stands between each connection and the network.
func Run(t *testing.T, seed uint64, mutate func(net.Conn) net.Conn) Result {
	return runPlan(t, newPlan(seed), mutate)
}

func runPlan(t *testing.T, p *plan, mutate func(net.Conn) net.Conn) (res Result) {
	s := &schedule{plan: p, mutate: mutate}
	defer func() {
		if r := recover(); r != nil { // the bubble says that all are blocked, or a panic
			s.world.Journal.Wrong("the schedule ended with a panic: %v\n%s", r, stacks())
			res = s.result()
		}
	}()
	synctest.Test(t, func(t *testing.T) { s.run() })
	return s.result()
}

// schedule is a plan that is carried out.
type schedule struct {
	*plan
	mutate func(net.Conn) net.Conn
	net    *rpcxtest.Network
	world  *faults.World
	wrong  []string

	mu      sync.Mutex
	calm    bool // no more faults
	faults  []*rpcxtest.Fault
	ledgers []*faults.Ledger
}

func (s *schedule) result() Result {
	calls, good := s.world.Journal.Totals()
	return Result{s.seed, calls, good, s.wrong, s.plan.String() + "\n" + s.world.Journal.Trace()}
}

func (s *schedule) run() {
	network := rpcxtest.NewNetwork()
	network.Buffer = s.buffer
	network.WrapDial = s.wrap
	s.net = network
	sopts := []rpcx.ServerOption{rpcx.WithMaxStreams(s.streams)}
	dopts := []rpcx.DialOption{rpcx.WithDefaultCallOptions(rpcx.WithWaitForReady(true))}
	for _, o := range s.options {
		sopts, dopts = append(sopts, o), append(dopts, o)
	}
	s.world = faults.NewWorld(network, sopts, dopts)
	var all sync.WaitGroup
	for i, orders := range s.workers {
		all.Go(func() { s.work(orders, s.pauses[i]) })
	}
	all.Go(s.happen)
	if s.wait(&all) {
		s.recover()
		s.world.Close()
	}
	synctest.Wait()
	s.wrong = s.world.Journal.Check()
}

// wait waits for all, and reports whether that has an end.
func (s *schedule) wait(all *sync.WaitGroup) bool {
	done := make(chan struct{})
	go func() {
		all.Wait()
		close(done)
	}()
	select {
	case <-done:
		return true
	case <-time.After(patience):
		s.world.Journal.Wrong("the schedule hangs:\n%s", stacks())
		return false
	}
}

// wrap is what connections are made of: the client, its ledger, a mutation, the
// faults, the network.
func (s *schedule) wrap(c *rpcxtest.Conn) net.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	var steps []rpcxtest.Step
	if !s.calm {
		steps = rpcxtest.RandomSteps(s.seed<<16+uint64(len(s.faults)), s.script)
	}
	s.world.Journal.Note("dialed    %v, %s", c.LocalAddr(), strings.ReplaceAll(strings.TrimSpace(memnet.FormatSteps(steps)), "\n", "; "))
	fault := rpcxtest.NewFault(c, steps...)
	s.faults = append(s.faults, fault)
	var conn net.Conn = fault
	if s.mutate != nil {
		conn = s.mutate(conn)
	}
	ledger := faults.NewLedger(conn)
	s.ledgers = append(s.ledgers, ledger)
	return ledger
}

func (s *schedule) work(orders []faults.Order, pauses []time.Duration) {
	for i, o := range orders {
		time.Sleep(pauses[i])
		_ = s.world.Agent.Do(context.Background(), o) // the journal judges
	}
}

// happen lets the events happen.
func (s *schedule) happen() {
	var stops sync.WaitGroup
	defer stops.Wait()
	for _, e := range s.events {
		time.Sleep(e.after)
		s.world.Journal.Note("event     %v, grace %v", e.what, e.grace)
		if e.what == reset {
			s.net.ResetConns()
			continue
		}
		stop := s.world.Start()
		stops.Go(func() {
			stop(func(srv *rpcx.Server) {
				if e.what == restart {
					srv.Close()
					return
				}
				ctx, cancel := context.WithTimeout(context.Background(), e.grace)
				defer cancel()
				_ = srv.Shutdown(ctx) // out of time is allowed
			})
		})
	}
}

// recover ends the faults and has calls of each kind made that must succeed,
// with streams that need all credit.
func (s *schedule) recover() {
	time.Sleep(time.Minute)
	s.mu.Lock()
	s.calm = true
	for _, f := range s.faults {
		f.Heal()
	}
	s.mu.Unlock()
	time.Sleep(time.Minute)
	s.books()
	for kind := range faults.Kinds {
		_ = s.world.Agent.Do(context.Background(), faults.Order{
			ID: 1_000_000 + uint64(kind), Kind: kind, Sends: 6, Answers: 6, SendSize: 30_000, AnswerSize: 30_000,
			Timeout: time.Minute, Patient: true,
		})
	}
	time.Sleep(time.Minute)
	s.books()
}

// books says which credit was lost on the connection that is in use.
func (s *schedule) books() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended(len(s.ledgers) - 1) {
		return
	}
	if err := s.ledgers[len(s.ledgers)-1].Lost(); err != nil {
		s.world.Journal.Wrong("%v", err)
	}
}

// ended reports whether the i-th connection is over.
func (s *schedule) ended(i int) bool {
	return i < 0 || s.ledgers[i].SetReadDeadline(time.Time{}) != nil
}

func stacks() string {
	b := make([]byte, 1<<20)
	return string(b[:runtime.Stack(b, true)])
}
