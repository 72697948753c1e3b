package etcdtest_test

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rpcx-go/rpcx/contrib/etcd"
	"github.com/rpcx-go/rpcx/contrib/etcd/etcdtest"
	"github.com/rpcx-go/rpcx/runtime/address"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func TestRegister(t *testing.T) {
	t.Parallel()
	server := start(t, etcdtest.Config{})
	client := connect(t, clientv3.Config{}, server.Endpoint())
	registry := etcd.New(client)
	all := []address.Endpoint{
		{Network: "tcp", Addr: "10.0.0.1:7000", Weight: 3, Zone: "z", Region: "r", Role: "leader", Tags: map[string]string{"a/b": "\"ä"}, Protocol: "grpc", Name: "n"},
		tcp("[::1]:7000"),
		{Network: "unix", Addr: "/run/users.sock", Weight: 7},
	}
	w := watch(t, registry, "etcd:///users", nil)
	w.awaitList()
	var registrations []address.Registration
	for i := range all { // the last one first: the order is that of the keys
		registrations = append(registrations, register(t, registry, "users", all[len(all)-1-i]))
	}
	u := w.await("all three", func(u address.Update) bool { return len(u.Endpoints) == 3 })
	if diff := cmp.Diff(all, u.Endpoints); diff != "" || u.Err != nil {
		t.Errorf("%v\n%s", u.Err, diff)
	}

	// A name is not a part of another one.
	register(t, registry, "users/eu", tcp("10.0.0.2:7000"))
	register(t, registry, "user", tcp("10.0.0.3:7000"))
	watch(t, registry, "etcd:///users/eu", nil).awaitList("10.0.0.2:7000")
	watch(t, registry, "etcd:///users", nil).awaitList("10.0.0.1:7000", "[::1]:7000", "/run/users.sock")
	other := etcd.New(client, etcd.WithPrefix("other"))
	register(t, other, "users", tcp("10.0.0.4:7000"))
	watch(t, other, "etcd:///users", nil).awaitList("10.0.0.4:7000")
	if got, err := client.Get(soon(t), "other/users/10.0.0.4:7000"); err != nil || got.Count != 1 {
		t.Errorf("a prefix of one's own: got %v, %v", got, err)
	}

	for i, want := range []string{"10.0.0.1:7000 [::1]:7000", "10.0.0.1:7000", ""} {
		if err := registrations[i].Deregister(soon(t)); err != nil {
			t.Error(err)
		}
		w.await(want, func(u address.Update) bool { return u.Err == nil && addrsOf(u) == want })
	}
	if err := registrations[0].Deregister(soon(t)); err != nil {
		t.Errorf("once more: %v", err)
	}
}

// TestReplace: a registration replaces the one before with the same name and
// identity, whose Deregister then does nothing, of this process or of another.
func TestReplace(t *testing.T) {
	t.Parallel()
	server := start(t, etcdtest.Config{})
	client := connect(t, clientv3.Config{}, server.Endpoint())
	registry, otherProcess := etcd.New(client), etcd.New(client)
	w := watch(t, registry, "etcd:///users", nil)
	var before []address.Registration
	for i, r := range []*etcd.Registry{registry, registry, otherProcess, registry} {
		e := tcp("a:1")
		e.Weight = uint32(i + 1)
		before = append(before, register(t, r, "users", e))
		w.await("the one that replaces", func(u address.Update) bool {
			return len(u.Endpoints) == 1 && u.Endpoints[0].Weight == e.Weight
		})
	}
	for _, b := range before[:3] {
		if err := b.Deregister(soon(t)); err != nil {
			t.Error(err)
		}
	}
	got, err := client.Get(soon(t), "/rpcx/users/a:1")
	if err != nil || len(got.Kvs) != 1 || string(got.Kvs[0].Value) != `{"address":"a:1","weight":4}` {
		t.Errorf("got %v, %v", got, err)
	}
	if leases, err := client.Leases(soon(t)); err != nil || len(leases.Leases) != 1 {
		t.Errorf("got %v, %v; want one lease", leases, err)
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	server := start(t, etcdtest.Config{})
	client := connect(t, clientv3.Config{}, server.Endpoint())
	registry := etcd.New(client)
	register(t, registry, "users", tcp("a:1"))
	register(t, registry, "users", tcp("b:1"))
	w := watch(t, registry, "etcd:///users", nil)
	w.awaitList("a:1", "b:1")
	for range 2 {
		if err := registry.Close(soon(t)); err != nil {
			t.Error(err)
		}
	}
	w.awaitList()
	if _, err := registry.Register(soon(t), "users", tcp("a:1")); !errors.Is(err, etcd.ErrClosed) {
		t.Errorf("got %v", err)
	}
	w.stop()
	if leases, err := client.Leases(soon(t)); err != nil || len(leases.Leases) != 0 {
		t.Errorf("got %v, %v; want no lease", leases, err)
	}
}

func TestRegisterErrors(t *testing.T) {
	t.Parallel()
	registry := etcd.New(connect(t, clientv3.Config{}, "127.0.0.1:1"))
	for want, test := range map[string]struct {
		name     string
		endpoint address.Endpoint
	}{
		`name ""`:                  {"", tcp("a:1")},
		`name "a//b"`:              {"a//b", tcp("a:1")},
		"without control":          {"a\n", tcp("a:1")},
		"of 257 bytes is too long": {strings.Repeat("a", 257), tcp("a:1")},
		"the host is missing":      {"users", tcp(":7000")},
		"all interfaces":           {"users", tcp("[::]:7000")},
		"is too large":             {"users", address.Endpoint{Network: "tcp", Addr: "a:1", Zone: strings.Repeat("z", address.MaxEndpointJSON)}},
		"key would have":           {"users", tcp(strings.Repeat("a", 3000) + ":1")},
	} {
		if _, err := registry.Register(t.Context(), test.name, test.endpoint); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := registry.Register(ctx, "users", tcp("a:1")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without etcd: got %v", err)
	}
	for _, target := range []string{"etcd://users", "etcd:///", "etcd:///users/", "etcd:///users?zone=a"} {
		if _, err := (address.Schemes{"etcd": registry}).Resolve(target); err == nil || !strings.Contains(err.Error(), target) {
			t.Errorf("%s: got %v", target, err)
		}
	}
}

// TestBrokenEntries: what is broken is skipped and reported once, and found when
// it is mended.
func TestBrokenEntries(t *testing.T) {
	t.Parallel()
	server := start(t, etcdtest.Config{})
	client := connect(t, clientv3.Config{}, server.Endpoint())
	reported := make(faults, 1000)
	w := watch(t, etcd.New(client, reported.handler()), "etcd:///users", nil)
	w.awaitList()
	put(t, client, "/rpcx/users/0", `"a:1"`)
	put(t, client, "/rpcx/users/9", `{"address": "b:1", "since": "a newer version"}`)
	w.awaitList("a:1", "b:1")
	for value, want := range map[string]string{
		"": "unexpected end", "{": "unexpected end", "null": `"/rpcx/users/5" is skipped`, "[]": "want an address or an object",
		`{"address": "c:1", "weight": "x"}`: `field "weight"`, `":7000"`: "host is missing", `"udp://c:1"`: `scheme "udp"`,
		`"` + strings.Repeat(" ", address.MaxEndpointJSON) + `"`: "its value has 16386 bytes",
	} {
		put(t, client, "/rpcx/users/5", value)
		reported.await(t, want)
		w.awaitList("a:1", "b:1")
	}
	put(t, client, "/rpcx/users/"+strings.Repeat("x", 3000), `"d:1"`)
	reported.await(t, "its key has 3012 bytes")
	put(t, client, "/rpcx/users/5", `"c:1"`)
	w.awaitList("a:1", "c:1", "b:1")
	put(t, client, "/rpcx/users/7", `{"address": "a:1", "weight": 2}`) // again
	u := w.awaitList("a:1", "c:1", "b:1")
	if u.Endpoints[0].Weight != 0 {
		t.Errorf("got %v, want the first of two", u.Endpoints)
	}
	put(t, client, "/rpcx/users/9", "broken")
	w.awaitList("a:1", "c:1")
	reported.await(t, "users/9")

	// They are reported once by each that watches, and found in lists, too.
	w2 := watch(t, etcd.New(client, reported.handler()), "etcd:///users", nil)
	w2.awaitList("a:1", "c:1")
	reported.await(t, "users/9")
}

// TestManyEntries: lists come in pages, and end at a bound.
func TestManyEntries(t *testing.T) {
	t.Parallel()
	server := start(t, etcdtest.Config{})
	client := connect(t, clientv3.Config{}, server.Endpoint())
	var addrs []string
	for i := range 600 {
		addr := "host-" + string([]byte{'a' + byte(i/100), '0' + byte(i/10%10), '0' + byte(i%10)}) + ":1"
		addrs = append(addrs, addr)
		put(t, client, "/rpcx/users/"+addr, `"`+addr+`"`)
	}
	watch(t, etcd.New(client), "etcd:///users", nil).awaitList(addrs...)

	reported := make(faults, 10)
	w := watch(t, etcd.New(client, etcd.WithMaxEndpoints(500), reported.handler()), "etcd:///users", nil)
	w.awaitList(addrs[:500]...)
	reported.await(t, "more than 500 entries")
	put(t, client, "/rpcx/users/host-a00:1", `"other:1"`) // one that is known may change
	w.awaitList(append([]string{"other:1"}, addrs[1:500]...)...)
}

// TestNoGoroutineIsLeft: neither by Watch nor by a registration. Those that etcd's
// client has are the client's.
func TestNoGoroutineIsLeft(t *testing.T) {
	server := start(t, etcdtest.Config{})
	registry := etcd.New(connect(t, clientv3.Config{}, server.Endpoint()))
	registration := register(t, registry, "users", tcp("a:1"))
	w := watch(t, registry, "etcd:///users", nil)
	w.awaitList("a:1")
	// Watch, what it has look after the connection, the registration.
	wait(t, "three goroutines", func() bool { return ours() == 3 })
	if err := registration.Deregister(soon(t)); err != nil {
		t.Fatal(err)
	}
	w.awaitList()
	w.stop()
	wait(t, "no goroutine", func() bool { return ours() == 0 })
}

// ours returns how many goroutines run something of package etcd.
func ours() int {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	n := 0
	for stack := range bytes.SplitSeq(stacks, []byte("\n\n")) {
		if bytes.Contains(stack, []byte("/contrib/etcd.")) {
			n++
		}
	}
	return n
}
