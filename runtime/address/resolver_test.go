package address

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// watched is what a Source tells, as of when all goroutines wait.
type watched struct {
	mu      sync.Mutex
	updates []Update
	stop    func() // returns when Watch has
}

// watch starts a Source; the test is in a synctest bubble.
func watch(t *testing.T, s Source) *watched {
	w := &watched{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Watch(ctx, func(u Update) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.updates = append(w.updates, u)
		})
	}()
	w.stop = func() {
		cancel()
		<-done
	}
	synctest.Wait()
	return w
}

// last returns how many updates there were, and the endpoints and the error of the last.
func (w *watched) last() (n int, addrs string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n = len(w.updates); n == 0 {
		return 0, "", nil
	}
	u := w.updates[n-1]
	return n, list(u.Endpoints), u.Err
}

func list(endpoints []Endpoint) string {
	var all []string
	for _, e := range endpoints {
		all = append(all, e.Addr)
	}
	return strings.Join(all, " ")
}

// resolved returns the endpoints of a target that do not change.
func resolved(t *testing.T, target string) []Endpoint {
	t.Helper()
	s, err := Builtin().Resolve(target)
	if err != nil {
		t.Errorf("%v", err)
		return nil
	}
	var got []Endpoint
	s.Watch(t.Context(), func(u Update) { got = u.Endpoints })
	return got
}

func TestStaticTargets(t *testing.T) {
	for target, want := range map[string][]Endpoint{
		"a:7000":            {{Network: "tcp", Addr: "a:7000"}},
		"tcp://a:7000":      {{Network: "tcp", Addr: "a:7000"}},
		"[::1]:7000":        {{Network: "tcp", Addr: "[::1]:7000"}},
		":7000":             {{Network: "tcp", Addr: ":7000"}},
		"unix:///run/x":     {{Network: "unix", Addr: "/run/x"}},
		"unix:x":            {{Network: "unix", Addr: "x"}},
		"static:///a:1":     {{Network: "tcp", Addr: "a:1"}},
		"static:a:1,b:2":    {{Network: "tcp", Addr: "a:1"}, {Network: "tcp", Addr: "b:2"}},
		"static:///unix:/x": {{Network: "unix", Addr: "/x"}},
		"static:///a:1;weight=3;tag.disk=ssd;role=leader,b:2?zone=x&weight=2&tag.os=linux": {
			{Network: "tcp", Addr: "a:1", Weight: 3, Zone: "x", Role: "leader", Tags: map[string]string{"disk": "ssd", "os": "linux"}},
			{Network: "tcp", Addr: "b:2", Weight: 2, Zone: "x", Tags: map[string]string{"os": "linux"}},
		},
		"static:///a:1;region=eu;protocol=grpc;name=users": {{Network: "tcp", Addr: "a:1", Region: "eu", Protocol: "grpc", Name: "users"}},
	} {
		if diff := cmp.Diff(want, resolved(t, target)); diff != "" {
			t.Errorf("%q: %s", target, diff)
		}
	}
}

func TestWrongTargets(t *testing.T) {
	schemes := Builtin().With("mem", &Registry{})
	for target, want := range map[string]string{
		"":                          "host:port",
		"localhost":                 "host:port",
		"etcd:///x":                 "dns, dns+srv, file, mem, static, tcp, unix",
		"tcp://a":                   "missing port",
		"unix://":                   "path of a socket",
		"static:///":                "host:port",
		"static://a:1":              "three slashes",
		"static:///a:1,,b:1":        "host:port",
		"static:///a:1?weight=0":    "want a number",
		"static:///a:1;weight=x":    "tcp://a:1",
		"static:///a:1;wait=1":      "\"wait\" is not known",
		"static:///a:1;tag.=1":      "\"tag.\" is not known",
		"static:///a:1?zone=%zz":    "invalid URL escape",
		"dns:///users":              "missing port",
		"dns:///:7000":              "host is missing",
		"dns:///users:nosuchport":   "nosuchport",
		"dns+srv:///users:7000":     "without a port",
		"dns+srv:///":               "name of a service",
		"dns:///_users._tcp.x:7000": "without a port",
		"file:":                     "path of a file",
		"file://host/x":             "path of a file",
		"mem:///":                   "three slashes",
		"mem://x/y":                 "three slashes",
	} {
		_, err := schemes.Resolve(target)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "\""+target+"\"") {
			if want != "tcp://a:1" || err == nil {
				t.Errorf("%q: got %v; want an error that quotes it and has %q", target, err, want)
			}
		}
	}
	if _, err := (DNS{Family: "ip5"}).Resolve(Target{Path: "a:1"}); err == nil {
		t.Error("family ip5 is taken")
	}
}

func TestSchemesAreValues(t *testing.T) {
	a := Builtin()
	b := a.With("mine", ResolverFunc(func(t Target) (Source, error) { return Static(Endpoint{Addr: t.Host + "|" + t.Path}), nil }))
	if _, err := a.Resolve("mine://x/y"); err == nil {
		t.Error("With changed the map it copies")
	}
	delete(b, "dns")
	if _, ok := Builtin()["dns"]; !ok {
		t.Error("the map of one user is that of all")
	}
	s, err := b.Resolve("mine://x/y/z")
	if err != nil {
		t.Fatal(err)
	}
	s.Watch(t.Context(), func(u Update) {
		if u.Endpoints[0].Addr != "x|y/z" {
			t.Errorf("got %q", u.Endpoints[0].Addr)
		}
	})
	if _, err := Schemes(nil).With("x", DNS{}).Resolve("x:///a:1"); err != nil {
		t.Error(err)
	}
}

func TestRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Registry
		a, b := testEndpoint(1), testEndpoint(2)
		source, err := Schemes{"mem": &r}.Resolve("mem:///users")
		if err != nil {
			t.Fatal(err)
		}
		w := watch(t, source)
		other := watch(t, r.Source("orders"))
		expect := func(what, want string) {
			t.Helper()
			synctest.Wait()
			if _, got, err := w.last(); got != want || err != nil {
				t.Errorf("%s: got %q, %v; want %q", what, got, err, want)
			}
		}
		expect("at first", "")
		regA, err := r.Register(t.Context(), "users", a)
		if err != nil {
			t.Fatal(err)
		}
		expect("one", a.Addr)
		regB, _ := r.Register(t.Context(), "users", b)
		expect("two", a.Addr+" "+b.Addr)
		heavy := a
		heavy.Weight = 5
		again, _ := r.Register(t.Context(), "users", heavy)
		expect("replaced", a.Addr+" "+b.Addr)
		w.mu.Lock()
		got := w.updates[len(w.updates)-1].Endpoints[0].Weight
		w.mu.Unlock()
		if got != 5 {
			t.Errorf("the weight is %d, want 5", got)
		}
		if err := regA.Deregister(t.Context()); err != nil {
			t.Error(err)
		}
		expect("what was replaced takes nothing out", a.Addr+" "+b.Addr)

		broken := errors.New("broken")
		r.Break(broken)
		synctest.Wait()
		if _, got, err := w.last(); got != "" || err != broken {
			t.Errorf("broken: got %q, %v", got, err)
		}
		if _, err := r.Register(t.Context(), "users", testEndpoint(3)); err != broken {
			t.Errorf("register when broken: %v", err)
		}
		r.Break(nil)
		expect("mended", a.Addr+" "+b.Addr)
		for _, reg := range []Registration{regB, again, regB} {
			if err := reg.Deregister(t.Context()); err != nil {
				t.Error(err)
			}
		}
		expect("none left", "")
		w.stop()
		n := len(w.updates)
		r.Register(t.Context(), "users", b)
		synctest.Wait()
		if len(w.updates) != n {
			t.Error("an update after Watch returned")
		}
		if _, got, _ := other.last(); got != "" {
			t.Errorf("another name has %q", got)
		}
		other.stop()
	})
}

func TestKeep(t *testing.T) {
	a, b := []Endpoint{testEndpoint(1)}, []Endpoint{testEndpoint(2)}
	down := errors.New("down")
	updates := []Update{{Err: down}, {}, {Endpoints: a}, {Err: down}, {}, {Err: down}, {Endpoints: b}, {}}
	for name, test := range map[string]struct {
		strict bool
		want   []Update
		kept   uint64
	}{
		"keeping": {false, []Update{
			{nil, down}, {nil, ErrNoEndpoints}, {a, nil}, {a, down}, {a, ErrNoEndpoints}, {a, down}, {b, nil}, {b, ErrNoEndpoints},
		}, 4},
		"strict": {true, []Update{
			{nil, down}, {nil, ErrNoEndpoints}, {a, nil}, {nil, down}, {nil, ErrNoEndpoints}, {nil, down}, {b, nil}, {nil, ErrNoEndpoints},
		}, 0},
	} {
		k := Keep(SourceFunc(func(_ context.Context, update func(Update)) {
			for _, u := range updates {
				update(u)
			}
		}), test.strict)
		i := 0
		k.Watch(t.Context(), func(got Update) {
			if want := test.want[i]; list(got.Endpoints) != list(want.Endpoints) || got.Err != want.Err {
				t.Errorf("%s, update %d: got %q, %v; want %q, %v", name, i, list(got.Endpoints), got.Err, list(want.Endpoints), want.Err)
			}
			if stats := k.Stats(); stats.Err != got.Err {
				t.Errorf("%s, update %d: what is wrong is %v, want %v", name, i, stats.Err, got.Err)
			}
			i++
		})
		want := KeepStats{Updates: 2, Errors: 3, Empty: 3, Kept: test.kept, Err: ErrNoEndpoints}
		if got := k.Stats(); got != want || i != len(updates) {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
}

// TestKeepParts: what a Source finds counts although it says that a part is missing,
// and of lists that are too long the beginning.
func TestKeepParts(t *testing.T) {
	a, down := []Endpoint{testEndpoint(1)}, errors.New("a part is down")
	long := make([]Endpoint, MaxEndpoints+3)
	for i := range long {
		long[i] = testEndpoint(i)
	}
	for name, strict := range map[string]bool{"keeping": false, "strict": true} {
		updates := []Update{{a, nil}, {long[:2], down}, {a, down}, {long[:MaxEndpoints], nil}, {long, nil}, {long, down}, {a, nil}}
		k := Keep(SourceFunc(func(_ context.Context, update func(Update)) {
			for _, u := range updates {
				update(u)
			}
		}), strict)
		i := 0
		k.Watch(t.Context(), func(got Update) {
			given := updates[i]
			want := given.Endpoints[:min(len(given.Endpoints), MaxEndpoints)]
			if list(got.Endpoints) != list(want) {
				t.Errorf("%s, update %d: got %d endpoints, want the first %d", name, i, len(got.Endpoints), len(want))
			}
			cut := got.Err != nil && strings.Contains(got.Err.Error(), "10003 endpoints, only the first 10000")
			if errors.Is(got.Err, down) != (given.Err != nil) || cut != (len(given.Endpoints) > len(want)) || (got.Err == nil) != (given.Err == nil && !cut) {
				t.Errorf("%s, update %d: got the error %v", name, i, got.Err)
			}
			i++
		})
		if got, want := k.Stats(), (KeepStats{Updates: 7}); got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
}

// TestOutage: a registry that is down, then empty, then has other servers.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Registry
		var regs []Registration
		for i := range 3 {
			reg, _ := r.Register(t.Context(), "users", testEndpoint(i))
			regs = append(regs, reg)
		}
		pool := NewPool(PoolConfig{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			Keep(r.Source("users"), false).Watch(ctx, func(u Update) { pool.Update(1, u.Endpoints) })
		}()
		expect := func(what string, want int, someone ID) {
			t.Helper()
			synctest.Wait()
			nodes := pool.Nodes()
			if len(nodes) != want || nodes[0].ID() != someone {
				t.Errorf("%s: got %d nodes, want %d", what, len(nodes), want)
			}
		}
		expect("at first", 3, testEndpoint(0).ID())
		r.Break(errors.New("down"))
		expect("down", 3, testEndpoint(0).ID())
		r.Break(nil)
		for _, reg := range regs {
			synctest.Wait()
			reg.Deregister(t.Context())
		}
		expect("empty", 1, testEndpoint(2).ID()) // who left last
		r.Register(t.Context(), "users", testEndpoint(7))
		expect("another", 1, testEndpoint(7).ID())
		cancel()
		<-done
	})
}
