package address

import "time"

// P2C draws two nodes at random, as their weights say, and takes the one where
// the call is likely to end first: its latency times the number of calls in
// flight there with this one, relative to its weight. A node of which nothing is
// known gets one call at a time until something is.
//
// Two choices instead of one shorten the longest queue from the order of log n
// to that of log log n (Mitzenmacher, "The Power of Two Choices in Randomized
// Load Balancing", 2001), and a choice among two, unlike the best of all, does
// not send every client to the same server at once. The latency is a peak-EWMA,
// as in Finagle: it rises at once and falls slowly.
type P2C struct{}

// Picker implements Balancer.
func (P2C) Picker(v View, _ Picker) Picker {
	if len(v.Nodes) == 0 {
		return nil
	}
	return &p2cPicker{newSampler(v)}
}

type p2cPicker struct{ sampler }

// unknown is the latency of a node with calls in flight before the first of
// them has ended.
const unknown = float32(time.Second)

func (p *p2cPicker) Pick(r *Request) *Node {
	a, b := p.drawTwo(r)
	if b.cost(r.Now) < a.cost(r.Now) {
		return b.node
	}
	return a.node
}

// cost is how long a call that goes to the node is expected to take. With no
// call in flight it does not depend on the weight, which the draw has respected.
func (e *entry) cost(now int64) float32 {
	latency := e.node.latencyAt(now)
	queue := float32(uint32(e.node.calls.Load()))
	if latency == 0 && queue > 0 {
		latency = unknown
	}
	return latency * (1 + queue*e.per)
}

// Random draws nodes at random, as their weights say.
type Random struct{}

// Picker implements Balancer.
func (Random) Picker(v View, _ Picker) Picker {
	if len(v.Nodes) == 0 {
		return nil
	}
	return &randomPicker{newSampler(v)}
}

type randomPicker struct{ sampler }

func (p *randomPicker) Pick(r *Request) *Node {
	return p.draw(r, uint32(r.random()>>32)).node
}

// LeastRequest draws some nodes at random and takes the one with the fewest
// calls in flight relative to its weight.
type LeastRequest struct {
	// Choices is how many are drawn, 2 if it is zero. If it is at least the number
	// of nodes all are compared.
	Choices int
}

// Picker implements Balancer.
func (l LeastRequest) Picker(v View, _ Picker) Picker {
	if len(v.Nodes) == 0 {
		return nil
	}
	p := &leastPicker{newSampler(v), l.Choices}
	if p.choices <= 0 {
		p.choices = 2
	}
	return p
}

type leastPicker struct {
	sampler
	choices int
}

func (p *leastPicker) Pick(r *Request) *Node {
	switch {
	case p.choices == 2:
		a, b := p.drawTwo(r)
		if b.queue() < a.queue() {
			return b.node
		}
		return a.node
	case p.choices >= len(p.entries):
		return p.least(r)
	}
	best := p.draw(r, uint32(r.random()))
	for range p.choices - 1 {
		if e := p.draw(r, uint32(r.random())); e.queue() < best.queue() {
			best = e
		}
	}
	return best.node
}

// least returns the best of all, beginning anywhere so that ties are drawn.
func (p *leastPicker) least(r *Request) *Node {
	first := p.draw(r, uint32(r.random()))
	best, queue, n := first, first.queue(), len(p.entries)
	from := p.index(uint32(r.random()))
	for i := range n {
		e := &p.entries[(from+i)%n]
		if q := e.queue(); q < queue && p.accepts(r, e.node) {
			best, queue = e, q
		}
	}
	return best.node
}

// queue returns the calls in flight relative to the weight.
func (e *entry) queue() float32 { return float32(uint32(e.node.calls.Load())) * e.per }
