package rpcx_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
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
	"github.com/rpcx-go/rpcx/runtime/internal/certs/certstest"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// pem is a directory with certificates.
type pem struct {
	t   *testing.T
	dir string
}

func (p pem) path(name string) string { return filepath.Join(p.dir, name) }

// put writes NAME.crt and NAME.key.
func (p pem) put(name string, ca *certstest.CA, leaf certstest.Leaf) {
	p.t.Helper()
	cert, key := ca.Issue(p.t, leaf)
	certstest.Write(p.t, p.dir, name+".key", key)
	certstest.Write(p.t, p.dir, name+".crt", cert)
}

// trust writes ca.pem.
func (p pem) trust(cas ...*certstest.CA) {
	p.t.Helper()
	var all []byte
	for _, ca := range cas {
		all = append(all, ca.PEM...)
	}
	certstest.Write(p.t, p.dir, "ca.pem", all)
}

// option returns WithTLSFiles with the files of name.
func (p pem) option(name string) rpcx.Option {
	return rpcx.WithTLSFiles(p.path(name+".crt"), p.path(name+".key"), p.path("ca.pem"))
}

func TestTLSFiles(t *testing.T) {
	files, ca := pem{t, t.TempDir()}, certstest.NewCA(t, "ca")
	files.trust(ca)
	files.put("server", ca, certstest.Leaf{Name: "server"})
	files.put("client", ca, certstest.Leaf{Name: "billing"})
	crt, key := files.path("server.crt"), files.path("server.key")
	for name, test := range map[string]struct {
		server, client rpcx.Option
		identity, err  string
	}{
		"mutual":             {files.option("server"), files.option("client"), "billing", ""},
		"one-sided":          {rpcx.WithTLSFiles(crt, key, ""), rpcx.WithTLSFiles("", "", files.path("ca.pem")), "", ""},
		"client without one": {files.option("server"), rpcx.WithTLSFiles("", "", files.path("ca.pem")), "", "certificate required"},
		"roots of system":    {files.option("server"), rpcx.WithTLSFiles(crt, key, ""), "", "unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			seen := make(peers, 1)
			conn, _ := startWith(t, &echo{unary: seen.handler}, []rpcx.ServerOption{test.server}, []rpcx.DialOption{test.client})
			_, err := kinds["Unary"](t.Context(), conn)
			if test.err != "" {
				wantCode(t, err, status.Unavailable, test.err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			identity := ""
			if chains := (<-seen).TLS.VerifiedChains; len(chains) > 0 {
				identity = chains[0][0].Subject.CommonName
			}
			if identity != test.identity {
				t.Errorf("the handler sees %q, want %q", identity, test.identity)
			}
		})
	}
}

// TestUnfitServer: what makes a server unable to serve is returned by whatever
// would serve.
func TestUnfitServer(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.crt")
	for name, test := range map[string]struct {
		opt  rpcx.Option
		want string
	}{
		"missing file":   {rpcx.WithTLSFiles(missing, missing, ""), missing},
		"no files":       {rpcx.WithTLSFiles("", "", ""), "a server needs a certificate"},
		"config without": {rpcx.WithTLS(nil), "a server needs a certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := rpcx.NewServer(test.opt)
			defer srv.Close()
			server, client := net.Pipe()
			defer client.Close()
			for what, err := range map[string]error{
				"ListenAndServe": srv.ListenAndServe(t.Context(), "127.0.0.1:0"),
				"Serve":          srv.Serve(rpcxtest.NewNetwork().Listener()),
				"ServeConn":      srv.ServeConn(server),
			} {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("%s: got %v, want %q", what, err, test.want)
				}
			}
		})
	}
	if _, err := rpcx.Dial("localhost:1", rpcx.WithTLSFiles(missing, missing, "")); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("Dial: got %v, want the file's name", err)
	}
}

// TestTLSReload: certificates change while calls run. None of them fails, and
// new connections see the new ones, on both sides.
func TestTLSReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := pem{t, t.TempDir()}
		ca, next := certstest.NewCA(t, "ca"), certstest.NewCA(t, "next")
		hosts := []string{"echo"}
		files.trust(ca)
		files.put("server", ca, certstest.Leaf{Name: "server 1", Hosts: hosts})
		files.put("client", ca, certstest.Leaf{Name: "client 1", Hosts: hosts})
		log := new(logbook)

		identity := func(ctx context.Context, _ *text) (*text, error) {
			p, _ := rpcx.PeerFromContext(ctx)
			return wrapperspb.String(p.TLS.VerifiedChains[0][0].Subject.CommonName), nil
		}
		old, _, network := inMemory(t, &echo{unary: identity}, []rpcx.ServerOption{files.option("server"), log.option()}, []rpcx.DialOption{files.option("client")})

		// meet makes a new connection and returns who sees whom.
		meet := func() (string, error) {
			var server string
			conn, err := rpcx.Dial("echo:7000", rpcx.WithDialer(network.Dial), files.option("client"),
				rpcx.WithObserver(attempts(func(p call.Peer) { server = p.TLS.PeerCertificates[0].Subject.CommonName })))
			if err != nil {
				return "", err
			}
			defer conn.Close()
			res, err := rpcx.CallUnary(t.Context(), conn, echoUnary, wrapperspb.String(""))
			return fmt.Sprintf("%s, %s", server, res.GetValue()), err
		}

		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		calls := 0
		running.Go(func() {
			for ctx.Err() == nil {
				if res, err := rpcx.CallUnary(t.Context(), old, echoUnary, wrapperspb.String("")); err != nil || res.GetValue() != "client 1" {
					t.Errorf("on the old connection: %v, %v", res, err)
				}
				calls++
				time.Sleep(10 * time.Millisecond)
			}
		})
		stream, err := rpcx.CallBidiStream(t.Context(), old, echoBidi)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			what, want string
			do         func()
		}{
			{"at first", "server 1, client 1", func() {}},
			{"new certificates", "server 2, client 2", func() {
				files.put("server", ca, certstest.Leaf{Name: "server 2", Hosts: hosts})
				files.put("client", ca, certstest.Leaf{Name: "client 2", Hosts: hosts})
			}},
			{"a broken file", "server 2, client 2", func() {
				certstest.Write(t, files.dir, "server.crt", []byte("no certificate"))
			}},
			{"two authorities", "server 2, client 3", func() {
				files.trust(ca, next)
				files.put("client", next, certstest.Leaf{Name: "client 3", Hosts: hosts})
				files.put("server", ca, certstest.Leaf{Name: "server 2", Hosts: hosts})
			}},
			{"the next one only", "server 3, client 3", func() {
				files.trust(next)
				files.put("server", next, certstest.Leaf{Name: "server 3", Hosts: hosts})
			}},
		} {
			step.do()
			time.Sleep(2 * time.Second)
			if got, err := meet(); err != nil || got != step.want {
				t.Errorf("%s: %q see each other, error %v, want %q", step.what, got, err, step.want)
			}
			if err := stream.Send(wrapperspb.String(step.what)); err != nil {
				t.Fatalf("%s: Send: %v", step.what, err)
			}
			if m, err := stream.Recv(); err != nil || m.GetValue() != step.what {
				t.Fatalf("%s: Recv: %v, %v", step.what, m, err)
			}
		}
		stop()
		running.Wait()
		if calls < 900 {
			t.Errorf("%d calls were made meanwhile, want about 1,000", calls)
		}
		if got := log.String(); strings.Count(got, "level=WARN") != 1 || !strings.Contains(got, "server.crt") {
			t.Errorf("logged %s\nwant one warning with server.crt", got)
		}
		if err := stream.CloseSend(); err != nil {
			t.Error(err)
		}
		if _, err := stream.Recv(); err == nil {
			t.Error("the stream goes on")
		}
	})
}

// TestTLSShutdown: calls that run when the server shuts down end well, and the
// connection ends cleanly.
func TestTLSShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := tlsPair(t, certstest.NewCA(t, "ca"), certstest.Leaf{Hosts: []string{"echo"}})
		log := new(logbook)
		e := &echo{unary: func(_ context.Context, req *text) (*text, error) { time.Sleep(time.Second); return req, nil }}
		conn, srv, _ := inMemory(t, e, []rpcx.ServerOption{rpcx.WithTLS(server), log.option()}, []rpcx.DialOption{rpcx.WithTLS(client)})
		var calls sync.WaitGroup
		for range 100 {
			calls.Go(func() {
				if _, err := rpcx.CallUnary(t.Context(), conn, echoUnary, wrapperspb.String("x")); err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(time.Millisecond)
		if err := srv.Shutdown(t.Context()); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		calls.Wait()
		if strings.Contains(log.String(), "error=") {
			t.Errorf("logged %s", log)
		}
	})
}

// slowConn takes a little every now and then, or, once it is deaf, nothing.
type slowConn struct {
	net.Conn
	deaf   atomic.Bool
	closed chan struct{}
	once   sync.Once
}

func (c *slowConn) Read(b []byte) (int, error) {
	if c.deaf.Load() {
		<-c.closed
	}
	time.Sleep(100 * time.Millisecond)
	return c.Conn.Read(b[:min(len(b), 1<<10)])
}

func (c *slowConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// TestTLSSlowPeer: a peer that takes a little all the time has not stalled. One
// that takes nothing does not hold up the end of the server.
func TestTLSSlowPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 256 << 10
		server, client := tlsPair(t, certstest.NewCA(t, "ca"), certstest.Leaf{Hosts: []string{"echo"}})
		var nc *slowConn
		network := &rpcxtest.Network{Buffer: 4 << 10, WrapDial: func(c *rpcxtest.Conn) net.Conn {
			nc = &slowConn{Conn: c, closed: make(chan struct{})}
			return nc
		}}
		e := &echo{unary: func(context.Context, *text) (*text, error) {
			return wrapperspb.String(strings.Repeat("x", size)), nil
		}}
		srv := rpcx.NewServer(rpcx.WithTLS(server), rpcx.WithWriteStall(time.Second))
		e.register(srv)
		go srv.Serve(network.Listener())
		conn, err := rpcx.Dial("echo:7000", rpcx.WithDialer(network.Dial), rpcx.WithTLS(client))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if res, err := rpcx.CallUnary(t.Context(), conn, echoUnary, wrapperspb.String("")); err != nil || len(res.GetValue()) != size {
			t.Errorf("slow: got %d bytes, %v", len(res.GetValue()), err)
		}
		nc.deaf.Store(true)
		failed := make(chan error, 1)
		go func() {
			_, err := rpcx.CallUnary(t.Context(), conn, echoUnary, wrapperspb.String(""))
			failed <- err
		}()
		time.Sleep(500 * time.Millisecond)
		start := time.Now()
		srv.Close()
		if took := time.Since(start); took > 200*time.Millisecond {
			t.Errorf("Close takes %v", took)
		}
		conn.Close()
		wantCode(t, <-failed, status.Unavailable, "")
	})
}

// TestTLSHandshakeTimeout: the TLS handshake and the protocol's beginning share
// one timeout.
func TestTLSHandshakeTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := tlsPair(t, certstest.NewCA(t, "ca"), certstest.Leaf{Hosts: []string{"echo"}})
		client.ServerName, client.NextProtos = "echo", []string{"rpcx/1"}
		_, _, network := inMemory(t, &echo{}, []rpcx.ServerOption{rpcx.WithTLS(server)}, nil)
		start := time.Now()
		nc, err := network.Dial(t.Context(), "tcp", "echo:7000")
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		time.Sleep(4 * time.Second)
		secured := tls.Client(nc, client)
		if err := secured.Handshake(); err != nil {
			t.Fatal(err)
		}
		if n, err := secured.Read(make([]byte, 1)); err == nil {
			t.Errorf("the server sends %d bytes", n)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("the connection was closed after %v, want 5s", took)
		}
	})
}

// TestTLSCloseWrite: an end that closes its direction does so below TLS, too.
func TestTLSCloseWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := tlsPair(t, certstest.NewCA(t, "ca"), certstest.Leaf{Hosts: []string{"echo"}})
		client.ServerName, client.NextProtos = "echo", []string{"rpcx/1"}
		_, _, network := inMemory(t, &echo{}, []rpcx.ServerOption{rpcx.WithTLS(server)}, nil)
		nc, err := network.Dial(t.Context(), "tcp", "echo:7000")
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		start := time.Now()
		secured := tls.Client(nc, client)
		if _, err := secured.Write([]byte("\xfbRPX\r\n\x1a\x01" + strings.Repeat("x", 24))); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(secured)
		if err != nil || len(answer) == 0 {
			t.Errorf("the server answers %q, %v, want GOAWAY and close_notify", answer, err)
		}
		if n, err := nc.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("below TLS: got %d bytes, %v, want the end", n, err)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("the end came after %v", took)
		}
	})
}

// TestTLSFilesResume: no session outlives what a client's certificate was
// verified with.
func TestTLSFilesResume(t *testing.T) {
	files, ca := pem{t, t.TempDir()}, certstest.NewCA(t, "ca")
	files.trust(ca)
	files.put("server", ca, certstest.Leaf{})
	_, client := tlsPair(t, ca, certstest.Leaf{})
	client.Certificates = []tls.Certificate{ca.Pair(t, certstest.Leaf{})}
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	seen := make(peers, 1)
	conn, _ := startWith(t, &echo{unary: seen.handler}, []rpcx.ServerOption{files.option("server")}, []rpcx.DialOption{rpcx.WithTLS(client), rpcx.WithShortConnections()})
	for range 3 {
		if _, err := kinds["Unary"](t.Context(), conn); err != nil {
			t.Fatal(err)
		}
		if (<-seen).TLS.DidResume {
			t.Error("a session was resumed")
		}
	}
}
