package address

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Hash sends calls with the same route key to the same node while it is usable
// and not overloaded, and those without a key where Fallback sends them. When
// one of n nodes goes, its keys go to all others and few other keys move.
//
// No node gets a call that would bring it above Load times its share of the
// calls in flight, rounded up: such a call goes to the node that is next for its
// key (Mirrokni, Thorup, Zadimoghaddam, "Consistent Hashing with Bounded Loads",
// 2016). Fresh nodes do not start slowly: their keys have no other home.
type Hash struct {
	// Load is how far above its share a node may be, 1.25 if it is zero; below 1 it
	// means that there is no bound.
	Load float64
	// Fallback is for calls without a key, P2C if it is nil.
	Fallback Balancer
}

// DefaultLoad is how far above its share a node is loaded by Hash.
const DefaultLoad = 1.25

// Picker implements Balancer. The first pick with a key builds the table that
// all later ones look into, and pickers of the same nodes share it.
func (h Hash) Picker(v View, last Picker) Picker {
	if len(v.Nodes) == 0 {
		return nil
	}
	if h.Load == 0 {
		h.Load = DefaultLoad
	}
	if h.Fallback == nil {
		h.Fallback = P2C{}
	}
	l, _ := last.(*hashPicker)
	p := &hashPicker{avoid: v.Avoid, shares: shares(v.Nodes, v.Avoid, h.Load)}
	if l != nil {
		last = l.fallback
	}
	p.fallback = h.Fallback.Picker(v, last)
	weights := make([]uint32, len(v.Nodes))
	for i, n := range v.Nodes {
		weights[i] = uint32(n.endpoint.Load().weight())
	}
	if l != nil && slices.Equal(l.table.nodes, v.Nodes) && slices.Equal(l.table.weights, weights) {
		p.table = l.table
	} else {
		p.table = &lazyTable{nodes: v.Nodes, weights: weights}
	}
	return p
}

// shares returns for each node the bound of its calls per call in flight, or nil
// if there is no bound.
func shares(nodes []*Node, avoid Reason, load float64) []float64 {
	if load < 1 {
		return nil
	}
	shares := make([]float64, len(nodes))
	sum := 0.0
	for i, n := range nodes {
		if n.Out()&avoid == 0 {
			shares[i] = n.endpoint.Load().weight()
			sum += shares[i]
		}
	}
	for i := range shares {
		shares[i] *= load / sum
	}
	return shares
}

// lazyTable is a table that is built when it is first wanted.
type lazyTable struct {
	nodes   []*Node
	weights []uint32
	once    sync.Once
	built   *maglev
}

func (t *lazyTable) get() *maglev {
	t.once.Do(func() { t.built = newMaglev(t.nodes) })
	return t.built
}

type hashPicker struct {
	table    *lazyTable
	shares   []float64
	avoid    Reason
	fallback Picker
	_        [lineSize]byte
	total    atomic.Int64 // calls in flight on all nodes, as of counted
	counted  atomic.Int64
	_        [lineSize]byte
}

// probes is how many places of the table, for each node, are looked at for one
// that may take a call. One node among n that may is missed in one of 3,000
// cases, and found by looking at them all.
const probes = 8

func (p *hashPicker) Pick(r *Request) *Node {
	if !r.HasKey {
		return p.fallback.Pick(r)
	}
	table := p.table.get()
	key := mix(r.Hash)
	i := table.find(key)
	total := unbound
	if p.shares != nil {
		total = p.inFlight(r.Now)
	}
	if p.takes(i, total, r) {
		return p.table.nodes[i]
	}
	return p.next(table, key, total, r)
}

// next returns the first node that takes the call of those which follow for the
// key; if there is none, one that is merely usable.
func (p *hashPicker) next(table *maglev, key uint64, total float64, r *Request) *Node {
	nodes := p.table.nodes
	for _, total := range [...]float64{total, unbound} {
		mixed := key
		for range probes * len(nodes) {
			mixed = mix(mixed)
			if i := table.find(mixed); p.takes(i, total, r) {
				return nodes[i]
			}
		}
		for k := range uint32(len(nodes)) {
			if i := (reduce(key, uint32(len(nodes))) + k) % uint32(len(nodes)); p.takes(i, total, r) {
				return nodes[i]
			}
		}
	}
	// All that are usable have been tried.
	return p.fallback.Pick(r)
}

// unbound is the number of calls in flight if they do not matter.
const unbound = -1.0

// takes reports whether node i may have the call, with total calls in flight
// together.
func (p *hashPicker) takes(i uint32, total float64, r *Request) bool {
	n := p.table.nodes[i]
	if n.Out()&p.avoid != 0 || r.tried(n) {
		return false
	}
	return total == unbound || float64(n.InFlight()) < p.shares[i]*(total+1)
}

// countEvery is how old the sum of the calls in flight may be, for each node
// that it is made of: 100 ns, so that summing takes a few percent of one
// processor, however many nodes and calls there are. One counter for all nodes
// would be written twice by each call.
const countEvery = 100

func (p *hashPicker) inFlight(now int64) float64 {
	counted := p.counted.Load()
	if counted != 0 && now != 0 {
		if now-counted < countEvery*int64(len(p.table.nodes)) || !p.counted.CompareAndSwap(counted, now) {
			return float64(p.total.Load())
		}
	}
	sum := int64(0)
	for i, n := range p.table.nodes {
		if p.shares[i] > 0 {
			sum += int64(n.InFlight())
		}
	}
	p.total.Store(sum)
	p.counted.Store(now)
	return float64(sum)
}
