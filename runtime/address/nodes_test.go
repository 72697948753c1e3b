package address

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// seeded returns a source of random numbers that is the same in every run.
func seeded(seed uint64) func() uint64 { return rand.New(rand.NewPCG(seed, 0)).Uint64 }

func testEndpoint(i int) Endpoint {
	return Endpoint{Network: "tcp", Addr: fmt.Sprintf("10.0.%d.%d:7000", i/250, i%250)}
}

// testNodes returns n nodes; weights, if there are any, are theirs in turn.
func testNodes(n int, weights ...uint32) []*Node {
	nodes := make([]*Node, n)
	for i := range nodes {
		e := testEndpoint(i)
		if len(weights) > 0 {
			e.Weight = weights[i%len(weights)]
		}
		nodes[i] = NewNode(e)
	}
	return nodes
}

// warm has every node answer one call in a millisecond at now.
func warm(nodes []*Node, now int64) {
	for _, n := range nodes {
		n.Begin()
		n.End(now, int64(time.Millisecond), false)
	}
}

// builtin are the balancers of this package.
var builtin = map[string]Balancer{
	"p2c":           P2C{},
	"random":        Random{},
	"least request": LeastRequest{},
	"least of 3":    LeastRequest{Choices: 3},
	"least of all":  LeastRequest{Choices: 1 << 20},
	"round robin":   RoundRobin{},
	"hash":          Hash{},
	"unbound hash":  Hash{Load: -1},
	"pick first":    PickFirst{},
	"subset":        Subset{Client: 7, Size: 5},
	"default":       Default(7),
}

func eachBalancer(t *testing.T, test func(t *testing.T, b Balancer)) {
	for name, b := range builtin {
		t.Run(name, func(t *testing.T) { test(t, b) })
	}
}

func indices(nodes []*Node) map[*Node]int {
	m := make(map[*Node]int, len(nodes))
	for i, n := range nodes {
		m[n] = i
	}
	return m
}

// tally returns how many of picks calls went to each node.
func tally(p Picker, nodes []*Node, picks int, r *Request) []int {
	counts, index := make([]int, len(nodes)), indices(nodes)
	for range picks {
		if r.HasKey {
			r.Hash++
		}
		counts[index[p.Pick(r)]]++
	}
	return counts
}

// TestRampEnds: once the last slow start is over, picking is what it is without one.
func TestRampEnds(t *testing.T) {
	pool := NewPool(PoolConfig{Balancer: Random{}})
	pool.Update(1, []Endpoint{{Network: "tcp", Addr: "a"}, {Network: "tcp", Addr: "b"}})
	pool.Update(2, []Endpoint{{Network: "tcp", Addr: "a"}, {Network: "tcp", Addr: "b"}, {Network: "tcp", Addr: "c"}})
	draws := func(now int64) (n int) {
		random := seeded(4)
		r := &Request{Now: now, Rand: func() uint64 { n++; return random() }}
		for range 100 {
			pool.Pick(r)
		}
		return n
	}
	if during, after := draws(3), draws(3+int64(DefaultSlowStart)); during <= 100 || after != 100 {
		t.Errorf("100 picks drew %d numbers during the slow start and %d after it", during, after)
	}
}
