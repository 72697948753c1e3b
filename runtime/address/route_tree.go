package address

import (
	"sync"
	"sync/atomic"
)

// Routes become a tree: a fork for each rule, a part of the nodes for each of its
// branches, and behind the last rule a picker. Forks and pickers are made when the
// first call comes to them, as few of the combinations may ever be used.

// routes is the Balancer of Routes.
type routes struct {
	rules []route
	of    Balancer
}

// route is a rule that has been found valid.
type route struct {
	kind     ruleKind
	fallback Fallback
	tags     map[string]string // of FallbackTags
	local    Location
	salt     uint64 // makes the draws of rules independent of each other
}

// Picker implements Balancer.
func (b *routes) Picker(v View, last Picker) Picker {
	if len(v.Nodes) == 0 {
		return nil
	}
	var was *part
	if l, ok := last.(*routePicker); ok && l.by == b {
		was = l.root
	}
	return &routePicker{b, b.part(forkInput{nodes: v.Nodes, panics: v.Panics(), now: v.Now}, 0, was)}
}

type routePicker struct {
	by   *routes
	root *part
}

// Pick implements Picker.
func (p *routePicker) Pick(r *Request) *Node {
	n, _ := p.root.pick(r)
	return n
}

// rank says how good the choice of a node is.
type rank uint8

const (
	rankNone    rank = iota // there is no node
	rankTried               // the call went there in vain
	rankSuspect             // no node of the part is usable
	rankGood
)

// forkInput is what reaches a rule: never an empty list of nodes.
type forkInput struct {
	nodes []*Node
	// panics says that of all nodes less than half are usable, and no rule has found
	// enough capacity among them.
	panics bool
	now    int64
	*route // the rule
}

// part is some of the nodes: those on one branch of a rule.
type part struct {
	index  int    // of the branch
	fork   *fork  // the next rule, or nil
	picker Picker // what chooses behind the last rule; nil if there is no node
	// suspect says that no node of the part is usable.
	suspect bool
}

// part returns the part that in leaves to the rule at level; last is what it replaces.
func (b *routes) part(in forkInput, level int, last *part) *part {
	p := &part{suspect: !anyUsable(in.nodes)}
	switch {
	case len(in.nodes) == 0:
	case level < len(b.rules):
		in.route = &b.rules[level]
		p.fork = newFork(b, in, level, last)
	default:
		var was Picker
		if last != nil {
			was = last.picker
		}
		p.picker = b.of.Picker(partView(in), was)
	}
	return p
}

func anyUsable(nodes []*Node) bool {
	for _, n := range nodes {
		if n.Out() == 0 {
			return true
		}
	}
	return false
}

// partView returns the view of what rules left. Unlike NewView it does not use nodes
// that are suspected as long as there is any other, unless all nodes together panic: a
// part may be small, and most rules have a better way out.
func partView(in forkInput) View {
	v := View{Nodes: in.nodes, Usable: without(in.nodes, ^Reason(0)), Avoid: ^Reason(0), Now: in.now}
	if len(v.Usable) == 0 || in.panics && 2*len(v.Usable) < len(v.Nodes) {
		return NewView(in.nodes, in.now)
	}
	return v
}

func (p *part) pick(r *Request) (*Node, rank) {
	if p.fork != nil {
		return p.fork.pick(r)
	}
	if p.picker == nil {
		return nil, rankNone
	}
	n := p.picker.Pick(r)
	switch {
	case n == nil:
		return nil, rankNone
	case r.tried(n):
		return n, rankTried
	case p.suspect:
		return n, rankSuspect
	}
	return n, rankGood
}

// division is how a rule divides nodes and calls. Its methods may be called concurrently.
type division interface {
	// count returns the number of branches.
	count() int
	// has reports whether the node of that index is on the branch.
	has(branch, node int) bool
	// first returns the branch for a call: count if the rule does not apply to it, -1
	// if no branch is for it.
	first(r *Request) int
	// other returns the branch to try as k-th after first came to nothing, or -1. A
	// fallback comes behind them.
	other(first, k int) int
	// keyed reports whether the branch tells which server holds a key.
	keyed() bool
	// ample reports whether the rule has looked at the capacity and found enough of it.
	ample() bool
}

// simple is what most divisions have in common.
type simple struct{}

func (simple) other(int, int) int { return -1 }
func (simple) keyed() bool        { return false }
func (simple) ample() bool        { return false }

// fork is one rule for one list of nodes.
type fork struct {
	by       *routes
	level    int
	in       forkInput
	division division
	// suspect says that no node is usable: then it is of no use to look for one.
	suspect bool
	// fallback is the branch to try last, or -1.
	fallback int
	// parts are those of the branches, and then two more: all nodes, and those with
	// the tags of the fallback. They are nil until they are wanted.
	parts []atomic.Pointer[part]

	mu   sync.Mutex
	last []*part // what parts that are still nil will replace; nil if there is none
}

func newFork(b *routes, in forkInput, level int, last *part) *fork {
	f := &fork{by: b, level: level, in: in, division: in.kind.divide(in), suspect: !anyUsable(in.nodes), fallback: -1}
	all := f.division.count()
	f.parts = make([]atomic.Pointer[part], all+2)
	switch in.fallback {
	case FallbackAll:
		f.fallback = all
	case FallbackTags:
		f.fallback = all + 1
	}
	if last != nil && last.fork != nil {
		f.last = last.fork.latest()
	}
	return f
}

// latest returns what is known of each branch, for the fork that replaces this one.
func (f *fork) latest() []*part {
	f.mu.Lock()
	defer f.mu.Unlock()
	parts := make([]*part, len(f.parts))
	copy(parts, f.last)
	for i := range f.parts {
		if p := f.parts[i].Load(); p != nil {
			parts[i] = p
		}
	}
	return parts
}

// part returns the part of a branch.
func (f *fork) part(branch int) *part {
	if p := f.parts[branch].Load(); p != nil {
		return p
	}
	return f.build(branch)
}

func (f *fork) build(branch int) *part {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.parts[branch].Load(); p != nil {
		return p
	}
	var last *part
	if f.last != nil {
		last, f.last[branch] = f.last[branch], nil
	}
	in := f.in
	in.nodes = f.nodes(branch)
	in.panics = in.panics && !f.division.ample()
	p := f.by.part(in, f.level+1, last)
	p.index = branch
	f.parts[branch].Store(p)
	return p
}

// nodes returns the nodes on a branch.
func (f *fork) nodes(branch int) []*Node {
	all := f.division.count()
	if branch == all {
		return f.in.nodes
	}
	var nodes []*Node
	for i, n := range f.in.nodes {
		if branch > all && n.endpoint.Load().hasTags(f.in.tags) || branch < all && f.division.has(branch, i) {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

func (f *fork) pick(r *Request) (*Node, rank) {
	first := f.division.first(r)
	if first < 0 {
		return otherwise(f, r, first, nil, rankNone, (*part).pick)
	}
	n, got := f.part(first).pick(r)
	if got == rankGood {
		return n, got
	}
	return otherwise(f, r, first, n, got, (*part).pick)
}

// otherwise returns the best of what do finds on the branches that may stand in for
// first, which has come to best.
func otherwise[T any](f *fork, r *Request, first int, found T, best rank, do func(*part, *Request) (T, rank)) (T, rank) {
	enough := func() bool { return best == rankGood || best == rankSuspect && f.suspect }
	try := func(branch int) {
		if branch != first {
			if t, got := do(f.part(branch), r); got > best {
				found, best = t, got
			}
		}
	}
	for k := 0; !enough(); k++ {
		branch := f.division.other(first, k)
		if branch < 0 {
			break
		}
		try(branch)
	}
	if !enough() && f.fallback >= 0 && first != f.division.count() {
		try(f.fallback)
	}
	return found, best
}
