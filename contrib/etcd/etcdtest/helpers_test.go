package etcdtest_test

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rpcx-go/rpcx/contrib/etcd"
	"github.com/rpcx-go/rpcx/contrib/etcd/etcdtest"
	"github.com/rpcx-go/rpcx/runtime/address"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"go.uber.org/zap"
)

// patience is how long a test waits for what has to come.
const patience = 45 * time.Second

func TestMain(m *testing.M) {
	flag.Parse()
	// The tests wait for etcd most of the time, not for a processor.
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

func start(t *testing.T, c etcdtest.Config) *etcdtest.Server {
	t.Helper()
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	server, err := etcdtest.Start(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

func connect(t *testing.T, c clientv3.Config, endpoints ...string) *clientv3.Client {
	t.Helper()
	c.Endpoints, c.Logger = endpoints, zap.NewNop()
	client, err := clientv3.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func tcp(addr string) address.Endpoint { return address.Endpoint{Network: "tcp", Addr: addr} }

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func register(t *testing.T, r *etcd.Registry, name string, e address.Endpoint) address.Registration {
	t.Helper()
	registration, err := r.Register(soon(t), name, e)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		registration.Deregister(ctx)
	})
	return registration
}

func put(t *testing.T, client *clientv3.Client, key, value string) {
	t.Helper()
	if _, err := client.Put(soon(t), key, value); err != nil {
		t.Fatal(err)
	}
}

// watcher holds what a source found.
type watcher struct {
	t       *testing.T
	updates chan address.Update
	stop    func() // and waits
}

// watch watches a name until the test ends.
func watch(t *testing.T, r address.Resolver, target string, wrap func(address.Source) address.Source) *watcher {
	t.Helper()
	source, err := address.Schemes{"etcd": r}.Resolve(target)
	if err != nil {
		t.Fatal(err)
	}
	if wrap != nil {
		source = wrap(source)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &watcher{t: t, updates: make(chan address.Update, 10_000)}
	var running sync.WaitGroup
	running.Go(func() { source.Watch(ctx, func(u address.Update) { w.updates <- u }) })
	w.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(w.stop)
	return w
}

// await waits for the first update that satisfies is.
func (w *watcher) await(what string, is func(address.Update) bool) address.Update {
	w.t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	var last []string
	for {
		select {
		case u := <-w.updates:
			if is(u) {
				return u
			}
			last = append(last, fmt.Sprint(u))
		case <-late.C:
			w.t.Fatalf("%s was not seen; seen: %v", what, last)
		}
	}
}

// awaitList waits for exactly these addresses, without an error.
func (w *watcher) awaitList(addrs ...string) address.Update {
	w.t.Helper()
	want := strings.Join(addrs, " ")
	return w.await("["+want+"]", func(u address.Update) bool { return u.Err == nil && addrsOf(u) == want })
}

func (w *watcher) awaitError() address.Update {
	w.t.Helper()
	return w.await("an error", func(u address.Update) bool { return u.Err != nil })
}

func addrsOf(u address.Update) string {
	var addrs []string
	for _, e := range u.Endpoints {
		addrs = append(addrs, e.Addr)
	}
	return strings.Join(addrs, " ")
}

// faults collects what an error handler is told.
type faults chan error

func (f faults) handler() etcd.Option {
	return etcd.WithErrorHandler(func(err error) {
		select {
		case f <- err:
		default:
		}
	})
}

// await waits for an error with the text.
func (f faults) await(t *testing.T, text string) {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		select {
		case err := <-f:
			if strings.Contains(err.Error(), text) {
				return
			}
			t.Logf("also reported: %v", err)
		case <-late.C:
			t.Fatalf("no error with %q was reported", text)
		}
	}
}
