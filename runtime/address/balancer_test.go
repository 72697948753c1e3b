package address

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestNoNodes(t *testing.T) {
	eachBalancer(t, func(t *testing.T, b Balancer) {
		if p := b.Picker(NewView(nil, 1), nil); p != nil {
			t.Errorf("got %v for no nodes, want nil", p)
		}
		nodes := testNodes(1)
		p := b.Picker(NewView(nodes, 1), nil)
		for _, r := range []*Request{{}, {HasKey: true}, {Tried: nodes}, {Tried: nodes, HasKey: true, Now: 5}} {
			if got := p.Pick(r); got != nodes[0] {
				t.Errorf("%+v: got %v, want the only node", r, got)
			}
		}
	})
}

// TestTried: a node that was tried is chosen again only when all have been.
func TestTried(t *testing.T) {
	eachBalancer(t, func(t *testing.T, b Balancer) {
		nodes := testNodes(5, 1, 50)
		p := b.Picker(NewView(nodes, 1), nil)
		for key := range uint64(200) {
			r := &Request{Hash: key, HasKey: key%2 == 0, Rand: seeded(key)}
			for range nodes {
				n := p.Pick(r)
				if slices.Contains(r.Tried, n) {
					t.Fatalf("key %d: got %v again, %d of 5 tried", key, n.ID(), len(r.Tried))
				}
				r.Tried = append(r.Tried, n)
			}
			if p.Pick(r) == nil {
				t.Fatalf("key %d: nothing left when all have been tried", key)
			}
		}
	})
}

// TestTwoAreCompared: with two nodes both are always looked at.
func TestTwoAreCompared(t *testing.T) {
	for name, b := range map[string]Balancer{"p2c": P2C{}, "least request": LeastRequest{}, "least of all": LeastRequest{Choices: 2000}} {
		nodes := testNodes(2)
		warm(nodes, 1)
		nodes[0].Begin()
		if got := tally(b.Picker(NewView(nodes, 1), nil), nodes, 1000, &Request{Now: 1, Rand: seeded(1)}); got[0] > 0 {
			t.Errorf("%s: %d of 1000 calls went to the one that is busy", name, got[0])
		}
	}
}

func TestView(t *testing.T) {
	for name, test := range map[string]struct {
		out    [4]Reason
		usable []int
		avoid  Reason
	}{
		"all in":                           {[4]Reason{}, []int{0, 1, 2, 3}, ^Reason(0)},
		"one out":                          {[4]Reason{0, Ejected}, []int{0, 2, 3}, ^Reason(0)},
		"half out":                         {[4]Reason{0, Ejected, Draining}, []int{0, 3}, ^Reason(0)},
		"more out":                         {[4]Reason{Unhealthy, Ejected, Disconnected}, []int{0, 1, 2, 3}, Draining},
		"but not those that go":            {[4]Reason{Unhealthy, Ejected, Draining}, []int{0, 1, 3}, Draining},
		"all suspected":                    {[4]Reason{Unhealthy, Ejected, Draining, Unhealthy}, []int{0, 1, 3}, Draining},
		"most go":                          {[4]Reason{Draining, Draining, Draining}, []int{3}, Draining},
		"all go":                           {[4]Reason{Draining, Draining, Draining, Draining | Ejected}, []int{0, 1, 2, 3}, 0},
		"all but the suspected go as well": {[4]Reason{Draining, Draining, Draining, Ejected}, []int{3}, Draining},
	} {
		nodes := testNodes(4)
		for i, why := range test.out {
			nodes[i].MarkOut(why)
		}
		v := NewView(nodes, 1)
		var usable []int
		for _, n := range v.Usable {
			usable = append(usable, indices(nodes)[n])
		}
		if !slices.Equal(usable, test.usable) || v.Avoid != test.avoid || v.Panics() != (test.avoid != ^Reason(0)) {
			t.Errorf("%s: got %v, avoiding %v; want %v, %v", name, usable, v.Avoid, test.usable, test.avoid)
		}
		for balancer, b := range builtin {
			p := b.Picker(v, nil)
			for key := range uint64(100) {
				n := p.Pick(&Request{Hash: key, HasKey: key%2 == 0, Rand: seeded(key)})
				if !slices.Contains(v.Usable, n) && balancer != "subset" {
					t.Errorf("%s: %s chose %v, which is %v", name, balancer, n.ID(), n.Out())
				}
			}
		}
	}
}

func TestRoundRobinIsSmooth(t *testing.T) {
	for _, test := range []struct {
		weights []uint32
		want    string
	}{
		{[]uint32{1, 1, 1}, "abc"},
		{[]uint32{500, 100, 100}, "aabcaaa"},
		{[]uint32{2, 4}, "bab"},
	} {
		nodes := testNodes(len(test.weights), test.weights...)
		p := RoundRobin{}.Picker(NewView(nodes, 1), nil)
		got := ""
		index := indices(nodes)
		for range 2 * len(test.want) {
			got += string(rune('a' + index[p.Pick(&Request{})]))
		}
		if !strings.Contains(strings.Repeat(test.want, 3), got) {
			t.Errorf("weights %v: got %s, want turns of %s", test.weights, got, test.want)
		}
	}
}

// TestRoundRobinSpacing: whatever the weights, each node has had its share of
// any first part of a round to within two calls.
func TestRoundRobinSpacing(t *testing.T) {
	for _, weights := range [][]uint32{{1}, {1, 2, 3, 4}, {997, 991, 3}, {1 << 31, 7, 1 << 30}} {
		nodes := testNodes(12, weights...)
		sum := 0
		for _, share := range rounded(nodes) {
			sum += share
		}
		p := RoundRobin{}.Picker(NewView(nodes, 1), nil).(*roundRobinPicker)
		if len(p.turns) != sum || sum > 2*minTurns {
			t.Fatalf("weights %v: a round of %d turns, want %d", weights, len(p.turns), sum)
		}
		counts := make([]int, len(nodes))
		for i, turn := range p.turns {
			counts[turn]++
			for n, share := range rounded(nodes) {
				want := float64(share) * float64(i+1) / float64(sum)
				if diff := float64(counts[n]) - want; diff > 2 || diff < -2 {
					t.Fatalf("weights %v: node %d had %d of %d turns, want %.1f", weights, n, counts[n], i+1, want)
				}
			}
			if i > 500 {
				break
			}
		}
	}
}

func TestRoundRobinGoesOn(t *testing.T) {
	nodes := testNodes(4)
	p := RoundRobin{}.Picker(NewView(nodes, 1), nil)
	first := p.Pick(&Request{})
	p = RoundRobin{}.Picker(NewView(nodes, 1), p)
	if got, want := p.Pick(&Request{}), nodes[(indices(nodes)[first]+1)%4]; got != want {
		t.Errorf("after an update: got %v, want %v, whose turn it is", got.ID(), want.ID())
	}
}

func TestPickFirst(t *testing.T) {
	nodes := testNodes(3)
	var p Picker
	update := func(nodes []*Node) *Node {
		p = PickFirst{}.Picker(NewView(nodes, 1), p)
		return p.Pick(&Request{})
	}
	steps := []struct {
		name string
		do   func()
		list []*Node
		want *Node
	}{
		{"the first", func() {}, nodes, nodes[0]},
		{"the next", func() { nodes[0].MarkOut(Disconnected) }, nodes, nodes[1]},
		{"not back at once", func() { nodes[0].MarkIn(Disconnected) }, nodes, nodes[1]},
		{"wherever it stands", func() {}, []*Node{nodes[2], nodes[0], nodes[1]}, nodes[1]},
		{"until it is gone", func() {}, []*Node{nodes[2], nodes[0]}, nodes[2]},
	}
	for _, s := range steps {
		s.do()
		if got := update(s.list); got != s.want {
			t.Errorf("%s: got %v, want %v", s.name, got.ID(), s.want.ID())
		}
	}
}

// TestSlowStart: a node that joins gets a tenth of its share, then more, then all.
func TestSlowStart(t *testing.T) {
	const picks = 100_000
	for name, b := range map[string]Balancer{"p2c": P2C{}, "random": Random{}, "round robin": RoundRobin{}, "least request": LeastRequest{}} {
		pool := NewPool(PoolConfig{Balancer: b})
		endpoints := make([]Endpoint, 10)
		for i := range endpoints {
			endpoints[i] = testEndpoint(i)
		}
		start := int64(time.Hour)
		pool.Update(start, endpoints[:9])
		for _, n := range pool.Nodes() {
			if n.Ramp(start) != 1 {
				t.Fatalf("%s: the first nodes start slowly", name)
			}
		}
		added, _ := pool.Update(start, endpoints)
		fresh := added[0]
		for _, test := range []struct {
			after time.Duration
			part  float64
		}{{0, 0.1}, {5 * time.Second, 0.5}, {DefaultSlowStart, 1}, {time.Hour, 1}} {
			now := start + int64(test.after)
			warm(pool.Nodes(), now)
			got, want := 0, test.part/(9+test.part)*picks
			r := &Request{Now: now, Rand: seeded(4)}
			for range picks {
				if pool.Pick(r) == fresh {
					got++
				}
			}
			if ratio := float64(got) / want; ratio < 0.95 || ratio > 1.05 {
				t.Errorf("%s: after %v it got %d calls, want %.0f", name, test.after, got, want)
			}
		}
	}
}

func TestPickDoesNotAllocate(t *testing.T) {
	eachBalancer(t, func(t *testing.T, b Balancer) {
		nodes := testNodes(50, 1, 2, 3)
		nodes[7].MarkOut(Ejected)
		p := b.Picker(NewView(nodes, 1), nil)
		r := &Request{Now: 1, Tried: nodes[:3]}
		p.Pick(&Request{HasKey: true}) // builds what is built once
		if allocs := testing.AllocsPerRun(1000, func() {
			r.Now += 1000
			r.Hash++
			r.HasKey = !r.HasKey
			n := p.Pick(r)
			n.Begin()
			n.End(r.Now, 1000, false)
		}); allocs != 0 {
			t.Errorf("%v allocations a call, want none", allocs)
		}
	})
}

// TestConcurrency has 64 goroutines call while nodes come, go and are marked:
// every call gets a node, and in the end none is in flight.
func TestConcurrency(t *testing.T) {
	eachBalancer(t, func(t *testing.T, b Balancer) {
		pool := NewPool(PoolConfig{Balancer: b})
		endpoints := make([]Endpoint, 30)
		for i := range endpoints {
			endpoints[i] = testEndpoint(i)
			endpoints[i].Weight = uint32(i % 4)
		}
		var now int64 = 1
		pool.Update(now, endpoints)
		all := make(map[*Node]bool)
		var tasks sync.WaitGroup
		for g := range 64 {
			tasks.Go(func() {
				r := &Request{Hash: uint64(g), Now: 1}
				for i := range 200 {
					r.Hash, r.HasKey, r.Now = r.Hash+1, i%2 == 0, r.Now+ms
					n := pool.Pick(r)
					if n == nil {
						t.Error("no node")
						return
					}
					n.Begin()
					n.End(r.Now, ms, i%10 == 0)
				}
			})
		}
		tasks.Go(func() {
			for i := range 40 {
				now += ms
				added, _ := pool.Update(now, endpoints[i%10:20+i%10])
				for _, n := range added {
					all[n] = true
				}
				n := pool.Nodes()[i%20]
				n.MarkOut(Ejected)
				if i%3 > 0 {
					n.MarkIn(Ejected)
				}
			}
		})
		tasks.Wait()
		for n := range all {
			if n.InFlight() != 0 {
				t.Errorf("%v: %d calls in flight", n.ID(), n.InFlight())
			}
		}
	})
}
