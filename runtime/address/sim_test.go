package address

import (
	"container/heap"
	"math"
	"slices"
	"testing"
	"time"
)

// simServer answers calls in the order they come, some at a time.
type simServer struct {
	node    *Node
	mean    float64 // nanoseconds of service
	workers int
	busy    int
	waiting []int64 // when they came
}

// simEvent is the end of a call.
type simEvent struct {
	at, came int64
	server   *simServer
}

type simEvents []simEvent

func (e simEvents) Len() int           { return len(e) }
func (e simEvents) Less(i, j int) bool { return e[i].at < e[j].at }
func (e simEvents) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *simEvents) Push(x any)        { *e = append(*e, x.(simEvent)) }
func (e *simEvents) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

// simulate sends calls at rate per second, at random times, to ten servers with
// eight workers each, which take 1 ms on average, exponentially distributed, and
// the last of them slow times that. It returns the last one's share and the
// 99th percentile of the latencies.
func simulate(b Balancer, calls int, rate, slow float64, seed uint64) (share float64, p99 time.Duration) {
	random := seeded(seed)
	exponential := func(mean float64) int64 {
		return 1 + int64(-mean*math.Log(1-float64(random()>>11)*0x1p-53))
	}
	nodes := testNodes(10)
	servers := make(map[*Node]*simServer)
	for _, n := range nodes {
		servers[n] = &simServer{node: n, mean: 1e6, workers: 8}
	}
	last := servers[nodes[9]]
	last.mean *= slow
	p := b.Picker(NewView(nodes, 1), nil)
	if rr, ok := p.(*roundRobinPicker); ok {
		rr.next.Store(0) // it begins anywhere
	}
	var events simEvents
	start := func(s *simServer, now, came int64) {
		s.busy++
		heap.Push(&events, simEvent{now + exponential(s.mean), came, s})
	}
	took := make([]int64, 0, calls)
	end := func() {
		e := heap.Pop(&events).(simEvent)
		s := e.server
		s.busy--
		s.node.End(e.at, e.at-e.came, false)
		took = append(took, e.at-e.came)
		if len(s.waiting) > 0 {
			came := s.waiting[0]
			s.waiting = s.waiting[1:]
			start(s, e.at, came)
		}
	}
	r := &Request{Now: 1, Rand: random}
	toLast := 0
	for range calls {
		r.Now += exponential(1e9 / rate)
		for len(events) > 0 && events[0].at <= r.Now {
			end()
		}
		s := servers[p.Pick(r)]
		s.node.Begin()
		if s == last {
			toLast++
		}
		if s.busy < s.workers {
			start(s, r.Now, r.Now)
		} else {
			s.waiting = append(s.waiting, r.Now)
		}
	}
	for len(events) > 0 {
		end()
	}
	slices.Sort(took)
	return float64(toLast) / float64(calls), time.Duration(took[len(took)*99/100])
}

// TestSlowServer: one of ten servers takes ten times as long as the others.
func TestSlowServer(t *testing.T) {
	for seed, rate := range []float64{100, 1000, 7000} { // of the 8,000 that round robin can take
		const calls = 50_000
		fair, want := simulate(RoundRobin{}, calls, rate, 10, uint64(seed))
		share, p99 := simulate(P2C{}, calls, rate, 10, uint64(seed))
		t.Logf("%.0f calls/s: p2c sends it %.3f %%, p99 %v; round robin %.1f %%, p99 %v", rate, 100*share, p99, 100*fair, want)
		if share > 0.025 || p99 > want/2 {
			t.Errorf("%.0f calls/s: want at most 2.5 %% and half of round robin's p99", rate)
		}
	}
}
