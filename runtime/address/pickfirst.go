package address

import "slices"

// PickFirst sends all calls to one node: the first usable one in the order of
// the resolver, and that one as long as it is usable, so that calls do not come
// back at once to a server that has just failed. Calls that tried it go to the
// ones behind it.
type PickFirst struct{}

// Picker implements Balancer.
func (PickFirst) Picker(v View, last Picker) Picker {
	if len(v.Nodes) == 0 {
		return nil
	}
	p := &firstPicker{v.Usable, 0}
	if l, ok := last.(*firstPicker); ok {
		p.first = max(0, slices.Index(p.nodes, l.nodes[l.first]))
	}
	return p
}

type firstPicker struct {
	nodes []*Node
	first int
}

func (p *firstPicker) Pick(r *Request) *Node {
	first := p.nodes[p.first]
	if !r.choosy() || !r.tried(first) {
		return first
	}
	for _, n := range p.nodes {
		if !r.tried(n) {
			return n
		}
	}
	return first
}
