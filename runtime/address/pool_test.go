package address

import (
	"testing"
)

func TestPoolUpdate(t *testing.T) {
	pool := NewPool(PoolConfig{})
	if pool.Pick(&Request{}) != nil || len(pool.Nodes()) != 0 {
		t.Error("a new pool has nodes")
	}
	a, b, c := testEndpoint(1), testEndpoint(2), testEndpoint(3)
	heavy := a
	heavy.Weight = 9
	heavy.Tags = map[string]string{"disk": "ssd"}
	added, removed := pool.Update(1, []Endpoint{a, b, heavy})
	if len(added) != 2 || len(removed) != 0 || added[0].Endpoint().Weight != 0 {
		t.Fatalf("got %d added, %d removed; want 2, 0, as the first of two with one identity counts", len(added), len(removed))
	}
	first := added[0]
	first.Begin()
	first.End(1, ms, false)
	added, removed = pool.Update(2, []Endpoint{c, heavy})
	if len(added) != 1 || added[0].ID() != c.ID() || len(removed) != 1 || removed[0].ID() != b.ID() {
		t.Fatalf("got %v added, %v removed", added, removed)
	}
	nodes := pool.Nodes()
	if len(nodes) != 2 || nodes[1] != first || first.Endpoint().Weight != 9 || first.Endpoint().Tags["disk"] != "ssd" || first.Latency(2) == 0 {
		t.Errorf("the node did not survive: %v", nodes)
	}
	removed[0].MarkOut(Draining) // of no consequence
	if added, removed := pool.Update(3, nil); len(added) != 0 || len(removed) != 2 || pool.Pick(&Request{}) != nil {
		t.Error("an empty list leaves nodes")
	}
	if added, _ := pool.Update(4, []Endpoint{a}); len(added) != 1 || added[0] == first {
		t.Error("a node that was gone came back")
	}
}

func TestPoolMarks(t *testing.T) {
	pool := NewPool(PoolConfig{Balancer: Random{}, Now: func() int64 { return 7 }})
	nodes, _ := pool.Update(1, []Endpoint{testEndpoint(1), testEndpoint(2), testEndpoint(3)})
	picks := func() (n int) {
		r := &Request{Rand: seeded(1)}
		for range 300 {
			if pool.Pick(r) == nodes[1] {
				n++
			}
		}
		return n
	}
	if picks() == 0 {
		t.Error("never chosen")
	}
	nodes[1].MarkOut(Ejected)
	if n := picks(); n != 0 {
		t.Errorf("chosen %d times when it is out", n)
	}
	nodes[2].MarkOut(Unhealthy)
	if picks() == 0 {
		t.Error("two of three out: want all to be used")
	}
	nodes[2].MarkIn(Unhealthy)
	if n := picks(); n != 0 {
		t.Errorf("chosen %d times when it is out again", n)
	}
	nodes[1].MarkIn(Ejected)
	if picks() == 0 {
		t.Error("never chosen when it is back")
	}
}

// TestSubsetOfMarked: the subset is the same whoever is out.
func TestSubsetOfMarked(t *testing.T) {
	nodes := testNodes(300)
	s := Subset{Client: 3, Of: RoundRobin{}}
	index := indices(nodes)
	used := func(p Picker) map[int]bool {
		set := make(map[int]bool)
		for range 1000 {
			set[index[p.Pick(&Request{})]] = true
		}
		return set
	}
	p := s.Picker(NewView(nodes, 1), nil)
	before := used(p)
	if len(before) != DefaultSubset {
		t.Fatalf("%d nodes in use, want %d", len(before), DefaultSubset)
	}
	for i := range before {
		nodes[i].MarkOut(Ejected)
		after := used(s.Picker(NewView(nodes, 1), p))
		if len(after) != DefaultSubset-1 || after[i] {
			t.Errorf("one is out: %d nodes in use", len(after))
		}
		break
	}
}

// TestWhoStartsSlowly: those who join at least as many as they are.
func TestWhoStartsSlowly(t *testing.T) {
	all := make([]Endpoint, 9)
	for i := range all {
		all[i] = testEndpoint(i)
	}
	pool, never := NewPool(PoolConfig{}), NewPool(PoolConfig{SlowStart: -1})
	for i, step := range []struct {
		list []Endpoint
		slow bool
	}{
		{all[:2], false},                            // the first
		{all[:3], true},                             // one joins two
		{all[:6], true},                             // three join three
		{append(all[:1:1], all[6:8]...), false},     // two join one
		{append(all[1:2:2], all[8], all[2]), false}, // none stays
		{append(all[1:2:2], all[8], all[2]), false}, // nothing changes
		{append(all[1:3:3], all[8], testEndpoint(99)), true},
	} {
		now := int64(i+1) * ms
		added, _ := pool.Update(now, step.list)
		for _, n := range added {
			if slow := n.Ramp(now) < 1; slow != step.slow {
				t.Errorf("step %d: slow is %v, want %v", i, slow, step.slow)
			}
		}
		added, _ = never.Update(now, step.list)
		for _, n := range added {
			if n.Ramp(now) < 1 {
				t.Errorf("step %d: slow although it is switched off", i)
			}
		}
	}
}
