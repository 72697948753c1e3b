package address

import (
	"math"
	"slices"
	"testing"
)

// TestWeights holds the balancers that respect weights to them within 1 %.
func TestWeights(t *testing.T) {
	weights := []uint32{1, 2, 3, 4, 5, 0} // 0 means 1
	for name, b := range map[string]Balancer{
		"p2c": P2C{}, "random": Random{}, "least request": LeastRequest{}, "least of 3": LeastRequest{Choices: 3},
		"round robin": RoundRobin{}, "hash": Hash{}, "default": Default(1),
	} {
		nodes := testNodes(6, weights...)
		warm(nodes, 1)
		const picks = 1 << 20
		r := &Request{Now: 1, HasKey: name == "hash", Rand: seeded(1)}
		for i, got := range tally(b.Picker(NewView(nodes, 1), nil), nodes, picks, r) {
			want := float64(max(weights[i], 1)) / 16 * picks
			if math.Abs(float64(got)/want-1) > 0.01 {
				t.Errorf("%s: weight %d got %d calls, want %.0f", name, weights[i], got, want)
			}
		}
	}
}

// TestWeightsUnderLoad: with calls that do not end, what weights promise is the
// same number of calls for each unit of weight.
func TestWeightsUnderLoad(t *testing.T) {
	for name, b := range map[string]Balancer{"p2c": P2C{}, "least request": LeastRequest{}, "hash": Hash{}, "round robin": RoundRobin{}} {
		nodes := testNodes(100, 1, 2, 7)
		p := b.Picker(NewView(nodes, 1), nil)
		r := &Request{Rand: seeded(3), HasKey: name == "hash"}
		for range 33000 {
			r.Hash = r.random() % 50 // few keys: the bound has to spread them
			p.Pick(r).Begin()
		}
		sum := 0.0
		for _, n := range nodes {
			sum += n.Endpoint().weight()
		}
		for _, n := range nodes {
			want := 33000 / sum * n.Endpoint().weight()
			if got := float64(n.InFlight()); name != "hash" && math.Abs(got-want) > 0.02*want+7 || got > DefaultLoad*want+1 {
				t.Errorf("%s: weight %d has %.0f calls, want %.0f", name, n.Endpoint().Weight, got, want)
			}
		}
	}
}

// TestTail compares the longest queue with theory. For n calls on n servers:
// ln n / ln ln n (1 + o(1)) when drawn at random, ln ln n / ln 2 + O(1) with two
// choices; for m >> n calls: m/n + sqrt(2 m/n ln n) and m/n + ln ln n / ln 2 + O(1).
func TestTail(t *testing.T) {
	const n = 1000
	longest := func(b Balancer, calls int, seed uint64) float64 {
		nodes := testNodes(n)
		p, r := b.Picker(NewView(nodes, 1), nil), &Request{Rand: seeded(seed)}
		for range calls {
			p.Pick(r).Begin()
		}
		return float64(slices.MaxFunc(nodes, func(a, b *Node) int { return a.InFlight() - b.InFlight() }).InFlight())
	}
	two := math.Log(math.Log(n)) / math.Ln2 // 2.8
	for seed := range uint64(5) {
		for _, perNode := range []int{1, 100} {
			m := float64(perNode)
			drawn := m + 0.7*math.Sqrt(2*m*math.Log(n))
			if perNode == 1 {
				drawn = math.Log(n) / math.Log(math.Log(n)) // 3.6
			}
			random := longest(Random{}, perNode*n, seed)
			p2c, least := longest(P2C{}, perNode*n, seed), longest(LeastRequest{}, perNode*n, seed)
			if random < drawn || p2c > m+two+1 || least > m+two+1 || p2c >= random {
				t.Errorf("%d calls each: the longest queue is %v drawn at random (want at least %.1f), %v by p2c, %v by least request (want at most %.1f)",
					perNode, random, drawn, p2c, least, m+two+1)
			}
			if seed == 0 {
				t.Logf("%d calls each: longest queue %v at random, %v p2c, %v least request", perNode, random, p2c, least)
			}
		}
	}
}

// TestMovement: when one of 20 leaves, its keys and at most 2 % of all move.
func TestMovement(t *testing.T) {
	for _, n := range []int{2, 3, 20, 100, 300} {
		for _, weights := range [][]uint32{{1}, {1, 2, 3}} {
			nodes := testNodes(n, weights...)
			h := Hash{Load: -1}
			all, fewer := h.Picker(NewView(nodes, 1), nil), h.Picker(NewView(nodes[:n-1], 1), nil)
			back := h.Picker(NewView(slices.Concat(nodes[n-1:], nodes[:n-1]), 1), fewer)
			const keys = 200_000
			moved, needed := 0, 0
			for key := range uint64(keys) {
				r := &Request{Hash: key, HasKey: true}
				was := all.Pick(r)
				if fewer.Pick(r) != was {
					moved++
				}
				if was == nodes[n-1] {
					needed++
				}
				if again := back.Pick(r); again != was {
					t.Fatalf("%d nodes: key %d is not where it was when the nodes are the same in another order", n, key)
				}
			}
			if share := float64(moved-needed) / keys; moved < needed || share > 0.02 {
				t.Errorf("%d nodes, weights %v: %d keys moved, %d had to (%.2f %% more)", n, weights, moved, needed, 100*share)
			}
			if n == 20 {
				t.Logf("1 of 20 leaves, weights %v: %.2f %% of the keys move, %.2f %% have to", weights, 100*float64(moved)/keys, 100*float64(needed)/keys)
				if len(weights) == 1 && moved > keys/20+keys/50 {
					t.Errorf("%d of %d keys moved, want at most 1/20 + 2 %%", moved, keys)
				}
			}
		}
	}
}

// TestTableOfUnequalWeights: the work of building a table does not depend on the
// weights, and shares follow them.
func TestTableOfUnequalWeights(t *testing.T) {
	for name, weights := range map[string][]uint32{
		"equal": {1}, "one of a thousand": {500_000}, "one that is all": {math.MaxUint32}, "two": {1 << 20, 1 << 22}, "a range": {1, 10, 100, 1000, 10_000},
	} {
		nodes := testNodes(500)
		sum := 0.0
		var fillers []filler
		m := &maglev{slots: slices.Repeat([]uint32{math.MaxUint32}, tableSize(len(nodes)))}
		for i, n := range nodes {
			if i < len(weights) {
				e := n.Endpoint()
				e.Weight = weights[i]
				n.endpoint.Store(&e)
			}
			w := n.Endpoint().weight()
			sum += w
			fillers = append(fillers, filler{index: uint32(i), rate: w, slot: uint32(i), step: uint32(i + 1)})
		}
		if got, most := m.fill(fillers, sum), len(m.slots)/len(nodes)+2; got > most {
			t.Errorf("%s: %d rounds, want at most %d", name, got, most)
		}
		counts := make([]float64, len(nodes))
		for _, i := range newMaglev(nodes).slots {
			counts[i]++
		}
		for i, n := range nodes {
			// The round that is under way when the table is full has gone to some.
			if want := n.Endpoint().weight() / sum * float64(len(m.slots)); math.Abs(counts[i]-want) > 2+want*float64(len(nodes))/float64(len(m.slots)) {
				t.Errorf("%s: node %d has %.0f slots, want %.1f", name, i, counts[i], want)
			}
		}
	}
}

// TestOutMovesOnlyItsKeys: a node that is out keeps its place in the table.
func TestOutMovesOnlyItsKeys(t *testing.T) {
	nodes := testNodes(10)
	h := Hash{Load: -1}
	before := h.Picker(NewView(nodes, 1), nil)
	nodes[3].MarkOut(Ejected)
	after := h.Picker(NewView(nodes, 1), before)
	counts := make(map[*Node]int)
	for key := range uint64(50_000) {
		r := &Request{Hash: key, HasKey: true}
		was, is := before.(*hashPicker), after.(*hashPicker)
		if was.table != is.table {
			t.Fatal("the table was built again")
		}
		home := was.table.nodes[was.table.get().find(mix(key))]
		got := after.Pick(r)
		if got == nodes[3] || home != nodes[3] && got != home {
			t.Fatalf("key %d of %v went to %v", key, home.ID(), got.ID())
		}
		if home == nodes[3] {
			counts[got]++
		}
	}
	for _, n := range nodes {
		if n != nodes[3] && (counts[n] < 400 || counts[n] > 700) { // 5,000 keys / 9
			t.Errorf("%v took %d keys of the node that is out, want about 555", n.ID(), counts[n])
		}
	}
}

// TestTableIsBuiltAgain when the nodes are others, or their weights.
func TestTableIsBuiltAgain(t *testing.T) {
	pool := NewPool(PoolConfig{Balancer: Hash{Load: -1}})
	share := func(endpoints ...Endpoint) int {
		pool.Update(1, endpoints)
		got := 0
		for key := range uint64(1000) {
			switch n := pool.Pick(&Request{Hash: key, HasKey: true}); n.ID() {
			case endpoints[0].ID():
				got++
			case endpoints[1].ID():
			default:
				t.Fatalf("%v is gone", n.ID())
			}
		}
		return got
	}
	a, b, c := testEndpoint(1), testEndpoint(2), testEndpoint(3)
	if got := share(a, b); got < 400 || got > 600 {
		t.Errorf("one of two has %d of 1000 keys", got)
	}
	b.Weight = 9
	if got := share(a, b); got < 50 || got > 150 {
		t.Errorf("one of ten parts is %d of 1000 keys", got)
	}
	c.Weight = 9
	if got := share(a, c); got < 50 || got > 150 {
		t.Errorf("with another node one of ten parts is %d of 1000 keys", got)
	}
}

// TestBoundedLoad has few keys, one of them half of the calls, and calls that
// come and go: nobody is ever above his bound.
func TestBoundedLoad(t *testing.T) {
	for _, n := range []int{3, 20, 200} {
		nodes := testNodes(n, 1, 2)
		weights := 0.0
		for _, node := range nodes {
			weights += node.Endpoint().weight()
		}
		r := &Request{HasKey: true, Rand: seeded(9), Now: 1}
		p := Hash{}.Picker(NewView(nodes, 1), nil)
		var flying []*Node
		atHome := 0
		const calls = 50_000
		for call := range calls {
			r.Now += countEvery * int64(n) // the sum of the load is never old
			r.Hash = 0
			if r.random()%2 == 0 {
				r.Hash = r.random() % 40
			}
			node := p.Pick(r)
			bound := math.Ceil(DefaultLoad * node.Endpoint().weight() / weights * float64(len(flying)+1))
			if node.Begin(); float64(node.InFlight()) > bound {
				t.Fatalf("%d nodes, call %d: %d in flight on one, want at most %v of %d", n, call, node.InFlight(), bound, len(flying)+1)
			}
			if table := p.(*hashPicker).table; table.nodes[table.built.find(mix(r.Hash))] == node {
				atHome++
			}
			flying = append(flying, node)
			for len(flying) > 500 || len(flying) > 0 && r.random()%3 == 0 {
				i := r.random() % uint64(len(flying))
				flying[i].Cancel()
				flying[i] = flying[len(flying)-1]
				flying = flying[:len(flying)-1]
			}
		}
		if atHome < calls/20 {
			t.Errorf("%d nodes: %d calls of %d went to the node of their key", n, atHome, calls)
		}
	}
}

// TestSubset: clients share servers evenly, as if drawn, and the coming and going
// of one endpoint changes one node of a client at most.
func TestSubset(t *testing.T) {
	const n, clients, size = 500, 2000, 100
	nodes := testNodes(n)
	users, index := make(map[*Node]int), indices(nodes)
	for client := range uint64(clients) {
		s := Subset{Client: client, Size: size}
		chosen := s.choose(nodes)
		if !slices.IsSortedFunc(chosen, func(a, b *Node) int { return index[a] - index[b] }) {
			t.Fatalf("client %d: the order is not kept", client)
		}
		for _, node := range chosen {
			users[node]++
		}
		if client%100 == 0 {
			fewer := s.choose(nodes[1:])
			still := indices(fewer)
			changed := 0
			for _, node := range chosen {
				if _, ok := still[node]; !ok {
					changed++
				}
			}
			if want := len(slices.DeleteFunc(slices.Clone(chosen), func(x *Node) bool { return x != nodes[0] })); changed != want || len(fewer) != size {
				t.Errorf("client %d: %d nodes changed, want %d", client, changed, want)
			}
			if again := s.choose(slices.Clone(nodes)); !slices.Equal(again, chosen) {
				t.Errorf("client %d: the subset is not always the same", client)
			}
		}
	}
	// Binomial: mean 400, deviation sqrt(2000*0.2*0.8) = 17.9; 4.5 of them for 500 servers.
	for _, node := range nodes {
		if got := users[node]; got < 320 || got > 480 {
			t.Errorf("%v has %d clients, want 400±80", node.ID(), got)
		}
	}
}
