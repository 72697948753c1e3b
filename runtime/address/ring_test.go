package address

import "slices"

// ring is what maglev was measured against: points on a circle, found by
// bisection, as in ketama.
type ring struct{ points []point }

type point struct {
	at   uint64
	node uint32
}

func newRing(nodes []*Node, perNode int) *ring {
	mean := 0.0
	for _, n := range nodes {
		mean += n.Endpoint().weight() / float64(len(nodes))
	}
	r := &ring{}
	for i, n := range nodes {
		for k := range int(float64(perNode)*n.Endpoint().weight()/mean + 0.5) {
			r.points = append(r.points, point{hashID(n.ID(), uint64(k)), uint32(i)})
		}
	}
	slices.SortFunc(r.points, func(a, b point) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return 0
	})
	return r
}

func (r *ring) find(key uint64) uint32 {
	at := mix(key)
	lo, hi := 0, len(r.points)
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); r.points[mid].at < at {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return r.points[lo%len(r.points)].node
}
