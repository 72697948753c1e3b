package rpcx_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
	"github.com/rpcx-go/rpcx/runtime/status"
)

func say(ctx context.Context, c rpcx.Caller, opts ...rpcx.CallOption) error {
	_, err := rpcx.CallUnary(ctx, c, echoUnary, wrapperspb.String("x"), opts...)
	return err
}

func TestDialErrors(t *testing.T) {
	for target, want := range map[string]string{
		"":                   "host:port",
		"localhost":          "host:port",
		"tcp://localhost":    "host:port",
		"unix://":            "path of a socket",
		"carrier-pigeon://x": `scheme "carrier-pigeon" is not known`,
	} {
		if _, err := rpcx.Dial(target); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", target, err, want)
		}
	}
	conn, err := rpcx.Dial("tcp://localhost:7000")
	if err != nil || conn.Target() != "tcp://localhost:7000" {
		t.Errorf("got %v, %v", conn, err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	wantCode(t, say(t.Context(), conn), status.Unavailable, "closed")
}

// TestSeveralListeners: one server serves TCP and a Unix socket, which counts
// as secure.
func TestSeveralListeners(t *testing.T) {
	var secure atomic.Int32
	srv := rpcx.NewServer(rpcx.WithInterceptors(func(ctx context.Context, c *call.Call, next call.Next) error {
		if c.Peer().Secure {
			secure.Add(1)
		}
		return next(ctx, c)
	}))
	new(echo).register(srv)
	socket := filepath.Join(t.TempDir(), "s")
	var serving sync.WaitGroup
	var targets []string
	for _, a := range [][2]string{{"tcp", "127.0.0.1:0"}, {"tcp", "127.0.0.1:0"}, {"unix", socket}} {
		l, err := net.Listen(a[0], a[1])
		if err != nil {
			t.Fatal(err)
		}
		targets = append(targets, a[0]+"://"+l.Addr().String())
		serving.Go(func() {
			if err := srv.Serve(l); !errors.Is(err, rpcx.ErrServerClosed) {
				t.Errorf("Serve: %v", err)
			}
		})
	}
	for _, target := range targets {
		conn, err := rpcx.Dial(target)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := say(t.Context(), conn, rpcx.WithCredentials(&credentials{secure: strings.HasPrefix(target, "unix")})); err != nil {
			t.Errorf("%s: %v", target, err)
		}
	}
	if n := secure.Load(); n != 1 {
		t.Errorf("%d calls came over a secure connection", n)
	}
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	serving.Wait()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Serve(l); !errors.Is(err, rpcx.ErrServerClosed) {
		t.Errorf("Serve after Shutdown: %v", err)
	}
	if _, err := l.Accept(); err == nil {
		t.Error("the listener was left open")
	}
}

func TestServeConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := rpcx.NewServer()
		new(echo).register(srv)
		network := rpcxtest.NewNetwork()
		l := network.Listener()
		defer l.Close()
		conn, err := rpcx.Dial("echo:1", rpcx.WithDialer(network.Dial))
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() {
			nc, err := l.Accept()
			if err == nil {
				err = srv.ServeConn(nc)
			}
			served <- err
		}()
		if err := say(t.Context(), conn); err != nil {
			t.Error(err)
		}
		conn.Close()
		if err := <-served; err != nil {
			t.Errorf("ServeConn: %v", err)
		}
		srv.Close()
		a, err := network.Dial(t.Context(), "", "x")
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		b, _ := l.Accept()
		if err := srv.ServeConn(b); !errors.Is(err, rpcx.ErrServerClosed) {
			t.Errorf("ServeConn after Close: %v", err)
		}
	})
}

func TestListenAndServe(t *testing.T) {
	t.Run("until the context is done", func(t *testing.T) {
		socket := filepath.Join(t.TempDir(), "s")
		running, release := make(chan struct{}), make(chan struct{})
		srv := rpcx.NewServer()
		(&echo{unary: func(_ context.Context, req *text) (*text, error) {
			close(running)
			<-release
			return req, nil
		}}).register(srv)
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- srv.ListenAndServe(ctx, "unix://"+socket, "127.0.0.1:0") }()
		conn, err := rpcx.Dial("unix://"+socket, rpcx.WithDefaultCallOptions(rpcx.WithWaitForReady(true)))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		answered := make(chan error, 1)
		go func() { answered <- say(t.Context(), conn) }()
		<-running
		cancel() // the call that runs is not hurt
		close(release)
		if err := <-answered; err != nil {
			t.Errorf("the call in flight: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("ListenAndServe: %v", err)
		}
	})
	for name, addrs := range map[string][]string{
		"no address": nil, "bad address": {"nowhere"}, "bad scheme": {"127.0.0.1:0", "etcd://x"}, "taken": {"unix:///"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := rpcx.NewServer()
			if err := srv.ListenAndServe(t.Context(), addrs...); err == nil || !strings.HasPrefix(err.Error(), "rpcx: ") {
				t.Errorf("got %v", err)
			}
			srv.Close()
		})
	}
}

// TestRestart: a client goes on over a server's restart; calls that wait are
// answered by the new one.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := rpcxtest.NewNetwork()
		serve := func() (stop func()) {
			srv := rpcx.NewServer()
			new(echo).register(srv)
			l := network.Listener()
			served := make(chan error, 1)
			go func() { served <- srv.Serve(l) }()
			return func() {
				if err := srv.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
				<-served
			}
		}
		conn, err := rpcx.Dial("echo:1", rpcx.WithDialer(network.Dial))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for range 3 {
			stop := serve()
			eachKind(t, func(t *testing.T, name string, do func(...rpcx.CallOption) (string, error)) {
				if _, err := do(); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}, conn)
			stop()
			err := say(t.Context(), conn)
			if wantCode(t, err, status.Unavailable, "refused"); !status.FromError(err).NotRun() {
				t.Error("the call may have run")
			}
			var waiting sync.WaitGroup
			for range 5 {
				waiting.Go(func() {
					if err := say(t.Context(), conn, rpcx.WithWaitForReady(true)); err != nil {
						t.Errorf("waiting: %v", err)
					}
				})
			}
			time.Sleep(time.Second)
			stop = serve()
			waiting.Wait()
			stop()
			time.Sleep(time.Minute) // no backoff is left
		}
	})
}

// TestNoCallFailsInShutdown: calls that run go on, and calls that come later
// go to the next server.
func TestNoCallFailsInShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := rpcxtest.NewNetwork()
		var tasks sync.WaitGroup
		serve := func() *rpcx.Server {
			srv := rpcx.NewServer()
			(&echo{unary: func(_ context.Context, req *text) (*text, error) {
				time.Sleep(5 * time.Millisecond)
				return req, nil
			}}).register(srv)
			l := network.Listener()
			tasks.Go(func() { srv.Serve(l) })
			return srv
		}
		srv := serve()
		conn, err := rpcx.Dial("echo:1", rpcx.WithDialer(network.Dial), rpcx.WithDefaultCallOptions(rpcx.WithWaitForReady(true)))
		if err != nil {
			t.Fatal(err)
		}
		stop := make(chan struct{})
		var callers sync.WaitGroup
		var calls atomic.Int32
		for range 30 {
			callers.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					calls.Add(1)
					if err := say(t.Context(), conn); err != nil {
						t.Errorf("a call failed: %v, not run %v", err, status.FromError(err).NotRun())
						return
					}
				}
			})
		}
		for range 5 {
			time.Sleep(time.Second)
			old := srv
			shut := make(chan error, 1)
			go func() { shut <- old.Shutdown(t.Context()) }()
			synctest.Wait()
			srv = serve()
			if err := <-shut; err != nil {
				t.Error(err)
			}
		}
		close(stop)
		callers.Wait()
		if n := calls.Load(); n < 1000 {
			t.Errorf("only %d calls", n)
		}
		conn.Close()
		srv.Close()
		tasks.Wait()
	})
}

// TestShutdownImpatient: when its context is done Shutdown cancels the calls
// that are left.
func TestShutdownImpatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &echo{unary: func(ctx context.Context, _ *text) (*text, error) { <-ctx.Done(); return nil, ctx.Err() }}
		conn, srv, _ := inMemory(t, e, nil, nil)
		answered := make(chan error, 1)
		go func() { answered <- say(t.Context(), conn) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		start := time.Now()
		if err := srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 4*time.Second {
			t.Errorf("Shutdown: %v after %v", err, time.Since(start))
		}
		wantCode(t, <-answered, status.Unavailable, "")
	})
}

// TestConnClose: calls in flight and later ones fail.
func TestConnClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &echo{unary: func(ctx context.Context, _ *text) (*text, error) { <-ctx.Done(); return nil, ctx.Err() }}
		conn, _, _ := inMemory(t, e, nil, nil)
		answered := make(chan error, 1)
		go func() { answered <- say(t.Context(), conn) }()
		s, err := rpcx.CallBidiStream(t.Context(), conn, echoBidi)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		conn.Close()
		wantCode(t, <-answered, status.Unavailable, "closed")
		_, err = s.Recv()
		wantCode(t, err, status.Unavailable, "closed")
		eachKind(t, func(t *testing.T, _ string, do func(...rpcx.CallOption) (string, error)) {
			_, err := do()
			wantCode(t, err, status.Unavailable, "closed")
		}, conn)
	})
}

// TestTimeout: a call's own timeout ends calls of all kinds, and the handler
// sees the deadline.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Int32
		hang := func(ctx context.Context, _ *call.Call, _ call.Next) error {
			if _, ok := ctx.Deadline(); !ok {
				t.Error("no deadline at the handler")
			}
			<-ctx.Done()
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				ended.Add(1)
			}
			return ctx.Err()
		}
		conn, _, _ := inMemory(t, &echo{}, onServer(hang), nil)
		for name, do := range kinds {
			if name == "Inline" {
				continue // its interceptors must not block
			}
			start := time.Now()
			_, err := do(t.Context(), conn, rpcx.WithTimeout(time.Second))
			wantCode(t, err, status.DeadlineExceeded, "")
			if took := time.Since(start); took != time.Second {
				t.Errorf("%s took %v", name, took)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := do(ctx, conn, rpcx.WithTimeout(time.Minute)); status.CodeOf(err) != status.DeadlineExceeded {
				t.Errorf("%s: %v", name, err)
			}
			cancel()
		}
		synctest.Wait()
		if n := ended.Load(); n != 8 {
			t.Errorf("%d handlers saw their deadline pass", n)
		}
	})
}

func TestMaxHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		e := &echo{unary: func(_ context.Context, req *text) (*text, error) { <-release; return req, nil }}
		conn, _, _ := inMemory(t, e, []rpcx.ServerOption{rpcx.WithMaxHandlers(2)}, nil)
		answered := make(chan error, 2)
		for range 2 {
			go func() { answered <- say(t.Context(), conn) }()
		}
		synctest.Wait()
		eachKind(t, func(t *testing.T, name string, do func(...rpcx.CallOption) (string, error)) {
			_, err := do()
			wantCode(t, err, status.ResourceExhausted, "")
			if !status.FromError(err).NotRun() {
				t.Errorf("%s: may have run", name)
			}
		}, conn)
		close(release)
		for range 2 {
			if err := <-answered; err != nil {
				t.Error(err)
			}
		}
		if err := say(t.Context(), conn); err != nil {
			t.Error(err)
		}
	})
}

func TestUnimplemented(t *testing.T) {
	conn, srv := start(t, &echo{})
	absent := rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: "test.v1.Echo", Name: "Absent"})
	_, err := rpcx.CallUnary(t.Context(), conn, absent, wrapperspb.String("x"))
	wantCode(t, err, status.Unimplemented, "/test.v1.Echo/Absent")
	// Registered while the server runs.
	srv.Register(rpcx.UnaryHandler(absent, func(context.Context, *text) (*text, error) { return nil, rpcx.ErrUnimplemented(absent) }))
	other, err := rpcx.Dial(conn.Target())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	_, err = rpcx.CallUnary(t.Context(), other, absent, wrapperspb.String("x"))
	wantCode(t, err, status.Unimplemented, "method /test.v1.Echo/Absent is not implemented")
}

type ctxKey struct{}

func TestBaseContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), ctxKey{}, "base"))
	var got any
	e := &echo{unary: func(ctx context.Context, req *text) (*text, error) {
		got = ctx.Value(ctxKey{})
		return req, ctx.Err()
	}}
	conn, _ := startWith(t, e, []rpcx.ServerOption{rpcx.WithBaseContext(ctx)}, nil)
	cancel()
	if err := say(t.Context(), conn); err != nil || got != "base" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestLogging(t *testing.T) {
	var log bytes.Buffer
	var mu sync.Mutex
	h := slog.NewTextHandler(writer(func(b []byte) { mu.Lock(); log.Write(b); mu.Unlock() }), &slog.HandlerOptions{Level: slog.LevelInfo})
	e := &echo{unary: func(context.Context, *text) (*text, error) { panic("boom") }}
	conn, _ := startWith(t, e, []rpcx.ServerOption{rpcx.WithLogger(slog.New(h))}, nil)
	kinds["Bidi"](t.Context(), conn)
	mu.Lock()
	if log.Len() > 0 {
		t.Errorf("logged without need: %s", &log)
	}
	mu.Unlock()
	say(t.Context(), conn)
	mu.Lock()
	defer mu.Unlock()
	for _, want := range []string{"boom", "/test.v1.Echo/Unary", "stack"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q: %s", want, &log)
		}
	}
}

type writer func([]byte)

func (w writer) Write(b []byte) (int, error) { w(b); return len(b), nil }
