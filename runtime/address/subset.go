package address

import (
	"cmp"
	"slices"
)

// DefaultSubset is how many of many endpoints one client uses.
const DefaultSubset = 100

// Subset gives another Balancer only some of the nodes if there are many, so
// that not every client is connected to every server. Which ones depends on the
// client and the endpoint only (rendezvous hashing: Thaler and Ravishankar, "A
// Name-Based Mapping Scheme for Rendezvous", 1996): when an endpoint comes or
// goes each client changes at most one of its own. The number of clients of a
// server varies as if each had drawn its servers at random.
//
// Weights play no part in the choice; the balancer respects them among those
// chosen.
type Subset struct {
	// Client tells clients apart: a random number, or a hash of what should lead to
	// the same servers after a restart.
	Client uint64
	// Size is the number of nodes, DefaultSubset if it is zero; up to it all are used.
	Size int
	// Of balances among them, P2C if it is nil.
	Of Balancer
}

// Picker implements Balancer.
func (s Subset) Picker(v View, last Picker) Picker {
	if s.Size <= 0 {
		s.Size = DefaultSubset
	}
	if s.Of == nil {
		s.Of = P2C{}
	}
	if len(v.Nodes) > s.Size {
		v = NewView(s.choose(v.Nodes), v.Now)
	}
	return s.Of.Picker(v, last)
}

// choose returns the nodes with the highest scores, in their order.
func (s Subset) choose(nodes []*Node) []*Node {
	type scored struct {
		index int
		score uint64
	}
	all := make([]scored, len(nodes))
	for i, n := range nodes {
		all[i] = scored{i, hashID(n.ID(), s.Client)}
	}
	slices.SortFunc(all, func(a, b scored) int { return cmp.Compare(b.score, a.score) })
	all = all[:s.Size]
	slices.SortFunc(all, func(a, b scored) int { return cmp.Compare(a.index, b.index) })
	chosen := make([]*Node, len(all))
	for i, a := range all {
		chosen[i] = nodes[a.index]
	}
	return chosen
}

// Default returns the balancer that is used where nobody chose one: by hash for
// calls with a route key, P2C for others, of a subset if there are more than 100
// endpoints. client is Subset.Client.
func Default(client uint64) Balancer { return Hash{Fallback: Subset{Client: client}} }
