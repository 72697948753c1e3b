package address

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

// maglev maps keys to nodes by a table that nodes fill in turns, each in an
// order of its own (Eisenbud et al., "Maglev: A Fast and Reliable Software
// Network Load Balancer", NSDI 2016, section 3.4). When a node goes its slots are
// taken by others and few of the rest change hands. It is the same for all
// clients that have the same endpoints with the same weights.
type maglev struct {
	slots []uint32 // indices of nodes
}

// tableSizes are primes. A table has at least slotsPerNode slots for each node,
// so that shares differ by less than 1 %, and nodes take few from each other. That of a
// single node, as rules may leave many of them, has one slot.
var tableSizes = [...]int{16381, 32749, 65521, 131071, 262139, 524287, 1048573, 2097143, 4194301}

const slotsPerNode = 128

func tableSize(nodes int) int {
	if nodes == 1 {
		return 1
	}
	for _, size := range tableSizes {
		if size >= slotsPerNode*nodes {
			return size
		}
	}
	return tableSizes[len(tableSizes)-1]
}

// filler is a node that fills the table: its next slot, how far it goes from one
// to the next, how many turns it is due, and its weight.
type filler struct {
	id         ID
	index      uint32
	slot, step uint32
	due, rate  float64
}

func newMaglev(nodes []*Node) *maglev {
	size := uint32(tableSize(len(nodes)))
	fillers := make([]filler, len(nodes))
	sum := 0.0
	for i, n := range nodes {
		e := n.endpoint.Load()
		sum += e.weight()
		fillers[i] = filler{
			id: e.ID(), index: uint32(i), rate: e.weight(),
			slot: reduce(hashID(e.ID(), 1), size), step: 1 + reduce(hashID(e.ID(), 2), size-1),
		}
	}
	// Whose turn is first depends on the order: it has to be everybody's.
	slices.SortFunc(fillers, func(a, b filler) int {
		return cmp.Or(cmp.Compare(a.id.Network, b.id.Network), cmp.Compare(a.id.Addr, b.id.Addr))
	})
	m := &maglev{make([]uint32, size)}
	for i := range m.slots {
		m.slots[i] = math.MaxUint32
	}
	m.fill(fillers, sum)
	return m
}

// fill gives the fillers, whose weights have this sum, turns until all slots are
// taken, and returns after how many rounds that was. A round has one turn for each of
// them on the average, whatever the weights are: so there are about size/n rounds and
// not, if one has nearly all of the weight, one for each slot.
func (m *maglev) fill(fillers []filler, sum float64) (rounds int) {
	perWeight := float64(len(fillers)) / sum
	for left := len(m.slots); left > 0; rounds++ {
		for i := range fillers {
			f := &fillers[i]
			for f.due += f.rate * perWeight; f.due >= 1 && left > 0; left-- {
				f.due--
				m.take(f)
			}
		}
	}
	return rounds
}

// take gives the filler the first slot of its order that is free.
func (m *maglev) take(f *filler) {
	size := uint32(len(m.slots))
	for m.slots[f.slot] != math.MaxUint32 {
		if f.slot += f.step; f.slot >= size {
			f.slot -= size
		}
	}
	m.slots[f.slot] = f.index
}

// find returns the index of the node that a mixed key belongs to. Those that take
// its calls if that one cannot are found by mixing it again: the next slot will
// not do, as the orders of two nodes may run in parallel.
func (m *maglev) find(mixed uint64) uint32 { return m.slots[reduce(mixed, uint32(len(m.slots)))] }

// reduce maps a hash to [0, n), evenly.
func reduce(hash uint64, n uint32) uint32 {
	hi, _ := bits.Mul64(hash, uint64(n))
	return uint32(hi)
}

// mix returns a hash of which every bit depends on every bit of x: the last
// step of SplitMix64 (Steele, Lea, Flood, 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// hashID returns one of many hashes of id, the same in every process: FNV-1a,
// whose bits are mixed.
func hashID(id ID, which uint64) uint64 {
	const prime = 0x100000001b3
	h := uint64(0xcbf29ce484222325)
	for _, s := range [...]string{id.Network, "\x00", id.Addr} {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * prime
		}
	}
	return mix(h ^ mix(which))
}
