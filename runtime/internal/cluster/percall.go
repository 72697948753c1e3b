package cluster

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/transport"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// PerCall is a Line where each call has a connection of its
// own while it lasts. Connections of ended calls are kept for later ones, up to
// a number, or, if that is zero, closed.
type PerCall struct {
	cfg    Config
	keep   int
	ctx    context.Context // done when closed
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	idle    []*transport.Client            // the one that ended last is used first
	open    map[*transport.Client]struct{} // those that this side has not closed
	failing bool                           // the last attempt to connect failed, or the server never answered
	// failures are those in a row, of attempts of different times; next is when the next
	// attempt may be made; err is of the last one.
	failures int
	next     time.Time
	err      error
}

// NewPerCall returns a line that keeps at most keep idle connections.
func NewPerCall(cfg Config, keep int) *PerCall {
	p := &PerCall{cfg: cfg, keep: keep, open: map[*transport.Client]struct{}{}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// Take implements Line.
func (p *PerCall) Take() Client {
	if c := p.take(); c != nil {
		return c
	}
	return nil
}

// Failing implements Line.
func (p *PerCall) Failing() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failing
}

// Pick implements Line.
func (p *PerCall) Pick(ctx context.Context, deadline time.Time, wait bool) (Client, *status.Error) {
	ctx, cancel := Merge(ctx, p.ctx, deadline)
	defer cancel()
	for {
		if c := p.take(); c != nil {
			return c, nil
		}
		pause, err := p.pause()
		if pause == 0 {
			var c *transport.Client
			if c, err = p.dial(ctx); err == nil {
				return c, nil
			}
			p.failed(ctx, err)
		}
		switch {
		case p.isClosed():
			return nil, Unavailable(transport.ErrClosed)
		case ctx.Err() != nil:
			return nil, p.cfg.Expired(ctx.Err(), err)
		case !wait:
			return nil, Unavailable(err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

func (p *PerCall) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// pause returns how long it is until an attempt may be made, and why the last one
// failed.
func (p *PerCall) pause() (time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.failing {
		return 0, nil
	}
	return max(time.Until(p.next), 0), p.err
}

// failed notes an attempt that failed, unless that was because ctx is done.
func (p *PerCall) failed(ctx context.Context, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ctx.Err() == nil {
		p.failedLocked(err)
	}
}

// failedLocked notes a failure. Those of attempts that were made together are one.
func (p *PerCall) failedLocked(err error) {
	p.failing, p.err = true, err
	if now := time.Now(); !now.Before(p.next) {
		p.failures++
		p.next = now.Add(p.cfg.Backoff.Delay(p.failures))
	}
}

// Merge returns a context that is done when one of both is, or at deadline.
func Merge(ctx, other context.Context, deadline time.Time) (context.Context, context.CancelFunc) {
	var cancel context.CancelFunc
	if deadline.IsZero() {
		ctx, cancel = context.WithCancel(ctx)
	} else {
		ctx, cancel = context.WithDeadline(ctx, deadline)
	}
	stop := context.AfterFunc(other, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// take returns an idle connection that still lives, or nil.
func (p *PerCall) take() *transport.Client {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n := len(p.idle); n > 0; n = len(p.idle) {
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		if c.Usable() {
			return c
		}
		p.closeLocked(c)
	}
	return nil
}

// dial makes a connection and a goroutine that reads it.
func (p *PerCall) dial(ctx context.Context) (*transport.Client, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, transport.ErrClosed
	}
	p.tasks.Add(1) // before Close waits
	p.mu.Unlock()
	c, err := p.cfg.open(ctx, p)
	if err != nil {
		p.tasks.Done()
		return nil, err
	}
	p.mu.Lock()
	p.open[c.Client] = struct{}{}
	if p.closed {
		p.closeLocked(c.Client)
	}
	careful := p.failing
	p.mu.Unlock()
	go c.run()
	if careful {
		if err := p.answered(ctx, c.Client); err != nil {
			return nil, err
		}
	}
	return c.Client, nil
}

// answered waits until the server has said what it accepts, as is done after an
// attempt to connect has failed. If that does not come it fails, and c is closed.
func (p *PerCall) answered(ctx context.Context, c *transport.Client) error {
	select {
	case <-c.Settled():
		p.mu.Lock()
		defer p.mu.Unlock()
		p.failing, p.failures = false, 0
		return nil
	case <-c.Dead():
		return c.Err()
	case <-ctx.Done():
		p.mu.Lock()
		defer p.mu.Unlock()
		p.closeLocked(c)
		return ctx.Err()
	}
}

// settled implements keeper.
func (p *PerCall) settled(*connection) {}

// ended implements keeper.
func (p *PerCall) ended(c *connection) {
	defer p.tasks.Done()
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, own := p.open[c.Client]; own && !isDone(c.Settled()) { // it was not this side that closed it
		p.failedLocked(c.Err())
	}
	delete(p.open, c.Client)
	p.idle = slices.DeleteFunc(p.idle, func(o *transport.Client) bool { return o == c.Client })
}

// closeLocked has the connection closed, by a goroutine: on TLS that may have to wait
// for the peer.
func (p *PerCall) closeLocked(c *transport.Client) {
	if _, open := p.open[c]; open {
		delete(p.open, c)
		p.tasks.Go(c.End)
	}
}

// Done implements Line.
func (p *PerCall) Done(done Client) {
	c := done.(*transport.Client)
	p.mu.Lock()
	defer p.mu.Unlock()
	if isDone(c.Dead()) && !isDone(c.Settled()) && !p.closed {
		p.failedLocked(c.Err())
	}
	if p.closed || len(p.idle) >= p.keep || !c.Usable() {
		p.closeLocked(c)
		return
	}
	p.idle = append(p.idle, c)
}

// Retire implements Line.
func (p *PerCall) Retire() {
	p.mu.Lock()
	p.closed = true
	for _, c := range p.idle {
		p.closeLocked(c)
	}
	p.idle = nil
	p.mu.Unlock()
	p.tasks.Wait()
}

// Close implements Line.
func (p *PerCall) Close() error {
	p.cancel()
	p.mu.Lock()
	p.closed = true
	for c := range p.open {
		p.closeLocked(c)
	}
	p.mu.Unlock()
	p.tasks.Wait()
	return nil
}
