package address

// sampler draws nodes at random, each as often as its weight says.
type sampler struct {
	entries []entry
	// cells make the draw follow the weights, by the alias method of Walker and
	// Vose; nil if the weights are equal.
	cells []aliasCell
	// rampsUntil is when the last node's slow start ends, 0 if none starts slowly.
	rampsUntil int64
}

// entry is a node and how much one call weighs on it: the mean of all weights,
// divided by its own.
type entry struct {
	node *Node
	per  float32
}

// aliasCell is one of len(entries) equally likely cells, which belongs to its
// own entry below keep and to other above.
type aliasCell struct {
	keep  uint32
	other uint32
}

// draws is how often a node that was tried or starts slowly is drawn again.
const draws = 8

func newSampler(v View) sampler {
	n := len(v.Usable)
	s := sampler{entries: make([]entry, n)}
	weights := make([]float64, n)
	sum, equal := 0.0, true
	for i, node := range v.Usable {
		weights[i] = node.endpoint.Load().weight()
		sum += weights[i]
		equal = equal && weights[i] == weights[0]
		if node.Ramp(v.Now) < 1 {
			s.rampsUntil = max(s.rampsUntil, node.rampFrom+node.rampFor)
		}
	}
	mean := sum / float64(n)
	for i, node := range v.Usable {
		s.entries[i] = entry{node, float32(mean / weights[i])}
		weights[i] /= mean
	}
	if !equal {
		s.cells = aliasCells(weights)
	}
	return s
}

// aliasCells returns the cells for weights with a mean of 1, which it changes.
// Entries with too little take what their cell has left from those with too much.
func aliasCells(weights []float64) []aliasCell {
	cells := make([]aliasCell, len(weights))
	var small, large []int
	for i, w := range weights {
		cells[i] = aliasCell{1<<32 - 1, uint32(i)}
		if w < 1 {
			small = append(small, i)
		} else {
			large = append(large, i)
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		cells[s] = aliasCell{uint32(weights[s] * (1<<32 - 1)), uint32(l)}
		weights[l] -= 1 - weights[s]
		if weights[l] < 1 {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	return cells
}

// ramps reports whether some node may be in slow start.
func (s *sampler) ramps(r *Request) bool { return r.Now < s.rampsUntil }

// index returns what u, a random number, stands for.
func (s *sampler) index(u uint32) int {
	x := uint64(u) * uint64(len(s.entries))
	i := int(x >> 32)
	if s.cells != nil && uint32(x) >= s.cells[i].keep {
		return int(s.cells[i].other)
	}
	return i
}

// draw returns the entry that u stands for, or another one if that was tried
// or starts slowly.
func (s *sampler) draw(r *Request, u uint32) *entry {
	e := &s.entries[s.index(u)]
	if s.ramps(r) || r.choosy() {
		return s.drawAgain(r, e)
	}
	return e
}

func (s *sampler) drawAgain(r *Request, e *entry) *entry {
	for range draws {
		if s.accepts(r, e.node) {
			return e
		}
		e = &s.entries[s.index(uint32(r.random()))]
	}
	from := s.index(uint32(r.random()))
	for i := range s.entries {
		e := &s.entries[(from+i)%len(s.entries)]
		if !r.tried(e.node) {
			return e
		}
	}
	return e
}

// accepts reports whether the node may have this call: always, if it was not
// tried and does not start slowly.
func (s *sampler) accepts(r *Request, n *Node) bool {
	if r.tried(n) {
		return false
	}
	if !s.ramps(r) || r.Now == 0 {
		return true
	}
	part := n.Ramp(r.Now)
	return part >= 1 || float64(r.random()>>11)*0x1p-53 < part
}

// drawTwo returns two entries, different ones if there are two and the weights
// are equal. Otherwise the second does not depend on the first: so the first
// stands in its place in the ratio of the weights whichever of both is taken.
func (s *sampler) drawTwo(r *Request) (a, b *entry) {
	u := r.random()
	if s.cells == nil && !s.ramps(r) && !r.choosy() && len(s.entries) > 1 {
		n := uint64(len(s.entries))
		i := uint64(uint32(u)) * n >> 32
		j := (u >> 32) * (n - 1) >> 32
		if j >= i {
			j++
		}
		return &s.entries[i], &s.entries[j]
	}
	return s.draw(r, uint32(u)), s.draw(r, uint32(u>>32))
}
