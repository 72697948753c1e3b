package rpcx_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/health"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// echoKeyed is a method whose calls are routed by their text.
var echoKeyed = rpcx.NewMethod[text, text](rpcx.MethodSpec{
	Service: "test.v1.Keyed", Name: "Get", KeyRequired: true, Idempotency: rpcx.NoSideEffects,
	Key: rpcx.KeyOf(func(req *text) rpcx.Key {
		if req.GetValue() == "" {
			return rpcx.Key{}
		}
		return rpcx.TextKey(req.GetValue())
	}),
})

// town is a network in memory with a registry, where servers answer with their names.
type town struct {
	t        *testing.T
	network  *rpcxtest.Network
	registry address.Registry
	tasks    sync.WaitGroup
}

func newTown(t *testing.T) *town {
	w := &town{t: t, network: rpcxtest.NewNetwork()}
	t.Cleanup(w.tasks.Wait)
	return w
}

// open starts a server that registers itself as "echo" with attributes.
func (w *town) open(name string, e address.Endpoint) *rpcx.Server {
	w.t.Helper()
	l, err := w.network.Listen(name)
	if err != nil {
		w.t.Fatal(err)
	}
	srv := rpcx.NewServer(rpcx.WithRegistration(&w.registry, "echo", e))
	answer := func(context.Context, *text) (*text, error) { return wrapperspb.String(name), nil }
	(&echo{unary: answer}).register(srv)
	srv.Register(rpcx.UnaryHandler(echoKeyed, answer))
	w.tasks.Go(func() { srv.Serve(l) })
	w.t.Cleanup(func() { srv.Close() })
	synctest.Wait()
	return srv
}

func (w *town) dial(opts ...rpcx.DialOption) *rpcx.Conn {
	w.t.Helper()
	conn, err := rpcx.Dial("mem:///echo", append([]rpcx.DialOption{
		rpcx.WithDialer(w.network.Dial), rpcx.WithResolver("mem", &w.registry)}, opts...)...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	return conn
}

// answers calls n times and returns how often each server answered.
func (w *town) answers(n int, c rpcx.Caller, opts ...rpcx.CallOption) map[string]int {
	w.t.Helper()
	seen := map[string]int{}
	for range n {
		res, err := rpcx.CallUnary(w.t.Context(), c, echoUnary, wrapperspb.String("x"), opts...)
		if err != nil {
			w.t.Fatal(err)
		}
		seen[res.GetValue()]++
	}
	return seen
}

// TestRegistration: a server is in the registry while it serves, and clients see
// no more of its going than that others answer.
func TestRegistration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		servers := map[string]*rpcx.Server{}
		for _, name := range []string{"a:1", "b:1", "c:1"} {
			servers[name] = w.open(name, address.Endpoint{})
		}
		conn := w.dial(rpcx.WithBalancer(address.RoundRobin{}))
		if seen := w.answers(300, conn); len(seen) != 3 || seen["a:1"] != 100 {
			t.Fatalf("answered: %v", seen)
		}
		down := make(chan error)
		go func() { down <- servers["b:1"].Shutdown(t.Context()) }()
		if seen := w.answers(300, conn); seen["b:1"] > 100 {
			t.Errorf("answered during the shutdown: %v", seen)
		}
		if err := <-down; err != nil {
			t.Error(err)
		}
		if seen := w.answers(300, conn); len(seen) != 2 {
			t.Errorf("answered after the shutdown: %v", seen)
		}
		servers["c:1"].Close() // leaves the registry as well
		synctest.Wait()
		if all, err := conn.Instances(t.Context()); err != nil || len(all) != 1 || all[0].Endpoint().Addr != "a:1" {
			t.Errorf("left: %v, %v", all, err)
		}
	})
}

// TestRegistryAwayAtStart: a server serves without its registry, and registers as
// soon as that is back.
func TestRegistryAwayAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		w.registry.Break(errors.New("away"))
		w.open("a:1", address.Endpoint{Zone: "x"})
		srv := w.open("b:1", address.Endpoint{Addr: "elsewhere:5", Weight: 3})
		time.Sleep(time.Minute)
		conn := w.dial()
		_, err := rpcx.CallUnary(t.Context(), conn, echoUnary, wrapperspb.String("x"))
		if status.CodeOf(err) != status.Unavailable || !status.FromError(err).NotRun() || !strings.Contains(err.Error(), "away") {
			t.Errorf("without a registry: %v", err)
		}
		if s := conn.ResolverStats(); s.Errors != 1 || s.Err == nil {
			t.Errorf("statistics: %+v", s)
		}
		go srv.Close() // while it tries to register
		synctest.Wait()
		w.registry.Break(nil)
		time.Sleep(time.Minute)
		if seen := w.answers(10, conn); seen["a:1"] != 10 {
			t.Errorf("answered: %v", seen)
		}
		all, err := conn.Instances(t.Context())
		if err != nil || len(all) != 1 || all[0].Endpoint().Zone != "x" {
			t.Errorf("registered: %v, %v", all, err)
		}
	})
}

// TestRouteKeys: calls with one key go to one server, calls that must have one and
// have none fail before they are sent.
func TestRouteKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		for i := range 5 {
			w.open(fmt.Sprintf("%d:1", i), address.Endpoint{})
		}
		conn := w.dial()
		homes := map[string]bool{}
		for k := range 50 {
			key := fmt.Sprint("user-", k)
			home := ""
			for range 5 {
				res, err := rpcx.CallUnary(t.Context(), conn, echoKeyed, wrapperspb.String(key))
				if err != nil {
					t.Fatal(err)
				}
				if home != "" && home != res.GetValue() {
					t.Errorf("key %s is at %s and %s", key, home, res.GetValue())
				}
				home = res.GetValue()
			}
			if seen := w.answers(3, conn, rpcx.WithRouteKey(rpcx.TextKey(key))); seen[home] != 3 {
				t.Errorf("with the key as an option, %s is at %v, want %s", key, seen, home)
			}
			homes[home] = true
		}
		if len(homes) != 5 {
			t.Errorf("50 keys are at %d of 5 servers", len(homes))
		}
		_, err := rpcx.CallUnary(t.Context(), conn, echoKeyed, wrapperspb.String(""))
		if status.CodeOf(err) != status.InvalidArgument || !status.FromError(err).NotRun() {
			t.Errorf("without a key: %v", err)
		}
		id, ok, err := conn.Shard(t.Context(), echoKeyed.Descriptor(), rpcx.TextKey("user-1"))
		again, _, _ := conn.Shard(t.Context(), echoKeyed.Descriptor(), rpcx.TextKey("user-1"))
		if err != nil || !ok || id != again {
			t.Errorf("shard %d and %d, %v, %v", id, again, ok, err)
		}
	})
}

// TestInstances: a call through an instance goes there and nowhere else.
func TestInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		for _, name := range []string{"a:1", "b:1", "c:1"} {
			w.open(name, address.Endpoint{})
		}
		conn := w.dial()
		all, err := conn.Instances(t.Context())
		if err != nil || len(all) != 3 {
			t.Fatal(all, err)
		}
		for _, one := range all {
			name := one.Endpoint().Addr
			if seen := w.answers(20, one); seen[name] != 20 {
				t.Errorf("through %s answered %v", name, seen)
			}
			s, err := rpcx.CallServerStream(t.Context(), one, echoSplit, wrapperspb.String("a b"))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := joined(s.Recv); got != "a b" || err != nil {
				t.Errorf("stream: %q, %v", got, err)
			}
		}
		for _, s := range conn.EndpointStats() {
			if s.Begun != 21 || s.Failed != 0 || s.InFlight != 0 || s.Avoided != 0 {
				t.Errorf("statistics: %+v", s)
			}
		}
	})
}

// TestHealthCheck: a server that says it is not well gets no calls until it is.
func TestHealthCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		w.open("a:1", address.Endpoint{}) // which has no health service
		b := health.Register(w.open("b:1", address.Endpoint{}))
		c := health.Register(w.open("c:1", address.Endpoint{}))
		conn := w.dial(rpcx.WithHealthCheck(time.Second, health.Ask("")))
		for _, step := range []struct {
			b, c health.Status
			want []string
		}{
			{health.Serving, health.Serving, []string{"a:1", "b:1", "c:1"}},
			{health.NotServing, health.Serving, []string{"a:1", "c:1"}},
			{health.Serving, health.NotServing, []string{"a:1", "b:1"}},
			// Two of three: that is suspicious, and all are used.
			{health.NotServing, health.NotServing, []string{"a:1", "b:1", "c:1"}},
			{health.Serving, health.Serving, []string{"a:1", "b:1", "c:1"}},
		} {
			b.SetStatus("", step.b)
			c.SetStatus("", step.c)
			w.answers(1, conn)
			time.Sleep(4 * time.Second)
			seen := w.answers(200, conn)
			for _, name := range []string{"a:1", "b:1", "c:1"} {
				if (seen[name] > 0) != slices.Contains(step.want, name) {
					t.Errorf("b is %v, c is %v: answered %v", step.b, step.c, seen)
				}
			}
		}
	})
}

// TestLanes: calls of a lane have connections of their own, and with a rule
// servers of their own; keys may choose the lane.
func TestLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		w.open("light:1", address.Endpoint{})
		w.open("heavy:1", address.Endpoint{Tags: map[string]string{"lane": "2"}})
		routes := address.Routes{Rules: []address.Rule{{Lane: &address.LaneRule{}}}}
		lanes := address.LanesConfig{Rules: []address.LaneKeys{{Lane: 2, Prefixes: []string{"big-"}}}}
		conn := w.dial(rpcx.WithRoutes(routes), rpcx.WithLanes(lanes))
		for _, test := range []struct {
			opts []rpcx.CallOption
			want string
		}{
			{nil, "light:1"},
			{[]rpcx.CallOption{rpcx.WithLane(2)}, "heavy:1"},
			{[]rpcx.CallOption{rpcx.WithRouteKey(rpcx.TextKey("big-7"))}, "heavy:1"},
			{[]rpcx.CallOption{rpcx.WithRouteKey(rpcx.TextKey("small"))}, "light:1"},
		} {
			if seen := w.answers(10, conn, test.opts...); seen[test.want] != 10 {
				t.Errorf("answered %v, want %s", seen, test.want)
			}
		}
		for _, bad := range []rpcx.DialOption{
			rpcx.WithLanes(address.LanesConfig{Rules: []address.LaneKeys{{Lane: 9}}}),
			rpcx.WithRoutes(address.Routes{Rules: []address.Rule{{}}}),
			rpcx.WithResolver("tcp", &w.registry),
		} {
			if _, err := rpcx.Dial("static:///a:1", bad); err == nil {
				t.Error("an option that makes no sense was taken")
			}
		}
	})
}
