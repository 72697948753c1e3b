package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rpcx-go/rpcx/runtime/rpcx"
)

// Network is what servers listen on and connections are made over: one of
// rpcxtest, or a Loopback.
type Network interface {
	Listen(name string) (net.Listener, error)
	Dial(ctx context.Context, network, name string) (net.Conn, error)
}

// World is a network with one server at a time and a connection to it, all of
// which share a journal.
type World struct {
	Net     Network
	Journal *Journal
	Conn    *rpcx.Conn
	Agent   *Agent

	sopts []rpcx.ServerOption

	servers atomic.Int64 // how many there were; the last one is the current one
	mu      sync.Mutex
	server  *rpcx.Server
	served  chan error
}

// NewWorld starts a server on network and returns a world with a connection to
// it. Close ends both.
func NewWorld(network Network, sopts []rpcx.ServerOption, dopts []rpcx.DialOption) *World {
	w := &World{Net: network, Journal: NewJournal()}
	w.sopts = append([]rpcx.ServerOption{rpcx.WithObserver(w.Journal)}, sopts...)
	w.Start()
	var err error
	w.Conn, err = w.Dial(dopts...)
	if err != nil {
		panic(err)
	}
	w.Agent = &Agent{Conn: w.Conn, Journal: w.Journal}
	return w
}

// Dial returns another connection to whichever server is the current one.
func (w *World) Dial(dopts ...rpcx.DialOption) (*rpcx.Conn, error) {
	dopts = append([]rpcx.DialOption{rpcx.WithDialer(w.dial), rpcx.WithObserver(w.Journal)}, dopts...)
	return rpcx.Dial("faults:1", dopts...)
}

func (w *World) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	return w.Net.Dial(ctx, network, name(w.servers.Load()))
}

func name(n int64) string { return fmt.Sprint("server-", n) }

// Start starts another server, which takes the place of the current one for
// connections made from then on, and returns what stops the old one as it is
// told, and waits for it; nil if there was none.
func (w *World) Start() (stop func(func(*rpcx.Server))) {
	srv := rpcx.NewServer(w.sopts...)
	(&Service{w.Journal}).Register(srv)
	n := w.servers.Load() + 1
	l, err := w.Net.Listen(name(n))
	if err != nil {
		panic(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	w.servers.Store(n)
	w.Journal.Note("server    %d starts", n)
	w.mu.Lock()
	defer w.mu.Unlock()
	old, oldServed := w.server, w.served
	w.server, w.served = srv, served
	if old == nil {
		return nil
	}
	return func(f func(*rpcx.Server)) {
		f(old)
		if err := <-oldServed; !errors.Is(err, rpcx.ErrServerClosed) {
			w.Journal.Wrong("Serve returned %v, want ErrServerClosed", err)
		}
		w.Journal.Note("server    %d has stopped", n-1)
	}
}

// Server returns the current server.
func (w *World) Server() *rpcx.Server {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.server
}

// Close closes the connection and the current server, and notes if that takes
// longer than it may.
func (w *World) Close() {
	start := time.Now()
	w.Conn.Close()
	w.Server().Close()
	if err := <-w.served; !errors.Is(err, rpcx.ErrServerClosed) {
		w.Journal.Wrong("Serve returned %v, want ErrServerClosed", err)
	}
	if took := time.Since(start); took > 2*time.Second {
		w.Journal.Wrong("closing took %v", took)
	}
}

// Loopback is the machine's own TCP, where connections have descriptors and
// time is real. Its zero value is ready for use.
type Loopback struct {
	mu    sync.Mutex
	addrs map[string]string
}

// Listen listens on a port of its own.
func (n *Loopback) Listen(name string) (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.addrs == nil {
		n.addrs = map[string]string{}
	}
	n.addrs[name] = l.Addr().String()
	return l, nil
}

// Dial connects to the listener of the given name.
func (n *Loopback) Dial(ctx context.Context, _, name string) (net.Conn, error) {
	n.mu.Lock()
	addr := n.addrs[name]
	n.mu.Unlock()
	return new(net.Dialer).DialContext(ctx, "tcp", addr)
}
