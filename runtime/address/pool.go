package address

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// PoolConfig is what a Pool is made from.
type PoolConfig struct {
	// Balancer makes the pickers, P2C if it is nil.
	Balancer Balancer
	// Decay is how fast latencies fade, DefaultDecay if it is zero.
	Decay time.Duration
	// SlowStart is how long a node that joins at least as many others gets less than
	// its share: DefaultSlowStart if it is zero, not at all if it is negative.
	SlowStart time.Duration
	// Now returns the time in nanoseconds on the scale of Request.Now. It is
	// called when nodes are marked out or in. If it is nil the time is that of the
	// last Update.
	Now func() int64
	// Attach, if not nil, is called with each new node before it can be picked, and
	// returns what Node.Attached is to return. It must not call the pool.
	Attach func(n *Node) any
}

// Pool keeps a Node for each endpoint of a target and a picker of them. Its
// methods may be called concurrently.
type Pool struct {
	cfg    PoolConfig
	picker atomic.Pointer[Picker] // nil until there is a node

	mu    sync.Mutex
	nodes []*Node // never changed, only replaced
	byID  map[ID]*Node
	now   int64
}

// NewPool returns a pool without nodes. It needs no closing.
func NewPool(cfg PoolConfig) *Pool {
	if cfg.Balancer == nil {
		cfg.Balancer = P2C{}
	}
	if cfg.Decay <= 0 {
		cfg.Decay = DefaultDecay
	}
	if cfg.SlowStart == 0 {
		cfg.SlowStart = DefaultSlowStart
	}
	return &Pool{cfg: cfg, byID: map[ID]*Node{}}
}

// Pick returns the node for a call, or nil if there is none.
func (p *Pool) Pick(r *Request) *Node {
	picker := p.picker.Load()
	if picker == nil {
		return nil
	}
	return (*picker).Pick(r)
}

// Nodes returns all nodes in the order of the resolver. The slice is shared:
// nobody may change it.
func (p *Pool) Nodes() []*Node {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.nodes
}

// Update replaces the endpoints as of now. A node whose endpoint's identity is
// still there stays and gets the new attributes; of several endpoints with one
// identity the first counts. It returns the nodes that are new and those that
// are gone, whose calls in flight go on.
func (p *Pool) Update(now int64, endpoints []Endpoint) (added, removed []*Node) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = now
	if p.unchangedLocked(endpoints) {
		return nil, nil
	}
	slow := p.slowLocked(endpoints)
	byID := make(map[ID]*Node, len(endpoints))
	nodes := make([]*Node, 0, len(endpoints))
	for _, e := range endpoints {
		id := e.ID()
		if byID[id] != nil {
			continue
		}
		n := p.byID[id]
		if n == nil {
			n = p.newNode(e, slow)
			added = append(added, n)
		} else {
			n.endpoint.Store(&e)
		}
		byID[id] = n
		nodes = append(nodes, n)
	}
	for _, n := range p.nodes {
		if byID[n.ID()] == nil {
			removed = append(removed, n)
		}
	}
	p.nodes, p.byID = nodes, byID
	p.rebuildLocked()
	return added, removed
}

// unchangedLocked reports whether the endpoints are those that the nodes have.
// Resolvers repeat themselves, and making pickers takes time.
func (p *Pool) unchangedLocked(endpoints []Endpoint) bool {
	return len(endpoints) > 0 && slices.EqualFunc(p.nodes, endpoints, func(n *Node, e Endpoint) bool {
		return n.endpoint.Load().equal(e)
	})
}

// slowLocked reports whether those of the endpoints that are new start slowly:
// if they are not more than those that stay, which have to bear the load so long.
func (p *Pool) slowLocked(endpoints []Endpoint) bool {
	stay := 0
	for _, e := range endpoints {
		if p.byID[e.ID()] != nil {
			stay++
		}
	}
	return p.cfg.SlowStart > 0 && 2*stay >= len(endpoints)
}

func (p *Pool) newNode(e Endpoint, slow bool) *Node {
	n := newNode(e, p.cfg.Decay)
	n.pool = p
	if slow {
		n.rampFrom, n.rampFor = p.now, int64(p.cfg.SlowStart)
	}
	if p.cfg.Attach != nil {
		n.attached = p.cfg.Attach(n)
	}
	return n
}

// marked is called after a node was marked out or in.
func (p *Pool) marked() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cfg.Now != nil {
		p.now = p.cfg.Now()
	}
	p.rebuildLocked()
}

func (p *Pool) rebuildLocked() {
	var last Picker
	if l := p.picker.Load(); l != nil {
		last = *l
	}
	picker := p.cfg.Balancer.Picker(NewView(slices.Clip(p.nodes), p.now), last)
	if picker == nil {
		p.picker.Store(nil)
		return
	}
	p.picker.Store(&picker)
}
