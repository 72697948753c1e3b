package cluster

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/dispatch"
	"github.com/rpcx-go/rpcx/runtime/internal/transport"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest/memnet"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// farm is servers on a network in memory, a registry of them, and a cluster.
type farm struct {
	t        *testing.T
	network  memnet.Network
	registry address.Registry
	entries  map[string]address.Registration
	events   observer
	*Balanced

	mu      sync.Mutex
	gate    chan struct{} // that calls of waitMethod wait at
	dials   map[string]int
	hanging map[string]bool // attempts to connect to it hang
	servers map[string]*farmer
	tasks   sync.WaitGroup
}

// farmer is one server.
type farmer struct {
	l     net.Listener
	mu    sync.Mutex
	conns []*transport.Server
}

// newFarm starts and registers servers. The cluster takes them in turn, unless
// edit says otherwise.
func newFarm(t *testing.T, edit func(*BalancedConfig), names ...string) *farm {
	f := &farm{
		t: t, entries: map[string]address.Registration{}, dials: map[string]int{},
		hanging: map[string]bool{}, gate: make(chan struct{}), servers: map[string]*farmer{},
	}
	for _, name := range names {
		f.up(name)
		f.register(address.Endpoint{Network: "tcp", Addr: name})
	}
	cfg := BalancedConfig{
		Line: Config{
			Dial: f.dial, DialTimeout: 10 * time.Second,
			Backoff:   Backoff{Base: 100 * time.Millisecond, Max: 10 * time.Second},
			Transport: transportConfig(), Observers: []call.Observer{&f.events}, Log: slog.New(slog.DiscardHandler),
		},
		Open:   func(cfg Config) (Line, error) { return NewSingle(cfg), nil },
		Target: "mem:///farm",
		Source: f.registry.Source("farm"),
		Pool:   address.PoolConfig{Balancer: address.RoundRobin{}, SlowStart: -1},
	}
	if edit != nil {
		edit(&cfg)
	}
	f.Balanced = NewBalanced(cfg)
	t.Cleanup(func() {
		start := time.Now()
		f.Close()
		if took := time.Since(start); took > 0 {
			t.Errorf("Close took %v", took)
		}
		for name := range f.servers {
			f.servers[name].l.Close()
			for _, c := range f.servers[name].open() {
				c.Close()
			}
		}
		f.tasks.Wait()
		if n := f.events.open.Load(); n != 0 {
			t.Errorf("%d connections were opened and not closed", n)
		}
	})
	return f
}

func (f *farm) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	f.mu.Lock()
	f.dials[addr]++
	hangs := f.hanging[addr]
	f.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return f.network.Dial(ctx, network, addr)
}

func (f *farm) dialed(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dials[name]
}

func (f *farm) hang(name string, on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hanging[name] = on
}

func (f *farm) register(e address.Endpoint) {
	r, err := f.registry.Register(f.t.Context(), "farm", e)
	if err != nil {
		f.t.Fatal(err)
	}
	f.entries[e.Addr] = r
}

func (f *farm) deregister(names ...string) {
	for _, name := range names {
		f.entries[name].Deregister(f.t.Context())
		f.settle()
	}
}

// settle returns when all have done what they can at this time.
func (f *farm) settle() { time.Sleep(time.Nanosecond) }

// up starts a server.
func (f *farm) up(name string) {
	l, err := f.network.Listen(name)
	if err != nil {
		f.t.Fatal(err)
	}
	s := &farmer{l: l}
	f.servers[name] = s
	d := dispatch.New(dispatch.Config{Log: slog.New(slog.DiscardHandler)})
	d.Register(call.Handler{Method: waitMethod, Unary: func(ctx context.Context, req any) (any, error) {
		select {
		case <-f.gate:
			return req, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}})
	f.tasks.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			srv := transport.NewServer(context.Background(), nc, transportConfig(), d, &call.Peer{Addr: nc.RemoteAddr()})
			s.mu.Lock()
			s.conns = append(s.conns, srv)
			s.mu.Unlock()
			f.tasks.Go(func() { srv.Serve() })
		}
	})
}

// down ends a server and its connections.
func (f *farm) down(name string) {
	s := f.servers[name]
	s.l.Close()
	for _, c := range s.open() {
		c.Close()
	}
	f.settle()
}

// drain has a server stop listening and ask for no more calls.
func (f *farm) drain(name string) {
	s := f.servers[name]
	s.l.Close()
	for _, c := range s.open() {
		f.tasks.Go(func() { c.Drain(context.Background()) })
	}
	f.settle()
}

func (s *farmer) open() []*transport.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

// pick picks for a call that ends at once, and returns the server.
func (f *farm) pick(p *Pick) (string, *status.Error) {
	p.Method = nopMethod
	c, err := f.Pick(f.t.Context(), p)
	if err != nil {
		return "", err
	}
	f.Done(p, c, nil)
	return c.Peer().Addr.String(), nil
}

func newMessage() any { return new(wrapperspb.StringValue) }

// No server has the first method; the other waits.
var (
	nopMethod  = call.NewMethod(call.MethodSpec{Service: "farm.v1.Farm", Name: "Nop"}, newMessage, newMessage)
	waitMethod = call.NewMethod(call.MethodSpec{Service: "farm.v1.Farm", Name: "Wait"}, newMessage, newMessage)
)

// callOver makes a call over c.
func callOver(ctx context.Context, c Client, m *call.Method) *status.Error {
	return c.Unary(ctx, &transport.Unary{Method: m, Req: newMessage(), Res: newMessage()})
}

// siteCount returns how many sites there are.
func (f *farm) siteCount() int {
	f.Balanced.mu.Lock()
	defer f.Balanced.mu.Unlock()
	return len(f.sites)
}

// picks picks n times, which must not fail, and counts the servers. It returns
// the longest that one took.
func (f *farm) picks(n int) (counts map[string]int, longest time.Duration) {
	f.t.Helper()
	counts = map[string]int{}
	for range n {
		start := time.Now()
		name, err := f.pick(&Pick{})
		if err != nil {
			f.t.Fatal(err)
		}
		counts[name]++
		longest = max(longest, time.Since(start))
	}
	return counts, longest
}

// node returns the node of a server.
func (f *farm) node(name string) *address.Node {
	f.t.Helper()
	for _, n := range f.pool.Nodes() {
		if n.Endpoint().Addr == name {
			return n
		}
	}
	f.t.Fatalf("no node of %s", name)
	return nil
}
