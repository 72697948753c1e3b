package httpclient

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/rpcx-go/rpcx/runtime/internal/cluster"
	"github.com/rpcx-go/rpcx/runtime/internal/transport"
	"github.com/rpcx-go/rpcx/runtime/status"
)

const (
	// keepIdle is how many connections of HTTP/1.1 are kept for later calls.
	keepIdle = 64
	// restedFor is how long they are: servers close those on which nothing comes.
	restedFor = 90 * time.Second
)

// pool is the way to one endpoint. Calls share connections of HTTP/2, as many
// as the server lets in; each call has one of HTTP/1.1 to itself.
type pool struct {
	cfg    cluster.Config
	opts   Options
	http   *http.Transport // makes connections; none is ever in its own pool
	form   connect.Transport
	ctx    context.Context // done when closed
	cancel context.CancelFunc
	tasks  sync.WaitGroup // attempts to connect, and open connections

	mu       sync.Mutex
	closed   bool
	conns    map[*conn]struct{} // all that are open
	shared   []*conn            // that many calls use at once
	next     int                // of shared
	idle     []*conn            // that nobody uses; the one that was used last is used first
	attempt  *attempt           // to make a connection that may be shared, or nil
	alone    bool               // the last connection was one that is not shared
	failures int                // to connect, in a row
	retry    time.Time          // when the next attempt may be made
	err      error              // of the last attempt
}

// attempt is one attempt to connect.
type attempt struct {
	failures int           // of the pool when it began
	over     chan struct{} // closed when it is over
	err      error         // set before that
}

func newPool(cfg cluster.Config, o Options) (*pool, error) {
	p := &pool{cfg: cfg, opts: o, conns: map[*conn]struct{}{}}
	p.alone = cfg.PerCall || cfg.Secure == nil && o.Version != 2
	p.http = p.transport()
	p.ctx, p.cancel = context.WithCancel(context.Background())
	var err error
	p.form, err = p.caller()
	return p, err
}

// Take implements cluster.Line.
func (p *pool) Take() cluster.Client {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.takeLocked(); c != nil {
		return &lent{conn: c}
	}
	return nil
}

// Failing implements cluster.Line.
func (p *pool) Failing() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failures > 0
}

// Pick implements cluster.Line.
func (p *pool) Pick(ctx context.Context, deadline time.Time, wait bool) (cluster.Client, *status.Error) {
	if c := p.Take(); c != nil {
		return c, nil
	}
	ctx, cancel := cluster.Merge(ctx, p.ctx, deadline)
	defer cancel()
	for {
		c, a, pause, err := p.join()
		switch {
		case c != nil:
			return &lent{conn: c}, nil
		case p.ctx.Err() != nil:
			return nil, cluster.Unavailable(transport.ErrClosed)
		case err != nil && (!wait || err == transport.ErrClosed):
			return nil, cluster.Unavailable(err)
		}
		if err := p.await(ctx, a, pause); err != nil {
			return nil, err
		}
		if a != nil && a.err != nil && !wait {
			return nil, cluster.Unavailable(a.err)
		}
	}
}

// join returns a connection, or the attempt to wait for, or how long it is until
// there may be one and why the last one failed.
func (p *pool) join() (*conn, *attempt, time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, 0, transport.ErrClosed
	}
	if c := p.takeLocked(); c != nil {
		return c, nil, 0, nil
	}
	if p.attempt != nil {
		return nil, p.attempt, 0, nil
	}
	if pause := time.Until(p.retry); p.failures > 0 && pause > 0 {
		return nil, nil, pause, p.err
	}
	a := &attempt{failures: p.failures, over: make(chan struct{})}
	if !p.alone {
		p.attempt = a
	}
	p.tasks.Go(func() { p.connect(a) })
	return nil, a, 0, nil
}

func (p *pool) await(ctx context.Context, a *attempt, pause time.Duration) *status.Error {
	var over <-chan struct{}
	var retry <-chan time.Time
	if a != nil {
		over = a.over
	} else {
		t := time.NewTimer(pause)
		defer t.Stop()
		retry = t.C
	}
	select {
	case <-over:
	case <-retry:
	case <-ctx.Done():
		if p.ctx.Err() != nil {
			return cluster.Unavailable(transport.ErrClosed)
		}
		p.mu.Lock()
		last := p.err
		p.mu.Unlock()
		return p.cfg.Expired(ctx.Err(), last)
	}
	return nil
}

// connect makes a connection.
func (p *pool) connect(a *attempt) {
	c, err := p.open(p.ctx)
	p.mu.Lock()
	if p.attempt == a {
		p.attempt = nil
	}
	discard := false
	if err == nil && c.wire.over.Load() {
		err = errLostAtOnce
	}
	switch {
	case err != nil:
		p.cfg.Log.Debug("cannot connect", "target", p.cfg.Endpoint, "error", err)
		if p.failures == a.failures { // of attempts at the same time one counts
			p.failures++
			p.retry = time.Now().Add(p.cfg.Backoff.Delay(p.failures))
		}
		p.err, a.err = err, err
	case p.closed:
		discard = true
	default:
		p.failures, p.err = 0, nil
		p.conns[c] = struct{}{}
		p.alone = c.alone
		if c.alone {
			c.freed = time.Now()
			p.idle = append(p.idle, c)
		} else {
			p.shared = append(p.shared, c)
		}
	}
	p.mu.Unlock()
	if discard {
		c.close()
	}
	close(a.over)
}

// takeLocked returns a connection that takes another call, which is reserved a
// place on it, or nil.
func (p *pool) takeLocked() *conn {
	if p.closed {
		return nil
	}
	for n := len(p.idle); n > 0; n = len(p.idle) {
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		if time.Since(c.freed) < restedFor && c.Reserve() == nil {
			return c
		}
		p.tasks.Go(c.close) // which takes locks that are taken before ours elsewhere
	}
	n := len(p.shared)
	if n > 0 && n < p.cfg.Connections && p.failures == 0 {
		return nil // there may be one more
	}
	for i := range n {
		c := p.shared[(p.next+i)%n]
		if c.Reserve() == nil {
			p.next = (p.next + i + 1) % n
			return c
		}
	}
	return nil
}

// Done implements cluster.Line.
func (p *pool) Done(done cluster.Client) {
	l := done.(*lent)
	c := l.conn
	if l.used.CompareAndSwap(false, true) {
		c.Release()
	}
	if !c.alone {
		return
	}
	free := c.Available() > 0
	keep := keepIdle
	if p.cfg.PerCall {
		keep = p.cfg.KeepIdle
	}
	p.mu.Lock()
	if free = free && !p.closed && len(p.idle) < keep; free {
		c.freed = time.Now()
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	if !free {
		c.close()
	}
}

// forget is told that a connection is no more.
func (p *pool) forget(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	is := func(other *conn) bool { return other == c }
	p.shared = slices.DeleteFunc(p.shared, is)
	p.idle = slices.DeleteFunc(p.idle, is)
}

// Retire implements cluster.Line.
func (p *pool) Retire() {
	p.mu.Lock()
	p.closed = true
	idle, shared := p.idle, slices.Clone(p.shared)
	p.idle = nil
	p.mu.Unlock()
	for _, c := range idle {
		c.close()
	}
	for _, c := range shared {
		c.closeWhenUnused()
	}
	p.tasks.Wait()
}

// Close implements cluster.Line.
func (p *pool) Close() error {
	p.mu.Lock()
	p.closed = true
	open := slices.Collect(maps.Keys(p.conns))
	p.mu.Unlock()
	p.cancel()
	for _, c := range open {
		c.close()
	}
	p.tasks.Wait()
	return nil
}
