package httpclient_test

import (
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"

	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/codec/jsoncodec"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxhttp"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// TestRequests: what options say is what is sent.
func TestRequests(t *testing.T) {
	var mu sync.Mutex
	var last *http.Request
	mux := http.NewServeMux()
	connecthttp.Mount(mux, theirs())
	target := serveHTTP(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		last = r.Clone(t.Context())
		mu.Unlock()
		http.StripPrefix("/rpc/v1", mux).ServeHTTP(w, r)
	}))
	url := "http://" + target + "/rpc/v1/"
	get, both := rpcxhttp.WithGet(50), []rpcxhttp.ClientOption{rpcxhttp.WithGet(0), rpcxhttp.WithHTTP2()}
	for name, test := range map[string]struct {
		opts []rpcx.DialOption
		// What is expected.
		method, contentType, host string
		http2                     bool
	}{
		"connect":  {opts: []rpcx.DialOption{rpcxhttp.WithConnect()}, method: "POST", contentType: "application/proto"},
		"json":     {opts: []rpcx.DialOption{rpcxhttp.WithConnect(), rpcx.WithCodec(jsoncodec.Codec)}, method: "POST", contentType: "application/json"},
		"long get": {opts: []rpcx.DialOption{rpcxhttp.WithConnect(get)}, method: "POST", contentType: "application/proto"},
		"get":      {opts: []rpcx.DialOption{rpcxhttp.WithConnect(both...)}, method: "GET", http2: true},
		"grpc":     {opts: []rpcx.DialOption{rpcxhttp.WithGRPC()}, method: "POST", contentType: "application/grpc", http2: true},
		"grpc json": {
			opts: []rpcx.DialOption{rpcxhttp.WithGRPC(rpcxhttp.WithHTTP1()), rpcx.WithCodec(jsoncodec.Codec)}, method: "POST",
			contentType: "application/grpc+json", http2: true,
		},
		"grpcweb": {opts: []rpcx.DialOption{rpcxhttp.WithGRPCWeb()}, method: "POST", contentType: "application/grpc-web+proto"},
		"host":    {opts: []rpcx.DialOption{rpcxhttp.WithConnect(rpcxhttp.WithHost("api.example.com"))}, method: "POST", contentType: "application/proto", host: "api.example.com"},
		"the last option counts": {
			opts: []rpcx.DialOption{rpcxhttp.WithGRPC(), rpcxhttp.WithConnect()}, method: "POST", contentType: "application/proto",
		},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := rpcx.Dial(url, test.opts...)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := rpcx.CallUnary(t.Context(), conn, echoRead, wrapperspb.String("a")); err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if test.host == "" {
				test.host = target
			}
			if last.Method != test.method || last.Header.Get("Content-Type") != test.contentType || last.Host != test.host || (last.ProtoMajor == 2) != test.http2 {
				t.Errorf("%s %s %s, %s, %q", last.Method, last.Host, last.URL.Path, last.Proto, last.Header.Get("Content-Type"))
			}
		})
	}
}

// TestUnixSocket: a socket is private, and its host is the local one.
func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := rpcx.NewServer(rpcxhttp.WithHTTP())
	ours{}.register(srv)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	defer func() {
		srv.Close()
		if err := <-served; !errors.Is(err, rpcx.ErrServerClosed) {
			t.Error(err)
		}
	}()
	for _, opt := range []rpcx.DialOption{rpcxhttp.WithConnect(), rpcxhttp.WithGRPC()} {
		conn, err := rpcx.Dial("unix://"+path, opt)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := rpcx.CallUnary(t.Context(), conn, echoUnary, wrapperspb.String("a"), rpcx.WithCredentials(token{secure: true})); err != nil {
			t.Error(err)
		}
		conn.Close()
	}
}

// TestConnections: as many as options say.
func TestConnections(t *testing.T) {
	target := serveOurs(t, false)
	for name, test := range map[string]struct {
		opts []rpcx.DialOption
		want int // connections for 12 calls, one after the other
	}{
		"HTTP/1.1":          {[]rpcx.DialOption{rpcxhttp.WithConnect()}, 1},
		"HTTP/1.1, short":   {[]rpcx.DialOption{rpcxhttp.WithConnect(), rpcx.WithShortConnections()}, 12},
		"HTTP/1.1, pooled":  {[]rpcx.DialOption{rpcxhttp.WithConnect(), rpcx.WithPooledConnections(1)}, 1},
		"HTTP/2":            {[]rpcx.DialOption{rpcxhttp.WithGRPC()}, 1},
		"HTTP/2, several":   {[]rpcx.DialOption{rpcxhttp.WithGRPC(), rpcx.WithConnections(3)}, 3},
		"HTTP/2, short":     {[]rpcx.DialOption{rpcxhttp.WithGRPC(), rpcx.WithShortConnections()}, 12},
		"HTTP/2, pooled":    {[]rpcx.DialOption{rpcxhttp.WithGRPC(), rpcx.WithPooledConnections(1)}, 1},
		"HTTP/1.1, several": {[]rpcx.DialOption{rpcxhttp.WithConnect(), rpcx.WithConnections(3)}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var r recorder
			conn, err := rpcx.Dial(target, append(test.opts, rpcx.WithObserver(&r))...)
			if err != nil {
				t.Fatal(err)
			}
			for range 6 {
				if _, err := rpcx.CallUnary(t.Context(), conn, echoUnary, wrapperspb.String("a")); err != nil {
					t.Error(err)
				}
				// A failure does not cost a connection.
				if _, err := rpcx.CallUnary(t.Context(), conn, echoUnary, wrapperspb.String(wordFail)); status.CodeOf(err) != status.FailedPrecondition {
					t.Error(err)
				}
			}
			conn.Close()
			if len(r.opened) != test.want || len(r.closed) != test.want {
				t.Errorf("%d connections opened, %d closed, want %d", len(r.opened), len(r.closed), test.want)
			}
		})
	}
}
