package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rpcx-go/rpcx/runtime/address"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	// page is how many entries are asked for at once, so that large ones do not
	// fill the memory before they are refused.
	page = 256
	// silence is how long etcd may say nothing before it is asked whether it is there.
	silence = 10 * time.Second
	// firstPause and longestPause are between one list and the next.
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
)

// errAgain is the error of a watch that has to begin anew for no fault of anybody's.
var errAgain = errors.New("the watch cannot go on from where it was")

// source finds the endpoints of a folder.
type source struct {
	registry *Registry
	folder   string
}

// Watch implements address.Source: it lists the folder and follows its changes
// from then on, and begins anew whenever it cannot be sure of having seen all of
// them. A watch that breaks is not an error yet, as the next list tells whether
// etcd can be reached. It ends with the client, too.
func (s *source) Watch(ctx context.Context, update func(address.Update)) {
	// A member that lost its leader refuses what this context asks, instead of
	// being silent for as long as it is cut off.
	ctx = clientv3.WithRequireLeader(ctx)
	pause := newPauses(firstPause, longestPause)
	known := newEntries(s.folder, s.registry.config.maxEndpoints, s.registry.config.onError)
	for {
		listed := known.again()
		revision, err := s.list(ctx, listed)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			update(address.Update{Err: fmt.Errorf("etcd: reading %q: %w", s.folder, err)})
		} else {
			known = listed
			began := time.Now()
			changed := func() { update(address.Update{Endpoints: known.list()}) }
			changed()
			err = s.follow(ctx, known, revision, changed)
			if ctx.Err() == nil && err != errAgain {
				s.registry.config.onError(fmt.Errorf("etcd: watching %q: %w", s.folder, err))
			}
			if time.Since(began) > longestPause {
				pause.reset()
			}
		}
		if s.registry.client.Ctx().Err() != nil {
			update(address.Update{Err: errors.New("etcd: the client is closed")})
			return
		}
		if !pause.wait(ctx) {
			return
		}
		reconnect(s.registry.client)
	}
}

// list reads the folder into known, and returns the revision of what it read.
func (s *source) list(ctx context.Context, known *entries) (int64, error) {
	from, end := s.folder, clientv3.GetPrefixRangeEnd(s.folder)
	var revision int64
	for {
		answer, err := s.get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(page), clientv3.WithRev(revision))
		if err != nil {
			return 0, err
		}
		if revision == 0 {
			revision = answer.Header.GetRevision() // the pages that follow are of the same
		}
		for _, kv := range answer.Kvs {
			known.put(kv.Key, kv.Value, kv.ModRevision)
		}
		if !answer.More || known.full || len(answer.Kvs) == 0 {
			return revision, nil
		}
		from = string(answer.Kvs[len(answer.Kvs)-1].Key) + "\x00"
	}
}

func (s *source) get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answer, err := s.registry.client.Get(ctx, key, opts...)
	if err != nil && ctx.Err() != nil { // the client has tried again and again, and does not say why
		err = fmt.Errorf("no answer from %v within %v: %w", s.registry.client.Endpoints(), timeout, err)
	}
	return answer, err
}

// follow takes over what changes after the revision and says so, until it cannot
// go on, and why.
func (s *source) follow(ctx context.Context, known *entries, revision int64, changed func()) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// The client goes on with a watch by itself when it is connected again, and
	// would miss what happened if that is to an etcd with other data.
	defer onConnectionChange(ctx, s.registry.client, func() { cancel(errAgain) })()

	// Watch waits until there is an answer. It keeps the context.
	late := time.AfterFunc(timeout, func() { cancel(errors.New("etcd does not answer")) })
	events := s.registry.client.Watch(ctx, s.folder, clientv3.WithPrefix(), clientv3.WithRev(revision+1))
	late.Stop()
	defer func() {
		cancel(nil)
		for range events { // the client closes it when it is done with the watch
		}
	}()

	probe := time.NewTimer(jittered(silence))
	defer probe.Stop()
	asked := false
	for {
		select {
		case r, ok := <-events:
			switch {
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case !ok:
				return errors.New("etcd ended the watch")
			case r.CompactRevision != 0:
				return errAgain // some of what happened since is forgotten
			case r.Err() != nil:
				return r.Err()
			case r.Header.GetRevision() < revision:
				return errAgain // other data than before
			}
			revision = r.Header.GetRevision()
			for _, e := range r.Events {
				if e.Type == clientv3.EventTypeDelete {
					known.remove(e.Kv.Key)
				} else {
					known.put(e.Kv.Key, e.Kv.Value, e.Kv.ModRevision)
				}
			}
			if len(r.Events) > 0 {
				changed()
			}
			asked = false
			probe.Reset(jittered(silence))
		case <-probe.C:
			if asked {
				return errors.New("etcd is silent")
			}
			if err := s.ask(ctx); err != nil {
				return err
			}
			asked = true
			probe.Reset(timeout)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// ask has etcd say something to all watches of the context's kind.
func (s *source) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return s.registry.client.RequestProgress(ctx)
}

// onConnectionChange calls f when the client's connection leaves the state in which
// it is now, unless ctx is done before. The function that it returns waits for
// its goroutine, which ends with ctx.
func onConnectionChange(ctx context.Context, client *clientv3.Client, f func()) (wait func()) {
	conn := client.ActiveConnection()
	if conn == nil { // of a client that has other ways
		return func() {}
	}
	state := conn.GetState()
	var running sync.WaitGroup
	running.Go(func() {
		if conn.WaitForStateChange(ctx, state) {
			f()
		}
	})
	return running.Wait
}

// reconnect has the client try to connect now if it waits for its next attempt,
// which after a long outage would be in minutes.
func reconnect(client *clientv3.Client) {
	if conn := client.ActiveConnection(); conn != nil {
		conn.ResetConnectBackoff()
	}
}
