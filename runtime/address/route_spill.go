package address

// DefaultOverprovision is how many times its usual load a group of servers can bear:
// with 1.4 calls leave a group when less than 1/1.4 = 71 % of it is usable. It is also
// Envoy's default for priorities and localities.
const DefaultOverprovision = 1.4

// spillDivision divides nodes into groups, one before the other. Each group takes what it
// has capacity for of the calls that are left over by those before.
type spillDivision struct {
	simple
	groups int
	group  []int // of each node; groups if it is in none
	// upTo is, for each group, the share of calls that goes to it or to one before.
	upTo   []float64
	enough bool
	salt   uint64
}

// newSpill returns the division into the groups: group says which one a node is in, or
// groups for none. share returns the share of calls of each group for the usable
// part of its weight, and whether that is enough for all.
func newSpill(in forkInput, groups int, group func(*Endpoint) int, share func(usable []float64) ([]float64, bool)) division {
	s := &spillDivision{groups: groups, group: make([]int, len(in.nodes)), salt: in.salt}
	all, usable := make([]float64, groups+1), make([]float64, groups+1)
	for i, n := range in.nodes {
		e := n.endpoint.Load()
		g := group(e)
		s.group[i] = g
		all[g] += e.weight()
		if n.Out() == 0 {
			usable[g] += e.weight()
		}
	}
	for g := range usable {
		if all[g] > 0 {
			usable[g] /= all[g]
		}
	}
	s.upTo, s.enough = share(usable[:groups])
	for g := 1; g < groups; g++ {
		s.upTo[g] += s.upTo[g-1]
	}
	return s
}

func (s *spillDivision) count() int                { return s.groups }
func (s *spillDivision) has(branch, node int) bool { return s.group[node] == branch }
func (s *spillDivision) ample() bool               { return s.enough }
func (s *spillDivision) other(_, k int) int {
	if k < s.groups {
		return k
	}
	return -1
}

func (s *spillDivision) first(r *Request) int {
	if s.upTo[0] >= 1 {
		return 0
	}
	x := r.draw(s.salt)
	for g, upTo := range s.upTo {
		if x < upTo {
			return g
		}
	}
	return s.last()
}

// last returns the last group that has a share; rounding may leave a little for it.
func (s *spillDivision) last() int {
	for g := s.groups - 1; g > 0; g-- {
		if s.upTo[g] > s.upTo[g-1] {
			return g
		}
	}
	return 0
}

// spread returns the share of calls of each group in order. A group takes up to its
// usable part times factor. If that is not enough for all calls the groups share them
// in proportion to it, and if nothing is usable the first group has them.
func spread(usable []float64, factor float64) (shares []float64, enough bool) {
	shares = make([]float64, len(usable))
	left := 1.0
	for g, part := range usable {
		shares[g] = min(left, part*factor)
		left -= shares[g]
	}
	const rounding = 1e-9
	switch {
	case left <= rounding:
		return shares, true
	case left > 1-rounding:
		shares[0] = 1
	default:
		for g := range shares {
			shares[g] /= 1 - left
		}
	}
	return shares, false
}

// cutOver returns all calls for the first group of which at least the part threshold
// is usable; without one they are spread.
func cutOver(usable []float64, threshold, factor float64) (shares []float64, enough bool) {
	for g, part := range usable {
		if part >= threshold {
			shares = make([]float64, len(usable))
			shares[g] = 1
			return shares, true
		}
	}
	return spread(usable, factor)
}

// overprovision returns the factor that is meant by f.
func overprovision(f float64) float64 {
	if f == 0 {
		return DefaultOverprovision
	}
	return f
}
