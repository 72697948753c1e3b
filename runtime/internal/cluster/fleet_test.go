package cluster_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
)

type text = wrapperspb.StringValue

// The methods: one says which server answers, one streams until it is told to end.
var (
	whoMethod  = rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: "fleet.v1.Fleet", Name: "Who"})
	talkMethod = rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: "fleet.v1.Fleet", Name: "Talk", Kind: rpcx.BidiStream})
)

// fleet is servers and a registry of them, for clients of the whole stack.
type fleet struct {
	t        *testing.T
	listen   func(addr string) (net.Listener, error)
	dial     func(ctx context.Context, network, addr string) (net.Conn, error)
	registry address.Registry
	// work, if not nil, is what a server does for a call of whoMethod.
	work func(ctx context.Context, name string)
	opts []rpcx.ServerOption

	servers map[string]*rpcx.Server
	entries map[string]address.Registration
	serving sync.WaitGroup
}

// newFleet returns a fleet on a network in memory.
func newFleet(t *testing.T) *fleet {
	network := rpcxtest.NewNetwork()
	f := &fleet{t: t, listen: network.Listen, dial: network.Dial, servers: map[string]*rpcx.Server{}, entries: map[string]address.Registration{}}
	t.Cleanup(func() {
		for _, s := range f.servers {
			s.Close()
		}
		f.serving.Wait()
	})
	return f
}

// up starts servers, which are not registered.
func (f *fleet) up(names ...string) {
	f.t.Helper()
	for _, name := range names {
		l, err := f.listen(name)
		if err != nil {
			f.t.Fatal(err)
		}
		srv := rpcx.NewServer(f.opts...)
		srv.Register(
			rpcx.UnaryHandler(whoMethod, func(ctx context.Context, _ *text) (*text, error) {
				if f.work != nil {
					f.work(ctx, name)
				}
				return wrapperspb.String(name), nil
			}),
			rpcx.BidiStreamHandler(talkMethod, func(_ context.Context, s rpcx.BidiStreamingServer[text, text]) error {
				for {
					if _, err := s.Recv(); err != nil {
						return nil
					}
					if err := s.Send(wrapperspb.String(name)); err != nil {
						return err
					}
				}
			}),
		)
		f.servers[name] = srv
		f.serving.Go(func() { srv.Serve(l) })
	}
}

// register puts servers into the registry.
func (f *fleet) register(names ...string) {
	f.t.Helper()
	for _, name := range names {
		e, err := f.registry.Register(f.t.Context(), "fleet", address.Endpoint{Network: "tcp", Addr: name})
		if err != nil {
			f.t.Fatal(err)
		}
		f.entries[name] = e
	}
}

func (f *fleet) deregister(names ...string) {
	for _, name := range names {
		f.entries[name].Deregister(f.t.Context())
	}
}

// shutdown drains a server.
func (f *fleet) shutdown(name string) {
	f.t.Helper()
	if err := f.servers[name].Shutdown(f.t.Context()); err != nil {
		f.t.Error(err)
	}
}

// conn dials the fleet.
func (f *fleet) conn(opts ...rpcx.DialOption) *rpcx.Conn {
	f.t.Helper()
	c, err := rpcx.Dial("mem:///fleet", append([]rpcx.DialOption{rpcx.WithDialer(f.dial), rpcx.WithResolver("mem", &f.registry)}, opts...)...)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { c.Close() })
	return c
}

// who makes a call and returns the server.
func who(ctx context.Context, c rpcx.Caller, opts ...rpcx.CallOption) (string, error) {
	res, err := rpcx.CallUnary(ctx, c, whoMethod, wrapperspb.String("?"), opts...)
	return res.GetValue(), err
}

// traffic makes calls all the time, each n callers every interval, and counts
// them by server.
type traffic struct {
	mu    sync.Mutex
	count map[string]int
	stop  chan struct{}
	all   sync.WaitGroup
}

func (f *fleet) traffic(c *rpcx.Conn, callers int, every time.Duration) *traffic {
	tr := &traffic{count: map[string]int{}, stop: make(chan struct{})}
	for range callers {
		tr.all.Go(func() {
			for {
				name, err := who(f.t.Context(), c)
				if err != nil {
					f.t.Errorf("%v: %v", time.Now().Format("15:04:05.000"), err)
				}
				tr.mu.Lock()
				tr.count[name]++
				tr.mu.Unlock()
				select {
				case <-tr.stop:
					return
				case <-time.After(every):
				}
			}
		})
	}
	return tr
}

// take returns the counts since the last take.
func (tr *traffic) take() map[string]int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	was := tr.count
	tr.count = map[string]int{}
	return was
}

func (tr *traffic) end() {
	close(tr.stop)
	tr.all.Wait()
}

// opened counts connections.
type opened struct {
	call.NopObserver
	open, all atomic.Int32
}

func (o *opened) ConnOpened(call.ConnInfo)        { o.open.Add(1); o.all.Add(1) }
func (o *opened) ConnClosed(call.ConnInfo, error) { o.open.Add(-1) }
