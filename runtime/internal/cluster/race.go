package cluster

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/internal/transport"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// attemptDelay is how long one server may take to be connected before a call
// tries the next one beside it, as RFC 8305 has it.
const attemptDelay = 250 * time.Millisecond

// maxHopeless is how many servers that are known to fail a call attempts when there
// are no others. They are connected in the background; what they say is why there
// is no connection.
const maxHopeless = 4

// maxLooks is how often a call that does not wait looks again because a server has
// changed meanwhile.
const maxLooks = 3

// pickSlowly picks while first, which was chosen, has no connection, or there is
// nobody to choose.
func (b *Balanced) pickSlowly(ctx context.Context, p *Pick, first *address.Node) (Client, *status.Error) {
	merged, cancel := Merge(ctx, b.ctx, p.Deadline)
	defer cancel()
	tried := len(p.Tried)
	defer func() { p.Tried = p.Tried[:tried] }()
	for looks := 1; ; looks++ {
		resolved, changed, unresolved := b.state()
		p.Tried = p.Tried[:tried]
		r := race{b: b, p: p, ctx: merged, tried: tried, first: first, healthy: true, left: maxHopeless}
		first = nil
		c, phase, err := r.run()
		if c != nil {
			p.Now = b.now() // the server has nothing to do with the time before
			return c, nil
		}
		switch {
		case b.ctx.Err() != nil:
			return nil, Unavailable(transport.ErrClosed)
		case p.Only != nil && siteOf(p.Only).ctx.Err() != nil:
			return nil, Unavailable(fmt.Errorf("the server %s of %q is not found any more", p.Only.ID(), b.cfg.Target))
		case !resolved:
			phase, err = status.PhaseResolve, nil
		case phase == status.PhasePick && len(b.pool.Nodes()) == 0:
			err = b.nobody(unresolved)
		}
		if resolved && !p.Wait && merged.Err() == nil && (looks > maxLooks || !isDone(changed)) {
			return nil, err
		}
		select {
		case <-changed:
			continue
		case <-merged.Done():
		}
		if b.ctx.Err() != nil {
			return nil, Unavailable(transport.ErrClosed)
		}
		return nil, b.expired(merged.Err(), phase, err)
	}
}

// race connects servers for one call until one is connected.
type race struct {
	b     *Balanced
	p     *Pick
	ctx   context.Context
	tried int // how many of p.Tried the call had tried before

	first   *address.Node // to begin with, or nil
	left    int           // how many of those that are known to fail may be attempted
	healthy bool          // there may be nodes that are not known to fail
	results chan result
	over    chan struct{} // closed when nobody takes results any more
	running int
	err     *status.Error // why the last attempt failed
}

// result is what came of an attempt.
type result struct {
	node *address.Node
	line Line
	c    Client
	err  *status.Error
}

// run returns a connection, or why there is none and in which phase the call was
// then; err is nil only if ctx is done.
func (r *race) run() (Client, status.Phase, *status.Error) {
	r.results, r.over = make(chan result), make(chan struct{})
	defer close(r.over)
	patience := time.NewTimer(attemptDelay)
	defer patience.Stop()
	var last *address.Node // to be attempted
	for {
		n, c := r.next()
		if c != nil {
			return c, 0, nil
		}
		var late <-chan time.Time
		switch {
		case n != nil:
			if !r.attempt(n) {
				continue
			}
			patience.Reset(attemptDelay)
			late, last = patience.C, n
		case r.running == 0:
			if r.err == nil {
				return nil, status.PhasePick, r.none()
			}
			return nil, status.PhaseDial, r.err
		}
		select {
		case <-late:
			r.slow(last)
		case <-r.ctx.Done():
			return nil, status.PhaseDial, r.err
		case got := <-r.results:
			r.running--
			if got.c != nil {
				r.p.chosen(got.node, got.line)
				return got.c, 0, nil
			}
			r.err = got.err
			if r.ctx.Err() == nil && got.line != nil {
				siteOf(got.node).down(got.line)
			}
		}
	}
}

// slow has other calls avoid a node to which there is no connection yet.
func (r *race) slow(n *address.Node) {
	if line, err := siteOf(n).lanes.line(r.p.Class.Lane); err == nil {
		siteOf(n).down(line)
	}
}

// none is the error of a call that no server may have.
func (r *race) none() *status.Error {
	return Unavailable(fmt.Errorf("no server of %q may be used for %s", r.b.cfg.Target, r.p.Method))
}

// next returns a node to connect, or a connection that is there already. Both
// are nil if all nodes that may be used have been tried.
func (r *race) next() (*address.Node, Client) {
	for r.healthy {
		n := r.first
		if r.first = nil; !r.fresh(n) {
			r.p.Avoid = address.Disconnected
			n = r.b.choose(r.p)
			r.p.Avoid = 0
		}
		if r.healthy = r.fresh(n); !r.healthy {
			break
		}
		if c := r.b.take(r.p, n); c != nil {
			return nil, c
		}
		line, err := siteOf(n).lanes.line(r.p.Class.Lane)
		if err == nil && (line.Failing() || siteOf(n).mending.Load()) {
			siteOf(n).down(line)
			r.healthy = n.Out()&address.Disconnected != 0 // as it is now, but for a race
			continue
		}
		r.p.Tried = append(r.p.Tried, n)
		return n, nil
	}
	if r.left == 0 {
		return nil, nil
	}
	n := r.b.choose(r.p)
	if n == nil || slices.Contains(r.p.Tried[r.tried:], n) {
		return nil, nil
	}
	r.left--
	if c := r.b.take(r.p, n); c != nil {
		return nil, c
	}
	r.p.Tried = append(r.p.Tried, n)
	return n, nil
}

// fresh reports whether n is a node that is not known to fail and was not attempted.
func (r *race) fresh(n *address.Node) bool {
	return n != nil && n.Out()&address.Disconnected == 0 && !slices.Contains(r.p.Tried[r.tried:], n)
}

// attempt begins to connect a node and reports whether a result will come.
func (r *race) attempt(n *address.Node) bool {
	line, err := siteOf(n).lanes.line(r.p.Class.Lane)
	if err != nil {
		r.err = Unavailable(err)
		return false
	}
	over, results := r.over, r.results
	ctx, deadline := r.ctx, r.p.Deadline
	begun := r.b.spawn(func() {
		c, err := connect(ctx, line, deadline, false)
		select {
		case results <- result{n, line, c, err}:
		case <-over:
			if c != nil {
				line.Done(c)
			}
		}
	})
	if begun {
		r.running++
	}
	return begun
}
