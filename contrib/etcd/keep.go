package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// keep keeps the entry in until ctx is done.
func (g *registration) keep(ctx context.Context) {
	defer close(g.ended)
	pause := newPauses(firstPause, g.ttl/3)
	failed := "" // as it was reported
	for {
		began := time.Now()
		err := g.hold(ctx)
		if time.Since(began) > g.ttl/3 {
			pause.reset()
		}
		for again := true; again; again = err != nil {
			if err != nil && err.Error() != failed && ctx.Err() == nil {
				failed = err.Error()
				g.registry.config.onError(fmt.Errorf("etcd: keeping %q: %w", g.key, err))
			}
			if !pause.wait(ctx) {
				return
			}
			if err != nil {
				reconnect(g.registry.client)
			}
			err = g.renew(ctx)
		}
		failed = ""
	}
}

// hold keeps the lease alive until it is lost, or the entry has none any more.
func (g *registration) hold(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	alive, err := g.registry.client.KeepAlive(ctx, g.lease)
	if err != nil {
		return err
	}
	tick := time.NewTicker(jittered(g.ttl / 3))
	defer tick.Stop()
	for {
		select {
		case _, ok := <-alive:
			if !ok {
				return nil
			}
		case <-tick.C:
			if now, err := g.look(ctx); err == nil && now != leased {
				return nil // an outage ends the lease, which tells
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// renew makes sure that there is a lease, and an entry under one. If that is not
// this lease another server has taken the address over.
func (g *registration) renew(ctx context.Context) error {
	if err := g.grant(ctx); err != nil {
		return err
	}
	now, err := g.look(ctx)
	if err != nil || now == leased {
		return err
	}
	put := clientv3.OpPut(g.key, g.value, clientv3.WithLease(g.lease))
	same := clientv3.Compare(clientv3.CreateRevision(g.key), "=", 0)
	if now == loose {
		put = clientv3.OpPut(g.key, "", clientv3.WithIgnoreValue(), clientv3.WithLease(g.lease))
		same = clientv3.Compare(clientv3.CreateRevision(g.key), ">", 0)
	}
	return g.do(ctx, func(ctx context.Context) error {
		_, err := g.registry.client.Txn(ctx).If(same, g.loose()).Then(put).Commit()
		return err
	})
}

// loose is true of a key without a lease, and of one that is not there.
func (g *registration) loose() clientv3.Cmp {
	return clientv3.Compare(clientv3.LeaseValue(g.key), "=", 0)
}

// grant makes sure that there is a lease that lives.
func (g *registration) grant(ctx context.Context) error {
	return g.do(ctx, func(ctx context.Context) error {
		if g.lease != 0 {
			left, err := g.registry.client.TimeToLive(ctx, g.lease)
			if err == nil && left.TTL >= 0 { // -1: there is none, 0: less than a second
				return nil
			}
			if err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
				return err
			}
			g.lease = 0
		}
		seconds := int64((g.registry.config.ttl + time.Second - 1) / time.Second)
		granted, err := g.registry.client.Grant(ctx, seconds)
		if err != nil {
			return err
		}
		g.lease, g.ttl = granted.ID, time.Duration(granted.TTL)*time.Second
		return nil
	})
}

// presence is what there is of an entry.
type presence int

const (
	absent presence = iota
	loose           // without a lease
	leased          // under this lease or another server's
)

// look returns what there is of the entry.
func (g *registration) look(ctx context.Context) (now presence, err error) {
	err = g.do(ctx, func(ctx context.Context) error {
		answer, err := g.registry.client.Get(ctx, g.key, clientv3.WithKeysOnly())
		switch {
		case err != nil || len(answer.Kvs) == 0:
		case answer.Kvs[0].Lease == 0:
			now = loose
		default:
			now = leased
		}
		return err
	})
	return now, err
}
