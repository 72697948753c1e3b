package etcdtest_test

import (
	"context"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/rpcx-go/rpcx/contrib/etcd"
	"github.com/rpcx-go/rpcx/contrib/etcd/etcdtest"
	"github.com/rpcx-go/rpcx/runtime/address"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// wait tries until f says that it was right.
func wait(t *testing.T, what string, f func() bool) {
	t.Helper()
	ctx := soon(t)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not after %v", what, patience)
		}
	}
}

// keptIn waits until etcd has the key.
func keptIn(t *testing.T, client *clientv3.Client, key string) *mvccpb.KeyValue {
	t.Helper()
	var kv *mvccpb.KeyValue
	wait(t, key, func() bool {
		got, err := client.Get(soon(t), key)
		if err != nil || len(got.Kvs) == 0 {
			return false
		}
		kv = got.Kvs[0]
		return true
	})
	return kv
}

// TestOutage: while etcd is away there is an error, and what was found is kept; when
// it is back with its data all is as before.
func TestOutage(t *testing.T) {
	t.Parallel()
	server := start(t, etcdtest.Config{})
	client := connect(t, clientv3.Config{}, server.Endpoint())
	reported := make(faults, 100)
	registry := etcd.New(client, etcd.WithTTL(time.Second), reported.handler())
	register(t, registry, "users", tcp("a:1"))
	var keeper *address.Keeper
	w := watch(t, registry, "etcd:///users", func(s address.Source) address.Source {
		keeper = address.Keep(s, false)
		return keeper
	})
	w.awaitList("a:1")

	server.Close()
	if u := w.awaitError(); addrsOf(u) != "a:1" {
		t.Errorf("during the outage: got %v", u)
	}
	late := watch(t, registry, "etcd:///users", nil)
	if u := late.awaitError(); len(u.Endpoints) != 0 {
		t.Errorf("a watch that begins during the outage: got %v", u)
	}
	reported.await(t, `keeping "/rpcx/users/a:1"`)
	if s := keeper.Stats(); s.Errors == 0 || s.Kept == 0 || s.Err == nil {
		t.Errorf("got %+v", s)
	}

	start(t, server.Config())
	w.awaitList("a:1")
	late.awaitList("a:1")
	register(t, registry, "users", tcp("b:1"))
	w.awaitList("a:1", "b:1")
	late.awaitList("a:1", "b:1")
}

// TestWiped: etcd comes back empty on the same address, so that its revisions begin
// anew. Servers put themselves in again, and those who watch see that and what follows.
func TestWiped(t *testing.T) {
	t.Parallel()
	server := start(t, etcdtest.Config{})
	servers := connect(t, clientv3.Config{}, server.Endpoint())
	clients := connect(t, clientv3.Config{}, server.Endpoint())
	registry := etcd.New(servers, etcd.WithTTL(2*time.Second))
	for range 50 { // of the old world's revisions
		put(t, clients, "/elsewhere", "x")
	}
	first := register(t, registry, "users", tcp("a:1"))
	register(t, registry, "users", tcp("b:1"))
	w := watch(t, etcd.New(clients), "etcd:///users", nil)
	w.awaitList("a:1", "b:1")

	server.Close()
	if err := os.RemoveAll(server.Config().Dir); err != nil {
		t.Fatal(err)
	}
	w.awaitError()
	start(t, server.Config())
	w.awaitList("a:1", "b:1")
	if kv := keptIn(t, clients, "/rpcx/users/a:1"); kv.Lease == 0 || kv.ModRevision > 50 {
		t.Errorf("got %v, want a lease and a revision of the new world", kv)
	}
	if err := first.Deregister(soon(t)); err != nil {
		t.Error(err)
	}
	w.awaitList("b:1")
}

// TestLeaseLoss: a server whose lease or whose entry is taken from it puts itself in
// again.
func TestLeaseLoss(t *testing.T) {
	t.Parallel()
	server := start(t, etcdtest.Config{})
	client := connect(t, clientv3.Config{}, server.Endpoint())
	registry := etcd.New(client, etcd.WithTTL(time.Second))
	registration := register(t, registry, "users", tcp("a:1"))
	w := watch(t, registry, "etcd:///users", nil)
	w.awaitList("a:1")
	for name, lose := range map[string]func(kv *mvccpb.KeyValue) error{
		"the lease is revoked": func(kv *mvccpb.KeyValue) error {
			_, err := client.Revoke(soon(t), clientv3.LeaseID(kv.Lease))
			return err
		},
		"the key is deleted": func(kv *mvccpb.KeyValue) error {
			_, err := client.Delete(soon(t), string(kv.Key))
			return err
		},
	} {
		if err := lose(keptIn(t, client, "/rpcx/users/a:1")); err != nil {
			t.Fatal(name, err)
		}
		w.awaitList()
		w.awaitList("a:1")
	}

	// Who edits the value takes the key out of the lease.
	put(t, client, "/rpcx/users/a:1", `{"address": "a:1", "weight": 9}`)
	w.await("the weight", func(u address.Update) bool { return len(u.Endpoints) == 1 && u.Endpoints[0].Weight == 9 })
	wait(t, "a lease for what was edited", func() bool { return keptIn(t, client, "/rpcx/users/a:1").Lease != 0 })
	if kv := keptIn(t, client, "/rpcx/users/a:1"); string(kv.Value) != `{"address": "a:1", "weight": 9}` {
		t.Errorf("got %s", kv.Value)
	}
	put(t, client, "/rpcx/users/a:1", `"a:1"`) // and at once:
	if err := registration.Deregister(soon(t)); err != nil {
		t.Error(err)
	}
	w.awaitList()
	if leases, err := client.Leases(soon(t)); err != nil || len(leases.Leases) != 0 {
		t.Errorf("got %v, %v; want no lease", leases, err)
	}
}

// TestExpiry: a server that is gone without a word is found until its TTL is over, and
// no registration outlives its client.
func TestExpiry(t *testing.T) {
	t.Parallel()
	server := start(t, etcdtest.Config{})
	dies := connect(t, clientv3.Config{}, server.Endpoint())
	registry := etcd.New(dies, etcd.WithTTL(time.Second))
	registration := register(t, registry, "users", tcp("a:1"))
	w := watch(t, etcd.New(connect(t, clientv3.Config{}, server.Endpoint())), "etcd:///users", nil)
	w.awaitList("a:1")
	ends := watch(t, registry, "etcd:///users", nil)
	ends.awaitList("a:1")
	dies.Close()
	w.awaitList()
	ends.awaitError()
	if err := registration.Deregister(soon(t)); err == nil {
		t.Error("the entry was taken out by a client that is closed")
	}
	if _, err := registry.Register(soon(t), "users", tcp("a:1")); err == nil {
		t.Error("registered with a client that is closed")
	}
}

// TestRegisterWaits: Register and Deregister try until etcd is there, or ctx is done.
func TestRegisterWaits(t *testing.T) {
	t.Parallel()
	server := start(t, etcdtest.Config{})
	client := connect(t, clientv3.Config{}, server.Endpoint())
	registry := etcd.New(client, etcd.WithTTL(20*time.Second))
	gone := register(t, registry, "users", tcp("gone:1"))
	left := register(t, registry, "users", tcp("left:1"))
	server.Close()

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := left.Deregister(ctx); err == nil {
		t.Error("taken out without etcd")
	}
	registered := make(chan error, 2)
	go func() {
		_, err := registry.Register(soon(t), "users", tcp("a:1"))
		registered <- err
	}()
	go func() { registered <- gone.Deregister(soon(t)) }()
	start(t, server.Config())
	for range 2 {
		if err := <-registered; err != nil {
			t.Error(err)
		}
	}
	// The one that was given up stays until it expires.
	watch(t, registry, "etcd:///users", nil).awaitList("a:1", "left:1")
	if err := registry.Close(soon(t)); err != nil {
		t.Error(err)
	}
}

// afterGet is a client's KV that does something when a list has been read.
type afterGet struct {
	clientv3.KV
	then func()
}

func (k afterGet) Get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	got, err := k.KV.Get(ctx, key, opts...)
	k.then()
	return got, err
}

// TestCompaction: what happened between a list and a watch is forgotten before the
// watch begins, or while it is cut off.
func TestCompaction(t *testing.T) {
	t.Parallel()
	server := start(t, etcdtest.Config{})
	admin := connect(t, clientv3.Config{}, server.Endpoint())
	forget := func(deleted, added string) {
		if _, err := admin.Delete(soon(t), "/rpcx/users/"+deleted); err != nil {
			t.Error(err)
		}
		put(t, admin, "/rpcx/users/"+added, `"`+added+`"`)
		last, err := admin.Put(soon(t), "/elsewhere", "x")
		if err == nil {
			_, err = admin.Compact(soon(t), last.Header.Revision, clientv3.WithCompactPhysical())
		}
		if err != nil {
			t.Error(err)
		}
	}
	put(t, admin, "/rpcx/users/a:1", `"a:1"`)
	put(t, admin, "/rpcx/users/b:1", `"b:1"`)

	proxy := newProxy(t, server.Config().Addr)
	client := connect(t, clientv3.Config{}, "http://"+proxy.addr)
	first := true
	client.KV = afterGet{client.KV, func() {
		if first {
			forget("a:1", "c:1")
		}
		first = false
	}}
	reported := make(faults, 10)
	w := watch(t, etcd.New(client, reported.handler()), "etcd:///users", nil)
	w.awaitList("a:1", "b:1")
	w.awaitList("b:1", "c:1")

	proxy.cut()
	w.awaitError()
	forget("b:1", "d:1")
	proxy.mend()
	w.awaitList("c:1", "d:1")
	put(t, admin, "/rpcx/users/e:1", `"e:1"`)
	w.awaitList("c:1", "d:1", "e:1")
	if len(reported) > 0 {
		t.Errorf("reported: %v", <-reported)
	}
}

// TestMembers: a member that is gone while others are there is no outage.
func TestMembers(t *testing.T) {
	t.Parallel()
	server := start(t, etcdtest.Config{})
	admin := connect(t, clientv3.Config{}, server.Endpoint())
	ways := []*proxy{newProxy(t, server.Config().Addr), newProxy(t, server.Config().Addr)}
	client := connect(t, clientv3.Config{}, "http://"+ways[0].addr, "http://"+ways[1].addr)
	registry := etcd.New(client, etcd.WithTTL(patience))
	w := watch(t, registry, "etcd:///users", nil)
	w.awaitList()
	register(t, registry, "users", tcp("a:1"))
	w.awaitList("a:1")
	for i, p := range []*proxy{ways[0], ways[1], ways[0]} {
		for _, other := range ways {
			other.mend()
		}
		wait(t, "both ways", func() bool { return ways[0].open() && ways[1].open() })
		p.cut()
		for j := range 20 {
			put(t, admin, "/rpcx/users/b", `{"address": "b:1", "weight": `+strconv.Itoa(100*i+j+1)+`}`)
		}
		u := w.await("what was put last", func(u address.Update) bool {
			return u.Err != nil || len(u.Endpoints) == 2 && u.Endpoints[1].Weight == uint32(100*i+20)
		})
		if u.Err != nil {
			t.Fatal(u.Err)
		}
	}
	if kv := keptIn(t, admin, "/rpcx/users/a:1"); kv.Version != 1 {
		t.Errorf("the entry was put in %d times", kv.Version)
	}
}
