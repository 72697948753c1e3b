package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rpcx-go/rpcx/runtime/address"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// registration is a server's entry. Its goroutine, keep, runs from Register to
// Deregister, Close or the end of the client.
type registration struct {
	registry *Registry
	key      string
	value    string

	// The goroutine's, and of others before it starts and when it has ended.
	lease clientv3.LeaseID
	ttl   time.Duration // as etcd granted it

	stop  context.CancelFunc
	ended chan struct{}
	once  sync.Once
}

// Register implements address.Registrar. It tries until it succeeds or ctx is done,
// but returns at once what waiting would not mend, such as a lack of permission or
// an endpoint that Validate refuses. If it fails because ctx is done the entry may be
// there for as long as its TTL.
//
// The entry is kept by a goroutine until Deregister, Close or the end of the client.
// A server that ends without any of these is found until its TTL has passed. After
// Register, which replaces whatever is there, an entry that another server has put
// in for the same name and address is left alone. One without a lease, such as by
// etcdctl with another weight, keeps its value and gets this server's lease.
func (r *Registry) Register(ctx context.Context, name string, e address.Endpoint) (address.Registration, error) {
	added, err := r.registration(name, e)
	if err != nil {
		return nil, fmt.Errorf("etcd: registering %v: %w", e, err)
	}
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("etcd: registering %q: %w", added.key, context.Cause(ctx))
	}
	if err := added.enter(ctx); err != nil {
		added.discard(ctx)
		return nil, fmt.Errorf("etcd: registering %q: %w", added.key, err)
	}

	keeping, stop := context.WithCancel(r.client.Ctx())
	added.stop, added.ended = stop, make(chan struct{})
	r.mu.Lock()
	closed, before := r.closed, r.entries[added.key]
	if !closed {
		r.entries[added.key] = added
		go added.keep(keeping)
	}
	r.mu.Unlock()
	if closed {
		stop()
		added.discard(ctx)
		return nil, fmt.Errorf("etcd: registering %q: %w", added.key, ErrClosed)
	}
	if before != nil {
		before.once.Do(func() {
			before.halt()
			before.discard(ctx) // the key is the new lease's by now
		})
	}
	return added, nil
}

// registration returns an entry that is not in etcd yet.
func (r *Registry) registration(name string, e address.Endpoint) (*registration, error) {
	folder, err := r.folder(name)
	if err != nil {
		return nil, err
	}
	if err := e.Validate(); err != nil {
		return nil, err
	}
	value, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	k := key(folder, e)
	if len(k) > maxKey {
		return nil, fmt.Errorf("its key would have %d bytes, at most %d will do", len(k), maxKey)
	}
	return &registration{registry: r, key: k, value: string(value), ttl: r.config.ttl}, nil
}

// enter puts the entry in, whatever is there.
func (g *registration) enter(ctx context.Context) error {
	pause := newPauses(firstPause, g.registry.config.ttl/3)
	for {
		err := g.grant(ctx)
		if err == nil {
			err = g.do(ctx, func(ctx context.Context) error {
				_, err := g.registry.client.Put(ctx, g.key, g.value, clientv3.WithLease(g.lease))
				return err
			})
		}
		if err == nil || g.permanent(err) {
			return err
		}
		if !pause.wait(ctx) {
			return fmt.Errorf("%w; %w", context.Cause(ctx), err)
		}
		reconnect(g.registry.client)
	}
}

// do bounds what f asks of etcd.
func (g *registration) do(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return f(ctx)
}

// Deregister implements address.Registration. It tries until the entry is out, ctx
// is done, or the entry has expired because of being kept no longer.
func (g *registration) Deregister(ctx context.Context) (err error) {
	g.once.Do(func() {
		g.halt()
		r := g.registry
		r.mu.Lock()
		if r.entries[g.key] == g {
			delete(r.entries, g.key)
		}
		r.mu.Unlock()

		ctx, cancel := context.WithTimeout(ctx, g.ttl)
		defer cancel()
		pause := newPauses(firstPause, g.ttl/3)
		for {
			if err = g.remove(ctx); err == nil {
				return
			}
			if g.permanent(err) || !pause.wait(ctx) {
				err = fmt.Errorf("etcd: taking out %q, which expires now: %w", g.key, err)
				return
			}
			reconnect(g.registry.client)
		}
	})
	return err
}

// remove takes the entry out, unless it is another server's.
func (g *registration) remove(ctx context.Context) error {
	if err := g.revoke(ctx); err != nil {
		return err
	}
	return g.do(ctx, func(ctx context.Context) error {
		_, err := g.registry.client.Txn(ctx).If(g.loose()).Then(clientv3.OpDelete(g.key)).Commit()
		return err
	})
}

// halt ends the goroutine.
func (g *registration) halt() {
	g.stop()
	<-g.ended
}

// revoke ends the lease, and the entry with it.
func (g *registration) revoke(ctx context.Context) error {
	if g.lease == 0 {
		return nil // there was none, or it was lost
	}
	err := g.do(ctx, func(ctx context.Context) error {
		_, err := g.registry.client.Revoke(ctx, g.lease)
		return err
	})
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return nil
	}
	return err
}

// discard revokes a lease that is of no use. If that fails it expires.
func (g *registration) discard(ctx context.Context) { _ = g.revoke(ctx) }

// permanent reports whether an error stays the same when the request is repeated.
func (g *registration) permanent(err error) bool {
	return g.registry.client.Ctx().Err() != nil || slices.ContainsFunc([]error{
		rpctypes.ErrPermissionDenied, rpctypes.ErrAuthFailed, rpctypes.ErrUserEmpty, rpctypes.ErrUserNotFound,
		rpctypes.ErrRequestTooLarge, rpctypes.ErrLeaseTTLTooLarge,
	}, func(p error) bool { return errors.Is(err, p) })
}
