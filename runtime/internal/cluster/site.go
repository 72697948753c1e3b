package cluster

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/rpcx-go/rpcx/runtime/address"
)

// site is what a Balanced cluster keeps for one of its nodes.
type site struct {
	b     *Balanced
	node  *address.Node
	lanes lanes
	ctx   context.Context // done when the endpoint is gone
	gone  context.CancelFunc
	// mending is set while a goroutine connects again.
	mending atomic.Bool
}

func newSite(b *Balanced, n *address.Node) *site {
	s := &site{b: b, node: n}
	cfg := b.cfg.Line
	cfg.Endpoint, cfg.Node = n.Endpoint(), n
	cfg.Others = func() bool { return len(b.pool.Nodes()) > 1 }
	s.lanes.init(cfg, b.cfg.Open)
	s.ctx, s.gone = context.WithCancel(b.ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sites[s] = struct{}{}
	if b.closed {
		s.lanes.end()
	}
	return s
}

func siteOf(n *address.Node) *site { return n.Attached().(*site) }

// begin is called when calls may go to the node.
func (s *site) begin() {
	if s.b.cfg.Check != nil {
		s.b.spawn(s.check)
	}
}

// leave is called when the endpoint is gone: its connections drain.
func (s *site) leave() {
	s.gone()
	s.b.spawn(func() {
		s.lanes.retire()
		s.b.mu.Lock()
		delete(s.b.sites, s)
		s.b.mu.Unlock()
	})
}

// down is called when the line has lost its connection, or cannot make one, or not
// soon: the node is avoided until there is one again.
func (s *site) down(line Line) {
	if !s.mending.CompareAndSwap(false, true) {
		return
	}
	s.node.MarkOut(address.Disconnected)
	s.b.source.Refresh()
	if !s.b.spawn(func() { s.mend(line) }) {
		s.mending.Store(false)
	}
}

func (s *site) mend(line Line) {
	c, err := connect(s.ctx, line, time.Time{}, true)
	if err == nil {
		line.Done(c)
		s.node.MarkIn(address.Disconnected)
	}
	s.mending.Store(false)
	s.b.tell()
}

// unhealthyAfter is how many checks in a row fail before a server is avoided. One
// that succeeds brings it back.
const unhealthyAfter = 2

// check asks the server for its health until it is gone.
func (s *site) check() {
	every := s.b.cfg.CheckEvery
	t := time.NewTimer(time.Duration(rand.Int64N(int64(every)/2 + 1)))
	defer t.Stop()
	for failures := 0; ; {
		select {
		case <-t.C:
		case <-s.ctx.Done():
			return
		}
		var err error
		if s.lanes.used() || len(s.b.pool.Nodes()) <= address.DefaultSubset {
			ctx, cancel := context.WithTimeout(s.ctx, every)
			err = s.b.cfg.Check(ctx, s.node)
			cancel()
		}
		switch {
		case s.ctx.Err() != nil:
			return
		case err == nil:
			failures = 0
			if s.node.MarkIn(address.Unhealthy) {
				s.b.tell()
			}
		default:
			if failures++; failures == unhealthyAfter && s.node.MarkOut(address.Unhealthy) {
				s.b.cfg.Line.Log.Warn("server is not healthy", "target", s.b.cfg.Target, "server", s.node.ID(), "error", err)
			}
		}
		t.Reset(time.Duration(float64(every) * (0.9 + rand.Float64()/5)))
	}
}
