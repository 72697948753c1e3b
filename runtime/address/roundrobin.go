package address

import (
	"container/heap"
	"sync/atomic"
)

// RoundRobin takes the nodes in turn, those with larger weights more often and
// as evenly spaced as can be: 5, 1, 1 becomes a a b a c a a, not a a a a a b c.
// The order is worked out beforehand, so that a pick is one addition and one
// look into a table. Where weights have no small common measure they are rounded
// to 1/8192 of the whole, or to 1/8 of the mean with more than 1,024 nodes.
type RoundRobin struct{}

const (
	minTurns     = 8192
	turnsPerNode = 8
)

// Picker implements Balancer.
func (RoundRobin) Picker(v View, last Picker) Picker {
	if len(v.Nodes) == 0 {
		return nil
	}
	p := &roundRobinPicker{sampler: newSampler(v)}
	p.turns = turns(p.entries, v.Usable)
	if l, ok := last.(*roundRobinPicker); ok {
		p.next.Store(l.next.Load())
	} else {
		// Clients that start together begin at different servers.
		p.next.Store((&Request{}).random())
	}
	return p
}

type roundRobinPicker struct {
	sampler
	turns []uint32 // indices of entries
	_     [lineSize]byte
	next  atomic.Uint64
	_     [lineSize]byte
}

func (p *roundRobinPicker) Pick(r *Request) *Node {
	e := p.turn()
	if p.ramps(r) || r.choosy() {
		for range draws {
			if p.accepts(r, e.node) {
				return e.node
			}
			e = p.turn()
		}
		return p.drawAgain(r, e).node
	}
	return e.node
}

func (p *roundRobinPicker) turn() *entry {
	return &p.entries[p.turns[p.next.Add(1)%uint64(len(p.turns))]]
}

// turns returns the order of one round: each node comes as often as its weight
// says, by the earliest deadline first.
func turns(entries []entry, nodes []*Node) []uint32 {
	shares := rounded(nodes)
	total := 0
	queue := make(deadlines, len(shares))
	for i, share := range shares {
		total += share
		queue[i] = deadline{uint32(i), 1 / (2 * float64(share)), 1 / float64(share)}
	}
	heap.Init(&queue)
	order := make([]uint32, total)
	for i := range order {
		first := &queue[0]
		order[i] = first.index
		first.at += first.every
		heap.Fix(&queue, 0)
	}
	return order
}

// rounded returns the weights divided by their greatest common divisor, or
// rounded if their sum would make too long a round.
func rounded(nodes []*Node) []int {
	weights, shares := make([]uint64, len(nodes)), make([]int, len(nodes))
	var sum, divisor uint64
	for i, n := range nodes {
		weights[i] = uint64(max(n.endpoint.Load().Weight, 1))
		sum += weights[i]
		divisor = gcd(weights[i], divisor)
	}
	limit := max(minTurns, turnsPerNode*len(nodes))
	for i, w := range weights {
		if sum/divisor <= uint64(limit) {
			shares[i] = int(w / divisor)
		} else {
			shares[i] = max(1, int(float64(w)/float64(sum)*float64(limit)+0.5))
		}
	}
	return shares
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// deadline is when a node's next turn is due, on a scale where a round takes 1.
type deadline struct {
	index     uint32
	at, every float64
}

type deadlines []deadline

func (d deadlines) Len() int { return len(d) }
func (d deadlines) Less(i, j int) bool {
	return d[i].at < d[j].at || d[i].at == d[j].at && d[i].index < d[j].index
}
func (d deadlines) Swap(i, j int) { d[i], d[j] = d[j], d[i] }
func (d *deadlines) Push(any)     { panic("address: the number of nodes is fixed") }
func (d *deadlines) Pop() any     { panic("address: the number of nodes is fixed") }
