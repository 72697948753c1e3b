package cluster_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxhttp"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// loopback moves the fleet to real sockets. The names remain: only the dialer
// knows the ports.
func (f *fleet) loopback() {
	var mu sync.Mutex
	ports := map[string]string{}
	f.listen = func(name string) (net.Listener, error) {
		mu.Lock()
		defer mu.Unlock()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err == nil {
			ports[name] = l.Addr().String()
		}
		return l, err
	}
	f.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		mu.Lock()
		port := ports[addr]
		mu.Unlock()
		return new(net.Dialer).DialContext(ctx, network, port)
	}
}

// openByPort counts open connections by the server's address.
type openByPort struct {
	call.NopObserver
	mu      sync.Mutex
	changed sync.Cond
	open    map[string]int
}

func newOpenByPort() *openByPort {
	o := &openByPort{open: map[string]int{}}
	o.changed.L = &o.mu
	return o
}

func (o *openByPort) ConnOpened(i call.ConnInfo)          { o.add(i, 1) }
func (o *openByPort) ConnClosed(i call.ConnInfo, _ error) { o.add(i, -1) }

func (o *openByPort) add(i call.ConnInfo, n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open[i.Remote.String()] += n
	o.changed.Broadcast()
}

func (o *openByPort) count(addr string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.open[addr]
}

// none returns when no connection to the address is open.
func (o *openByPort) none(addr string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.open[addr] > 0 {
		o.changed.Wait()
	}
}

// TestOtherProtocols: clusters of servers that speak HTTP. A call in flight to a
// server that leaves the registry ends well, then its connections are closed; of
// a server that dies the calls in flight fail and no others.
func TestOtherProtocols(t *testing.T) {
	for name, opt := range map[string]rpcx.DialOption{
		"native":     rpcx.WithConnections(1),
		"pooled":     rpcx.WithPooledConnections(4),
		"connect/h1": rpcxhttp.WithConnect(),
		"connect/h2": rpcxhttp.WithConnect(rpcxhttp.WithHTTP2()),
		"grpc":       rpcxhttp.WithGRPC(),
		"grpcweb":    rpcxhttp.WithGRPCWeb(),
	} {
		t.Run(name, func(t *testing.T) { otherProtocol(t, opt) })
	}
}

func otherProtocol(t *testing.T, opt rpcx.DialOption) {
	f := newFleet(t)
	f.loopback()
	f.opts = []rpcx.ServerOption{rpcxhttp.WithHTTP()}
	gate, held := make(chan struct{}), make(chan struct{})
	var hold atomic.Bool
	f.work = func(_ context.Context, name string) {
		if name == "a" && hold.CompareAndSwap(true, false) {
			close(held)
			<-gate
		}
	}
	f.up("a", "b", "c")
	f.register("a", "b", "c")
	conns := newOpenByPort()
	conn := f.conn(opt, rpcx.WithObserver(conns), rpcx.WithBalancer(address.RoundRobin{}))
	ctx := t.Context()
	calls := func(n int, mayFail bool) map[string]int { // eight at a time
		var mu sync.Mutex
		var all sync.WaitGroup
		count := map[string]int{}
		for range 8 {
			all.Go(func() {
				for range n / 8 {
					name, err := who(ctx, conn)
					if err != nil && (!mayFail || status.CodeOf(err) != status.Unavailable) {
						t.Error(err)
					}
					mu.Lock()
					count[name]++
					mu.Unlock()
				}
			})
		}
		all.Wait()
		return count
	}
	if got := calls(400, false); len(got) != 3 {
		t.Errorf("at first: %v", got)
	}
	instances, err := conn.Instances(ctx)
	if err != nil {
		t.Fatal(err)
	}
	hold.Store(true)
	inFlight := make(chan error, 1)
	go func() {
		_, err := who(ctx, instances[0])
		inFlight <- err
	}()
	<-held
	f.deregister("a")
	for n := 3; n != 2; { // the list is on its way
		all, err := conn.Instances(ctx)
		if err != nil {
			t.Fatal(err)
		}
		n = len(all)
	}
	if got := calls(200, false); got["a"] > 0 || len(got) != 2 {
		t.Errorf("after one has left: %v", got)
	}
	nc, err := f.dial(ctx, "tcp", "a")
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
	if addr := nc.RemoteAddr().String(); conns.count(addr) == 0 {
		t.Errorf("no connection to %s is open while a call is in flight", addr)
	}
	close(gate)
	if err := <-inFlight; err != nil {
		t.Errorf("the call in flight: %v", err)
	}
	conns.none(nc.RemoteAddr().String())

	f.servers["b"].Close()
	// Those fail that were sent before the end of the connection was noticed.
	if got := calls(200, true); got["b"] > 0 || got["c"] < 150 {
		t.Errorf("after one has died: %v", got)
	}
	f.up("b")
	for calls(8, false)["b"] == 0 {
	}
}
