package rpcx_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/certs/certstest"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// logbook keeps what is logged.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// option has everything logged, debug level included.
func (l *logbook) option() rpcx.Option {
	return rpcx.WithLogger(slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug})))
}

// tlsPair returns what both sides need to trust ca, and the server's certificate.
func tlsPair(t *testing.T, ca *certstest.CA, leaf certstest.Leaf) (server, client *tls.Config) {
	t.Helper()
	return &tls.Config{Certificates: []tls.Certificate{ca.Pair(t, leaf)}}, &tls.Config{RootCAs: ca.Pool()}
}

// peers collects what handlers know of their callers.
type peers chan call.Peer

func (p peers) handler(ctx context.Context, req *text) (*text, error) {
	peer, _ := rpcx.PeerFromContext(ctx)
	p <- peer
	return req, nil
}

func TestTLS(t *testing.T) {
	server, client := tlsPair(t, certstest.NewCA(t, "ca"), certstest.Leaf{Name: "srv"})
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			client := client.Clone()
			client.MaxVersion = version
			client.NextProtos = []string{"h2"} // has no say
			seen := make(peers, 1)
			var here call.Peer
			conn, _ := startWith(t, &echo{unary: seen.handler},
				[]rpcx.ServerOption{rpcx.WithTLS(server)},
				[]rpcx.DialOption{rpcx.WithTLS(client), rpcx.WithObserver(attempts(func(p call.Peer) { here = p }))})
			want := strings.Repeat("x", 1<<20)
			res, err := rpcx.CallUnary(t.Context(), conn, echoUnary, wrapperspb.String(want))
			if err != nil || res.GetValue() != want {
				t.Fatalf("a call of 1 MiB: %v", err)
			}
			there := <-seen
			for side, p := range map[string]call.Peer{"server": there, "client": here} {
				if p.TLS == nil || !p.Secure || p.TLS.NegotiatedProtocol != "rpcx/1" || p.TLS.Version != version {
					t.Errorf("%s: got peer %+v, want %s and rpcx/1", side, p, tls.VersionName(version))
				}
			}
			if name := here.TLS.PeerCertificates[0].Subject.CommonName; name != "srv" {
				t.Errorf("the client sees certificate %q", name)
			}
			for _, name := range []string{"Inline", "Split", "Join", "Bidi"} {
				if got, err := kinds[name](t.Context(), conn); err != nil || got != "a b" {
					t.Errorf("%s: got %q, %v", name, got, err)
				}
			}
			if client.NextProtos[0] != "h2" || client.ServerName != "" || server.NextProtos != nil {
				t.Error("a config that was given was changed")
			}
		})
	}
}

// attempts is an observer that is told where each attempt goes.
func attempts(f func(call.Peer)) call.Observer { return &attemptObserver{f: f} }

type attemptObserver struct {
	call.NopObserver
	f func(call.Peer)
}

func (o *attemptObserver) AttemptStarted(info call.Info) { o.f(info.Peer) }

func TestTLSUnixSocket(t *testing.T) {
	ca := certstest.NewCA(t, "ca")
	server, client := tlsPair(t, ca, certstest.Leaf{Hosts: []string{"localhost"}})
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	srv := rpcx.NewServer(rpcx.WithTLS(server))
	seen := make(peers, 1)
	(&echo{unary: seen.handler}).register(srv)
	go srv.Serve(l)
	defer srv.Close()
	conn, err := rpcx.Dial("unix://"+l.Addr().String(), rpcx.WithTLS(client))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := kinds["Unary"](t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	if p := <-seen; p.TLS == nil {
		t.Error("a TLS server was called over a plain Unix socket")
	}
}

// serveTLS serves with options and returns the address and what is logged.
func serveTLS(t *testing.T, opts ...rpcx.ServerOption) (addr string, log *logbook, srv *rpcx.Server) {
	t.Helper()
	log = new(logbook)
	conn, srv := startWith(t, &echo{}, append(opts, log.option()), nil)
	return conn.Target(), log, srv
}

// TestTLSRefusals: what a TLS server does not let in, and says about it.
func TestTLSRefusals(t *testing.T) {
	server, client := tlsPair(t, certstest.NewCA(t, "ca"), certstest.Leaf{})
	client.ServerName = "localhost"
	// handshake returns an exchange that begins with a TLS handshake.
	handshake := func(protos []string, version uint16) func(net.Conn) error {
		return func(nc net.Conn) error {
			cfg := client.Clone()
			cfg.NextProtos, cfg.MinVersion, cfg.MaxVersion = protos, tls.VersionTLS10, version
			c := tls.Client(nc, cfg)
			if err := c.Handshake(); err != nil {
				return err
			}
			_, err := io.ReadAll(c)
			if err == nil {
				err = io.EOF
			}
			return err
		}
	}
	send := func(s string) func(net.Conn) error {
		return func(nc net.Conn) error {
			if _, err := io.WriteString(nc, s); err != nil {
				return err
			}
			answer, err := io.ReadAll(nc)
			if len(answer) > 0 {
				t.Errorf("the server answers %q", answer)
			}
			if err == nil {
				err = io.EOF
			}
			return err
		}
	}
	for name, test := range map[string]struct {
		do            func(net.Conn) error
		client, debug string
	}{
		"native":  {send("\xfbRPX\r\n\x1a\x01" + strings.Repeat("\x00", 24)), "", `\\xfbRPX`},
		"HTTP":    {send("GET / HTTP/1.1\r\n\r\n"), "", "that is HTTP without TLS"},
		"PROXY":   {send("PROXY UNKNOWN\r\n"), "", "option WithProxyProtocol"},
		"silence": {send(""), "", "timeout"},
		"no ALPN": {handshake(nil, 0), "EOF", `did not ask for protocol \"rpcx/1\"`},
		"h2":      {handshake([]string{"h2"}, 0), "no application protocol", "unsupported application protocols"},
		"TLS 1.1": {handshake([]string{"rpcx/1"}, tls.VersionTLS11), "protocol version", "unsupported versions"},
		"cut":     {func(nc net.Conn) error { nc.Write([]byte("\x16\x03\x01\x02\x00\x01")); nc.Close(); return nil }, "", "TLS handshake"},
		"bad hello": {func(nc net.Conn) error {
			nc.Write([]byte("\x16\x03\x01\x00\x04\x01\x00\x00\x00"))
			io.ReadAll(nc)
			return nil
		}, "", "TLS handshake"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limit := time.Minute
			if name == "silence" {
				limit = 200 * time.Millisecond
			}
			addr, log, srv := serveTLS(t, rpcx.WithTLS(server), rpcx.WithHandshakeTimeout(limit))
			nc, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			nc.SetDeadline(time.Now().Add(2 * time.Minute))
			if err := test.do(nc); test.client != "" && (err == nil || !strings.Contains(err.Error(), test.client)) {
				t.Errorf("the client sees %v, want %q", err, test.client)
			}
			srv.Close()
			for _, want := range []string{"level=DEBUG", "connection refused", "peer=" + nc.LocalAddr().String(), test.debug} {
				if !strings.Contains(log.String(), want) {
					t.Errorf("logged %s want %q", log, want)
				}
			}
		})
	}
}

// TestTLSClientErrors: why a client does not take a server, in words.
func TestTLSClientErrors(t *testing.T) {
	ca, other := certstest.NewCA(t, "the CA"), certstest.NewCA(t, "another CA")
	good, client := tlsPair(t, ca, certstest.Leaf{})
	expired, _ := tlsPair(t, ca, certstest.Leaf{Expired: true})
	elsewhere, _ := tlsPair(t, ca, certstest.Leaf{Hosts: []string{"elsewhere.test"}})
	foreign, _ := tlsPair(t, other, certstest.Leaf{})
	listen := func(protos ...string) func(t *testing.T) string {
		return func(t *testing.T) string {
			cfg := good.Clone()
			cfg.NextProtos = protos
			return accept(t, func(nc net.Conn) {
				c := tls.Server(nc, cfg)
				c.Handshake()
				io.Copy(io.Discard, c)
			})
		}
	}
	rpc := func(opts ...rpcx.ServerOption) func(t *testing.T) string {
		return func(t *testing.T) string { addr, _, _ := serveTLS(t, opts...); return addr }
	}
	for name, test := range map[string]struct {
		serve func(t *testing.T) string
		want  string
	}{
		"unknown CA":   {rpc(rpcx.WithTLS(foreign)), "certificate signed by unknown authority"},
		"expired":      {rpc(rpcx.WithTLS(expired)), "certificate has expired"},
		"other name":   {rpc(rpcx.WithTLS(elsewhere)), "127.0.0.1"},
		"plain server": {rpc(), "may not speak TLS"},
		"no ALPN":      {listen(), `the server does not speak "rpcx/1": it chose protocol ""`},
		"HTTP/2 only":  {listen("h2"), `"rpcx/1": remote error: tls: no application protocol`},
		"HTTP answer": {func(t *testing.T) string {
			return accept(t, func(nc net.Conn) { io.WriteString(nc, "HTTP/1.1 400 Bad Request\r\n\r\n"); io.Copy(io.Discard, nc) })
		}, "that is HTTP without TLS"},
		"silence": {func(t *testing.T) string {
			return accept(t, func(nc net.Conn) { io.Copy(io.Discard, nc) })
		}, "deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limit := time.Minute
			if name == "silence" {
				limit = 300 * time.Millisecond
			}
			conn, err := rpcx.Dial(test.serve(t), rpcx.WithTLS(client), rpcx.WithDialTimeout(limit))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, err = kinds["Unary"](t.Context(), conn)
			wantCode(t, err, status.Unavailable, test.want)
			if e := status.FromError(err); !e.NotRun() || !strings.Contains(err.Error(), "TLS handshake") {
				t.Errorf("got %v, NotRun %v", err, e.NotRun())
			}
		})
	}
}

// accept serves raw connections until the test ends.
func accept(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer nc.Close(); serve(nc) })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String()
}

func TestMutualTLS(t *testing.T) {
	ca, other := certstest.NewCA(t, "the CA"), certstest.NewCA(t, "another CA")
	server, client := tlsPair(t, ca, certstest.Leaf{})
	server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool()
	for name, test := range map[string]struct {
		certificates  []tls.Certificate
		client, debug string
	}{
		"verified":   {[]tls.Certificate{ca.Pair(t, certstest.Leaf{Name: "billing"})}, "", ""},
		"none":       {nil, "certificate required", "client didn't provide a certificate"},
		"expired":    {[]tls.Certificate{ca.Pair(t, certstest.Leaf{Expired: true})}, "expired certificate", "certificate has expired"},
		"unknown CA": {[]tls.Certificate{other.Pair(t, certstest.Leaf{})}, "certificate required", "client didn't provide a certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := client.Clone()
			client.Certificates = test.certificates
			seen := make(peers, 1)
			log := new(logbook)
			conn, srv := startWith(t, &echo{unary: seen.handler}, []rpcx.ServerOption{rpcx.WithTLS(server), log.option()}, []rpcx.DialOption{rpcx.WithTLS(client)})
			_, err := kinds["Unary"](t.Context(), conn)
			if test.client == "" {
				if err != nil {
					t.Fatal(err)
				}
				peer := <-seen
				if got := peer.TLS.VerifiedChains[0][0].Subject.CommonName; got != "billing" || !peer.Secure {
					t.Errorf("the handler sees %q", got)
				}
				return
			}
			wantCode(t, err, status.Unavailable, test.client)
			if !status.FromError(err).NotRun() {
				t.Errorf("%v: want NotRun", err)
			}
			srv.Close()
			if !strings.Contains(log.String(), test.debug) {
				t.Errorf("logged %s want %q", log, test.debug)
			}
		})
	}
}

// TestTLSAlertArrives: a server that refuses a certificate reads on, so that
// what the client has sent meanwhile does not destroy the alert that says why.
func TestTLSAlertArrives(t *testing.T) {
	ca := certstest.NewCA(t, "ca")
	server, client := tlsPair(t, ca, certstest.Leaf{})
	server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool()
	client.ServerName, client.NextProtos = "localhost", []string{"rpcx/1"}
	addr, _, _ := serveTLS(t, rpcx.WithTLS(server))
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	secured := tls.Client(nc, client)
	if err := secured.Handshake(); err != nil {
		t.Fatal(err)
	}
	if _, err := secured.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("got %v, want an alert", err)
	}
	for range 32 {
		if _, err := nc.Write(make([]byte, 1<<10)); err != nil {
			t.Fatalf("the server has closed the connection at once: %v", err)
		}
	}
}

// secret is credentials that are for secure connections only.
type secret struct{}

func (secret) Metadata(context.Context, *call.Method) (metadata.MD, error) {
	return metadata.Pairs("authorization", "secret"), nil
}
func (secret) RequireSecure() bool { return true }

func TestTLSCredentials(t *testing.T) {
	server, client := tlsPair(t, certstest.NewCA(t, "ca"), certstest.Leaf{})
	got := make(chan string, 1)
	e := &echo{unary: func(ctx context.Context, req *text) (*text, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		got <- md.Get("authorization")
		return req, nil
	}}
	conn, _ := startWith(t, e, []rpcx.ServerOption{rpcx.WithTLS(server)}, []rpcx.DialOption{rpcx.WithTLS(client)})
	if _, err := kinds["Unary"](t.Context(), conn, rpcx.WithCredentials(secret{})); err != nil || <-got != "secret" {
		t.Errorf("over TLS: %v", err)
	}
	plain, _ := start(t, e)
	_, err := kinds["Unary"](t.Context(), plain, rpcx.WithCredentials(secret{}))
	wantCode(t, err, status.Unauthenticated, "secure")
}

// TestTLSListener: a listener of the user's that yields TLS connections.
func TestTLSListener(t *testing.T) {
	server, client := tlsPair(t, certstest.NewCA(t, "ca"), certstest.Leaf{})
	server.NextProtos = []string{"rpcx/1"}
	l, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(peers, 1)
	srv := rpcx.NewServer()
	(&echo{unary: seen.handler}).register(srv)
	go srv.Serve(l)
	defer srv.Close()
	conn, err := rpcx.Dial(l.Addr().String(), rpcx.WithTLS(client))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := kinds["Unary"](t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	if p := <-seen; !p.Secure || p.TLS == nil {
		t.Errorf("the handler sees %+v, want it to be secure", p)
	}
}

// TestSlowHandshake: clients that connect and say nothing hold up neither
// others nor the end of the server.
func TestSlowHandshake(t *testing.T) {
	server, client := tlsPair(t, certstest.NewCA(t, "ca"), certstest.Leaf{})
	conn, srv := startWith(t, &echo{}, []rpcx.ServerOption{rpcx.WithTLS(server), rpcx.WithHandshakeTimeout(0)}, []rpcx.DialOption{rpcx.WithTLS(client)})
	var slow []net.Conn
	for range 50 {
		nc, err := net.Dial("tcp", conn.Target())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		slow = append(slow, nc)
	}
	if _, err := kinds["Unary"](t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	for _, nc := range slow {
		nc.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := nc.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a slow client reads %v, want the end", err)
		}
	}
}

// TestTLSMaxConnections: connections in their handshake count.
func TestTLSMaxConnections(t *testing.T) {
	server, client := tlsPair(t, certstest.NewCA(t, "ca"), certstest.Leaf{})
	entered, leave := make(chan struct{}), make(chan struct{})
	server.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		close(entered)
		<-leave
		return nil, nil
	}
	log := new(logbook)
	conn, srv := startWith(t, &echo{}, []rpcx.ServerOption{rpcx.WithTLS(server), rpcx.WithMaxConnections(1), log.option()}, []rpcx.DialOption{rpcx.WithTLS(client)})
	first, err := net.Dial("tcp", conn.Target())
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	go tls.Client(first, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"rpcx/1"}}).Handshake()
	<-entered
	_, err = kinds["Unary"](t.Context(), conn)
	close(leave)
	wantCode(t, err, status.Unavailable, "TLS handshake")
	srv.Close()
	if !strings.Contains(log.String(), "option WithMaxConnections") {
		t.Errorf("logged %s", log)
	}
}
