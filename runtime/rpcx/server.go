package rpcx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/codec"
	"github.com/rpcx-go/rpcx/runtime/internal/dispatch"
	"github.com/rpcx-go/rpcx/runtime/internal/fallback"
	"github.com/rpcx-go/rpcx/runtime/internal/stats"
	"github.com/rpcx-go/rpcx/runtime/internal/transport"
)

// ErrServerClosed is what Serve returns after Shutdown or Close.
var ErrServerClosed = errors.New("rpcx: the server is closed")

// Stats are the counts of one method at one moment.
type Stats = stats.MethodStats

// Server answers calls. Its methods may be called concurrently.
type Server struct {
	cfg       serverConfig
	transport *transport.Config
	dispatch  *dispatch.Dispatcher
	fallback  fallback.Fallback // nil: only the native protocol is spoken
	door      *door
	unfit     error          // why it cannot serve, if so
	serving   sync.WaitGroup // connections, and calls of Serve

	hooks      hooks
	registered registered

	// killed is done when nobody is waited for any more.
	killed context.Context
	kill   context.CancelFunc

	mu        sync.Mutex
	closed    bool
	listeners map[net.Listener]struct{}
	conns     map[*visit]struct{} // of all protocols
	arriving  int                 // connections at the door
	perPeer   map[netip.Addr]int  // only if there is a limit
	aging     aging
}

// NewServer returns a server without services. It panics if an option makes no
// sense, such as a compression that does not exist.
func NewServer(opts ...ServerOption) *Server {
	cfg := serverConfig{common: newCommon(), base: context.Background(),
		maxHandlers: defaultMaxHandlers, maxConns: defaultMaxConns, maxAge: defaultMaxAge, ageGrace: defaultAgeGrace,
		shutdownTimeout: defaultShutdownTimeout}
	for _, o := range opts {
		o.applyServer(&cfg)
	}
	if cfg.err != nil {
		panic(cfg.err)
	}
	s := &Server{
		dispatch: dispatch.New(dispatch.Config{
			Interceptors: cfg.interceptors,
			Observers:    cfg.observers,
			Admission:    dispatch.NewLimit(cfg.maxHandlers),
			Log:          cfg.log,
		}),
		listeners: map[net.Listener]struct{}{},
		conns:     map[*visit]struct{}{},
		perPeer:   map[netip.Addr]int{},
	}
	if cfg.fallback != nil {
		s.fallback = cfg.fallback(cfg.forFallback(s.dispatch))
		cfg.protocols = append(cfg.protocols, s.fallback.Protocols()...)
		WithCodec(s.fallback.JSON()).applyServer(&cfg)
	}
	s.cfg, s.transport = cfg, cfg.transport()
	s.door, s.unfit = newDoor(&s.cfg)
	s.aging.begun = time.Now()
	s.killed, s.kill = context.WithCancel(context.Background())
	return s
}

func (cfg *serverConfig) forFallback(d *dispatch.Dispatcher) fallback.Config {
	f := fallback.Config{
		Base:             cfg.base,
		Dispatcher:       d,
		Log:              cfg.log,
		Budget:           cfg.receiveBudget().Share(),
		MaxMessage:       int(cfg.settings.MaxMessage),
		MaxMetadata:      int(cfg.settings.MaxMetadata),
		MaxStreams:       int(cfg.settings.MaxStreams),
		CompressFrom:     cfg.compressFrom,
		HandshakeTimeout: cfg.handshake,
		WriteStall:       cfg.stall,
	}
	if i := slices.IndexFunc(cfg.codecs, func(c codec.Codec) bool { return c.ID() == codec.JSONID }); i >= 0 {
		f.JSON = cfg.codecs[i]
	}
	for _, c := range cfg.compressors.All() {
		if cfg.settings.AcceptsCompression(uint8(c.ID())) {
			f.Compressions = append(f.Compressions, c.ID())
		}
	}
	return f
}

// Register adds handlers; generated code calls it. It panics if one of their
// methods is registered already. Services may be registered while the server runs.
func (s *Server) Register(handlers ...Handler) { s.dispatch.Register(handlers...) }

// Stats returns the counts of all registered methods in order of their names.
func (s *Server) Stats() []Stats { return s.dispatch.Stats() }

// ListenAndServe listens on addresses such as ":7000", "tcp://127.0.0.1:7000"
// and "unix:///run/users.sock" and serves until ctx is done; then it shuts the
// server down as Shutdown does. It returns nil if all calls ended in time (see
// WithShutdownTimeout), and else an error that says so.
func (s *Server) ListenAndServe(ctx context.Context, addrs ...string) error {
	if len(addrs) == 0 {
		return errors.New("rpcx: ListenAndServe: no address")
	}
	if s.unfit != nil {
		return s.unfit
	}
	var listeners []net.Listener
	for _, addr := range addrs {
		l, err := listen(ctx, addr)
		if err != nil {
			for _, l := range listeners {
				l.Close()
			}
			return fmt.Errorf("rpcx: listen on %s: %w", addr, err)
		}
		listeners = append(listeners, l)
	}
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { failed <- s.Serve(l) }()
	}
	var err error
	left := len(listeners)
	select {
	case <-ctx.Done():
		patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.shutdownTimeout)
		defer cancel()
		if s.Shutdown(patience) != nil {
			err = fmt.Errorf("rpcx: shutdown: calls that still ran after %v were cancelled", s.cfg.shutdownTimeout)
		}
	case err = <-failed:
		left--
		s.Close()
	}
	for range left {
		<-failed
	}
	return err
}

func listen(ctx context.Context, addr string) (net.Listener, error) {
	e, err := address.Parse(addr)
	if err != nil {
		return nil, err
	}
	return new(net.ListenConfig).Listen(ctx, e.Network, e.Addr)
}

// Serve accepts connections from l, which it closes in the end. It returns
// ErrServerClosed after Shutdown or Close, otherwise l's error. A server may
// serve several listeners.
func (s *Server) Serve(l net.Listener) error {
	if s.unfit != nil {
		l.Close()
		return s.unfit
	}
	if !s.add(l) {
		l.Close()
		return ErrServerClosed
	}
	defer s.serving.Done()
	defer s.remove(l)
	s.registered.begin(&s.cfg, l.Addr())
	for pause := time.Duration(0); ; {
		nc, err := l.Accept()
		if err == nil {
			pause = 0
			s.serving.Add(1)
			go s.serveConn(nc, nil)
			continue
		}
		if s.isClosed() {
			return ErrServerClosed
		}
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		// Out of descriptors, or a connection that was gone before it was
		// accepted: others may still come.
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		s.cfg.log.Warn("cannot accept", "listener", l.Addr(), "error", err, "pause", pause)
		time.Sleep(pause)
	}
}

// ServeConn serves one connection, which it closes in the end. It returns when
// the connection has ended: nil if one of the two sides closed it.
func (s *Server) ServeConn(nc net.Conn) error {
	if s.unfit != nil {
		nc.Close()
		return s.unfit
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		nc.Close()
		return ErrServerClosed
	}
	s.serving.Add(1)
	s.mu.Unlock()
	ended := make(chan error, 1)
	go s.serveConn(nc, ended)
	return <-ended
}

func (s *Server) add(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.serving.Add(1)
	s.listeners[l] = struct{}{}
	return true
}

func (s *Server) remove(l net.Listener) {
	l.Close()
	s.mu.Lock()
	delete(s.listeners, l)
	s.mu.Unlock()
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// stop closes the listeners and returns the native connections that are left.
func (s *Server) stop() []*transport.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.door.close()
	for l := range s.listeners {
		l.Close()
	}
	s.aging.stop()
	conns := make([]*transport.Server, 0, len(s.conns))
	for v := range s.conns {
		if v.c != nil && !v.other.Load() {
			conns = append(conns, v.c)
		}
	}
	return conns
}

// Shutdown leaves the registries, stops listening, tells clients to call no more, and waits until all
// calls have ended. If ctx is done first, the calls that are left are
// cancelled, and it returns the context's error once their handlers have returned.
func (s *Server) Shutdown(ctx context.Context) error {
	s.registered.end(ctx, &s.cfg)
	s.hooks.run()
	var drains sync.WaitGroup
	for _, c := range s.stop() {
		drains.Go(func() { c.Drain(ctx) })
	}
	if s.fallback != nil {
		drains.Go(func() { _ = s.fallback.Shutdown(ctx) }) // the context's error
	}
	drains.Wait()
	// What was accepted since is turned away, for which the peer has a second.
	defer context.AfterFunc(ctx, s.kill)()
	s.serving.Wait()
	err := ctx.Err()
	s.Close()
	return err
}

// Close ends the server at once: calls are cancelled, connections closed. It
// returns when all handlers have returned and the server is in no registry.
func (s *Server) Close() error {
	s.kill()
	defer s.registered.end(context.Background(), &s.cfg)
	for _, c := range s.stop() {
		c.Close()
	}
	if s.fallback != nil {
		s.fallback.Close()
	}
	s.serving.Wait()
	s.dispatch.Wait()
	return nil
}
