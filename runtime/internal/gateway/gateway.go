// Package gateway serves HTTP on the port of the native protocol: Connect, gRPC
// and gRPC-Web, over HTTP/1.1 and HTTP/2, through connectrpc.com/connect/v2. What
// arrives becomes the same call as a native one and goes the same way from there.
package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rpcx-go/rpcx/runtime/codec"
	"github.com/rpcx-go/rpcx/runtime/internal/fallback"
)

// Options are what users choose.
type Options struct {
	// CORS lets pages of other origins call; nil lets none.
	CORS *CORS
	// Other answers requests that are no calls; nil answers 404.
	Other http.Handler
	// IdleTimeout is how long a connection is kept on which no call runs.
	IdleTimeout time.Duration
	// Hosts are the names under which the server is called; empty allows any.
	Hosts []string
	// MaxHeader bounds the header of a request in bytes, its URL included.
	MaxHeader int
}

// Gateway serves the connections of one server that speak HTTP. It implements
// fallback.Fallback.
type Gateway struct {
	cfg     fallback.Config
	opts    Options
	server  *http.Server
	doorway *doorway
	origins *origins
	codecs  codecs

	start   sync.Once // starts server
	serving sync.WaitGroup
	conns   sync.Map // net.Conn to *fallback.Conn

	closing context.Context // done when no new connection may begin
	close   context.CancelFunc
	alive   context.Context // done when the calls shall end
	kill    context.CancelCauseFunc

	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup // requests that are being answered

	routing sync.Mutex // held while routes are made
	routes  atomic.Pointer[routes]
}

// New returns what makes a Gateway of a server.
func New(opts Options) fallback.New {
	return func(cfg fallback.Config) fallback.Fallback {
		g := &Gateway{cfg: cfg, opts: opts, doorway: newDoorway(), origins: newOrigins(opts.CORS), codecs: newCodecs(&cfg)}
		g.closing, g.close = context.WithCancel(context.Background())
		g.alive, g.kill = context.WithCancelCause(context.Background())
		var protocols http.Protocols
		protocols.SetHTTP1(true)
		protocols.SetHTTP2(true)
		protocols.SetUnencryptedHTTP2(true) // only for those who know that it is there
		g.server = &http.Server{
			Handler:           http.HandlerFunc(g.answer),
			Protocols:         &protocols,
			ReadHeaderTimeout: cfg.HandshakeTimeout,
			IdleTimeout:       opts.IdleTimeout,
			MaxHeaderBytes:    opts.MaxHeader,
			HTTP2: &http.HTTP2Config{
				MaxConcurrentStreams: cfg.MaxStreams,
				WriteByteTimeout:     cfg.WriteStall,
			},
			// A handler of HTTP/1.1 that does not read would not notice that its
			// connection is closed.
			BaseContext: func(net.Listener) context.Context { return g.alive },
			ConnContext: g.connContext,
			ConnState:   g.connState,
			ErrorLog:    slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
		}
		return g
	}
}

// Protocols implements fallback.Fallback.
func (g *Gateway) Protocols() []string { return []string{"h2", "http/1.1"} }

// JSON implements fallback.Fallback.
func (g *Gateway) JSON() codec.Codec { return g.codecs.json.Codec }

type connKey struct{}

// connContext has requests know their connection.
func (g *Gateway) connContext(ctx context.Context, nc net.Conn) context.Context {
	c, _ := g.conns.Load(nc)
	return context.WithValue(ctx, connKey{}, c)
}

// connState is told by net/http what becomes of connections.
func (g *Gateway) connState(nc net.Conn, state http.ConnState) {
	if state == http.StateClosed {
		g.ended(nc)
	}
}

// ended is called when nc has been closed.
func (g *Gateway) ended(nc net.Conn) {
	if c, ok := g.conns.LoadAndDelete(nc); ok {
		c.(*fallback.Conn).Ended(nil)
	}
}

// run serves, from the first connection on.
func (g *Gateway) run() {
	g.start.Do(func() {
		g.serving.Go(func() { _ = g.server.Serve(g.doorway) }) // it ends because the doorway is closed
	})
}

// enter reports whether a request may be answered, of which leave is told the end.
func (g *Gateway) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.calls.Add(1)
	return true
}

func (g *Gateway) leave() { g.calls.Done() }

// Shutdown implements fallback.Fallback. Clients of HTTP/2 are told to call no
// more, and know which of their calls run; those of HTTP/1.1 may send a request
// on a connection that is closed at that moment. Once ctx is done, the calls that
// are left are cancelled.
func (g *Gateway) Shutdown(ctx context.Context) error {
	g.close()
	g.start.Do(func() {}) // from now on it does not begin to serve
	err := g.server.Shutdown(ctx)
	if err != nil {
		g.kill(errEvicted)
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), linger)
		defer cancel()
		_ = g.server.Shutdown(late) // what does not end then is closed
		_ = g.server.Close()
	}
	g.doorway.Close()
	return err
}

// linger is how long the calls that are left when a shutdown has taken its time
// may take to tell their clients.
const linger = time.Second

// errEvicted is why those calls end.
var errEvicted = errors.New("the server takes no more calls on this connection")

// Close implements fallback.Fallback.
func (g *Gateway) Close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.close()
	g.start.Do(func() {})
	g.doorway.Close()
	_ = g.server.Close()
	g.kill(nil) // once nobody hears of it
	g.serving.Wait()
	// Those that net/http did not know of any more: accepted at the last moment, or
	// taken over by handlers.
	for nc, c := range g.conns.Range {
		nc.(net.Conn).Close()
		if c.(*fallback.Conn).Hijacked.Load() {
			g.ended(nc.(net.Conn))
		}
	}
	g.calls.Wait()
}
