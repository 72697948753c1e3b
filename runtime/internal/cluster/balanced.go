package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/internal/transport"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// BalancedConfig is what a Balanced cluster is made from.
type BalancedConfig struct {
	// Line is what the ways to all endpoints are made from, Open makes them.
	Line Config
	Open LineFunc
	// Target is what the source is of, for messages.
	Target string
	Source address.Source
	// Strict has servers forgotten when the resolver fails or finds none.
	Strict bool
	Pool   address.PoolConfig
	// Speaks reports whether calls can be made in an endpoint's protocol; others
	// are left out, and a list of others only is an error of the resolver.
	Speaks func(protocol string) bool
	// Check, if not nil, asks a server for its health every CheckEvery; an error
	// says that it is not to be used.
	Check      func(ctx context.Context, n *address.Node) error
	CheckEvery time.Duration
}

// Balanced is a Cluster of the endpoints that a Source finds. It begins to look
// for them when the first call comes.
type Balanced struct {
	cfg    BalancedConfig
	source *address.Keeper
	pool   *address.Pool
	epoch  time.Time // of all times that nodes are told
	ctx    context.Context
	cancel context.CancelFunc
	start  sync.Once
	tasks  sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	resolved bool          // the source has answered
	err      error         // what was wrong with its last answer
	changed  chan struct{} // closed when something changes that calls may wait for
	sites    map[*site]struct{}
}

// NewBalanced returns a cluster that has not looked for endpoints yet.
func NewBalanced(cfg BalancedConfig) *Balanced {
	if cfg.Speaks != nil {
		cfg.Source = understood{cfg.Source, cfg.Speaks, cfg.Line.Log.With("target", cfg.Target)}
	}
	b := &Balanced{
		cfg:     cfg,
		source:  address.Keep(cfg.Source, cfg.Strict),
		epoch:   time.Now(),
		changed: make(chan struct{}),
		sites:   map[*site]struct{}{},
	}
	cfg.Pool.Now = b.now
	cfg.Pool.Attach = func(n *address.Node) any { return newSite(b, n) }
	b.pool = address.NewPool(cfg.Pool)
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

// now returns the time as nodes have it, which is never zero.
func (b *Balanced) now() int64 { return int64(time.Since(b.epoch)) + 1 }

// spawn runs f on a goroutine that Close waits for, unless it has been called.
func (b *Balanced) spawn(f func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.tasks.Go(f)
	return true
}

// watch begins to look for endpoints.
func (b *Balanced) watch() {
	b.start.Do(func() {
		b.spawn(func() { b.source.Watch(b.ctx, b.update) })
	})
}

// update takes over what the source found.
func (b *Balanced) update(u address.Update) {
	if u.Err != nil {
		b.cfg.Line.Log.Warn("resolver", "target", b.cfg.Target, "error", u.Err, "endpoints kept", len(u.Endpoints))
	}
	added, removed := b.pool.Update(b.now(), u.Endpoints)
	if len(added)+len(removed) > 0 {
		b.cfg.Line.Log.Debug("endpoints", "target", b.cfg.Target, "added", len(added), "removed", len(removed))
	}
	for _, n := range added {
		siteOf(n).begin()
	}
	for _, n := range removed {
		siteOf(n).leave()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.resolved, b.err = true, u.Err
	b.changedLocked()
}

func (b *Balanced) changedLocked() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// tell has the calls that wait look again.
func (b *Balanced) tell() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changedLocked()
}

// state returns whether the source has answered, what is wrong with its answer,
// and a channel that is closed when that, or the state of a server, changes.
func (b *Balanced) state() (resolved bool, changed <-chan struct{}, err error) {
	b.watch()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.resolved, b.changed, b.err
}

// Pick implements Cluster.
func (b *Balanced) Pick(ctx context.Context, p *Pick) (Client, *status.Error) {
	p.Now = b.now()
	n := b.choose(p)
	if n != nil {
		if c := b.take(p, n); c != nil {
			return c, nil
		}
	}
	return b.pickSlowly(ctx, p, n)
}

// choose returns a node for the call, or nil if none may have it.
func (b *Balanced) choose(p *Pick) *address.Node {
	if p.Only != nil {
		return p.Only
	}
	return b.pool.Pick(&p.Request)
}

// take returns a connection to the node if there is one.
func (b *Balanced) take(p *Pick, n *address.Node) Client {
	line, err := siteOf(n).lanes.line(p.Class.Lane)
	if err != nil {
		return nil
	}
	c := line.Take()
	if c != nil {
		p.chosen(n, line)
	}
	return c
}

func (p *Pick) chosen(n *address.Node, line Line) {
	n.Begin()
	p.Chosen, p.line = n, line
}

// Done implements Cluster.
func (b *Balanced) Done(p *Pick, c Client, err *status.Error) {
	p.line.Done(c)
	if code := err.Code(); p.Stream || p.Unsent || code == status.Canceled || code == status.InvalidArgument {
		p.Chosen.Cancel()
		return
	}
	if lost(err) {
		p.Chosen.Lost()
		return
	}
	now := b.now()
	p.Chosen.End(now, now-p.Now, failed(err))
}

// lost reports whether the connection was lost. Many calls may be in flight then,
// which are one failure, and the server's successor has nothing to do with it.
func lost(err *status.Error) bool {
	if err == nil {
		return false
	}
	_, lost := err.Unwrap().(*transport.ConnError)
	return lost
}

// failed reports whether err is the server's or the network's fault.
func failed(err *status.Error) bool {
	switch err.Code() {
	case status.Unavailable, status.ResourceExhausted, status.DeadlineExceeded, status.Internal, status.Unknown, status.DataLoss:
		return true
	}
	return false
}

// Nodes implements Cluster.
func (b *Balanced) Nodes(ctx context.Context) ([]*address.Node, *status.Error) {
	for {
		resolved, changed, err := b.state()
		if nodes := b.pool.Nodes(); len(nodes) > 0 {
			return nodes, nil
		}
		if resolved {
			return nil, b.nobody(err)
		}
		select {
		case <-changed:
		case <-b.ctx.Done():
			return nil, Unavailable(transport.ErrClosed)
		case <-ctx.Done():
			return nil, b.expired(ctx.Err(), status.PhaseResolve, nil)
		}
	}
}

// nobody is the error of a call for which there is no server, because of err.
func (b *Balanced) nobody(err error) *status.Error {
	if err == nil {
		err = address.ErrNoEndpoints
	}
	return Unavailable(fmt.Errorf("no servers of %q: %w", b.cfg.Target, err))
}

// expired is the error of a call that ended with err before it had a connection.
func (b *Balanced) expired(err error, phase status.Phase, last *status.Error) *status.Error {
	e := status.FromError(err)
	msg := map[status.Phase]string{
		status.PhaseResolve: fmt.Sprintf("the servers of %q were not found in time", b.cfg.Target),
		status.PhasePick:    fmt.Sprintf("no server of %q could be used in time", b.cfg.Target),
		status.PhaseDial:    fmt.Sprintf("no connection to a server of %q in time", b.cfg.Target),
	}[phase]
	if last != nil {
		msg += ": " + last.Message()
	}
	e = status.New(e.Code(), msg).WithCause(err).WithNotRun()
	if e.Code() == status.DeadlineExceeded {
		e = e.WithPhase(phase)
	}
	return e
}

// Shard implements Cluster.
func (b *Balanced) Shard(ctx context.Context, r *address.Request) (uint64, bool, *status.Error) {
	if _, err := b.Nodes(ctx); err != nil {
		return 0, false, err
	}
	r.Now = b.now()
	id, ok := b.pool.Shard(r)
	return id, ok, nil
}

// Now implements Cluster.
func (b *Balanced) Now() int64 { return b.now() }

// Resolver implements Cluster.
func (b *Balanced) Resolver() address.KeepStats { return b.source.Stats() }

// Close implements Cluster.
func (b *Balanced) Close() error {
	b.mu.Lock()
	b.closed = true
	sites := make([]*site, 0, len(b.sites))
	for s := range b.sites {
		sites = append(sites, s)
	}
	b.mu.Unlock()
	b.cancel()
	var all sync.WaitGroup
	for _, s := range sites {
		all.Go(s.lanes.close)
	}
	all.Wait()
	b.tasks.Wait()
	return nil
}
