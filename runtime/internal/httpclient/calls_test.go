package httpclient_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxhttp"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// skipped reports whether the server refuses the kind over this way.
func (w way) skips(kind string) bool { return w.noBidi && kind == "Bidi" }

// TestErrors: code, message and details arrive, and the metadata beside them.
func TestErrors(t *testing.T) {
	each(t, func(t *testing.T, w way, s server) {
		conn := w.dial(t, s(t, w.secure))
		for name, do := range kinds {
			if w.skips(name) {
				continue
			}
			var trailer metadata.MD
			_, err := do(t.Context(), conn, wordFail, rpcx.Trailer(&trailer))
			e := status.FromError(err)
			if e.Code() != status.FailedPrecondition || e.Message() != "as asked: é%\n" || e.NotRun() || e.DoNotRetry() {
				t.Errorf("%s: got %v", name, err)
			}
			if d, ok := status.DetailAs[*durationpb.Duration](err); !ok || d.AsDuration() != 7 {
				t.Errorf("%s: detail %v, %v", name, d, ok)
			}
			if trailer.Get(trailerKey) != trailerValue {
				t.Errorf("%s: trailers %v", name, trailer)
			}
		}
	})
}

// TestMetadata: what the server sets arrives, beside nothing but what servers add
// of their own.
func TestMetadata(t *testing.T) {
	each(t, func(t *testing.T, w way, s server) {
		conn := w.dial(t, s(t, w.secure))
		for name, do := range kinds {
			if w.skips(name) {
				continue
			}
			var header, trailer metadata.MD
			if _, err := do(t.Context(), conn, "a", rpcx.Header(&header), rpcx.Trailer(&trailer)); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if header.Get(headerKey) != headerValue || header.Get(binaryKey) != binaryValue {
				t.Errorf("%s: headers %v", name, header)
			}
			for _, p := range header {
				if p.Key != headerKey && p.Key != binaryKey && p.Key != "vary" {
					t.Errorf("%s: headers have %q, which nobody set", name, p)
				}
			}
			if len(trailer) != 1 || trailer.Get(trailerKey) != trailerValue {
				t.Errorf("%s: trailers %v", name, trailer)
			}
		}
	})
}

// TestRequestMetadata: what the caller says arrives as it was, and what cannot
// travel fails the call before anything is sent.
func TestRequestMetadata(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			var seen metadata.MD
			target := serveOurs(t, w.secure, rpcx.WithInterceptors(func(ctx context.Context, c *call.Call, next call.Next) error {
				seen = c.RequestHeader().Clone()
				if c.Peer().Protocol == "rpcx" {
					t.Error("the call came over the native protocol")
				}
				return next(ctx, c)
			}))
			conn := w.dial(t, target)
			for name, do := range kinds {
				md := metadata.Pairs("a", "1", "a", "2", "b-bin", "\x00,\xff", "c", "x, y")
				if _, err := do(t.Context(), conn, "a", rpcx.WithMetadata(md)); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				for _, key := range []string{"a", "b-bin", "c"} {
					if got, want := strings.Join(seen.Values(key), "|"), strings.Join(md.Values(key), "|"); got != want {
						t.Errorf("%s: %s: got %q, want %q", name, key, got, want)
					}
				}
				for _, p := range seen {
					if strings.HasPrefix(p.Key, "connect-") || strings.HasPrefix(p.Key, "grpc-") {
						t.Errorf("%s: the server's code sees %q", name, p)
					}
				}
				for _, bad := range []metadata.MD{{{Key: "rpcx-x", Value: "1"}}, {{Key: "a", Value: "x\x01"}}, {{Key: "a", Value: " x"}}} {
					_, err := do(t.Context(), conn, "a", rpcx.WithMetadata(bad))
					if e := status.FromError(err); e.Code() != status.InvalidArgument || !e.NotRun() {
						t.Errorf("%s: %q: got %v", name, bad, err)
					}
				}
			}
		})
	}
}

// TestClass: so does what he states of the call's importance; bad values are refused.
func TestClass(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			var seen call.Class
			target := serveOurs(t, w.secure, rpcx.WithInterceptors(func(ctx context.Context, c *call.Call, next call.Next) error {
				seen = c.Class()
				return next(ctx, c)
			}))
			conn := w.dial(t, target)
			for name, do := range kinds {
				if _, err := do(t.Context(), conn, "a", rpcx.WithPriority(6), rpcx.WithLane(2)); err != nil || seen != (call.Class{Priority: 6, Lane: 2}) {
					t.Errorf("%s: got %v, %v", name, seen, err)
				}
				if _, err := do(t.Context(), conn, "a"); err != nil || seen != (call.Class{}) {
					t.Errorf("%s without: got %v, %v", name, seen, err)
				}
			}
		})
	}
	target := serveOurs(t, false)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+target+"/"+service+"/Unary", strings.NewReader(`"x"`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Rpcx-Priority", "8")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusBadRequest || !strings.Contains(string(b), `invalid_argument`) || !strings.Contains(string(b), "Rpcx-Priority") {
		t.Errorf("got %s %s, %v", res.Status, b, err)
	}
}

// TestDeadlines: they end the call here, and are known there.
func TestDeadlines(t *testing.T) {
	cert, trust := serverCert(), clientTLS() // which use the real network
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := rpcxtest.NewNetwork()
				sopts := []rpcx.ServerOption{rpcxhttp.WithHTTP()}
				dopts := []rpcx.DialOption{w.opt, rpcx.WithDialer(network.Dial)}
				if w.secure {
					sopts = append(sopts, rpcx.WithTLS(&tls.Config{Certificates: cert}))
					dopts = append(dopts, rpcx.WithTLS(trust))
				}
				srv := rpcx.NewServer(sopts...)
				ours{}.register(srv)
				l, served := network.Listener(), make(chan error, 1)
				go func() { served <- srv.Serve(l) }()
				conn, err := rpcx.Dial("example.com:443", dopts...)
				if err != nil {
					t.Fatal(err)
				}
				for name, do := range kinds {
					testDeadlines(t, name, func(ctx context.Context, first string, opts ...rpcx.CallOption) error {
						_, err := do(ctx, conn, first, opts...)
						return err
					})
				}
				conn.Close()
				srv.Close()
				<-served
			})
		})
	}
}

func testDeadlines(t *testing.T, name string, do func(ctx context.Context, first string, opts ...rpcx.CallOption) error) {
	start := time.Now()
	err := do(t.Context(), wordWait, rpcx.WithTimeout(time.Second))
	if e := status.FromError(err); e.Code() != status.DeadlineExceeded || e.NotRun() || e.Phase() < status.PhaseHandler {
		t.Errorf("%s: got %v, phase %v", name, err, e.Phase())
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err = do(ctx, wordWait)
	if e := status.FromError(err); e.Code() != status.DeadlineExceeded || e.NotRun() {
		t.Errorf("%s: got %v", name, err)
	}
	if took := time.Since(start); took < 2*time.Second || took > 2100*time.Millisecond {
		t.Errorf("%s: took %v", name, took)
	}
	err = do(t.Context(), "a", rpcx.WithTimeout(0))
	if e := status.FromError(err); e.Code() != status.DeadlineExceeded || !e.NotRun() {
		t.Errorf("%s without time: got %v", name, err)
	}
	if err := do(t.Context(), "a"); err != nil {
		t.Errorf("%s afterwards: %v", name, err)
	}
}

// TestCancels: the caller may give up at any time, and the handler is told, over
// HTTP/1.1 when it receives.
func TestCancels(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			started, ended := make(chan struct{}, 1), make(chan error, len(kinds))
			target := serveOurs(t, w.secure, rpcx.WithInterceptors(func(ctx context.Context, c *call.Call, next call.Next) error {
				started <- struct{}{}
				err := next(ctx, c)
				ended <- err
				return err
			}))
			conn := w.dial(t, target)
			for name, do := range kinds {
				ctx, cancel := context.WithCancel(t.Context())
				go func() {
					<-started
					cancel()
				}()
				_, err := do(ctx, conn, wordWait)
				if status.CodeOf(err) != status.Canceled {
					t.Errorf("%s: got %v", name, err)
				}
				if w.http1 && (name == "Join" || name == "Bidi") {
					continue
				}
				if err := <-ended; status.CodeOf(err) != status.Canceled {
					t.Errorf("%s: the handler saw %v", name, err)
				}
				if _, err := do(ctx, conn, "a"); status.CodeOf(err) != status.Canceled || !status.FromError(err).NotRun() {
					t.Errorf("%s with a context that is done: got %v", name, err)
				}
			}
		})
	}
}

// TestGivenUpAtOnce: a stream may be closed while its request begins. The race
// detector looks on.
func TestGivenUpAtOnce(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			conn := w.dial(t, serveOurs(t, w.secure))
			md := metadata.Pairs("x-a", "1", "x-b", "2", "x-c", "3", "x-d", "4")
			for range 100 {
				ctx := metadata.NewOutgoingContext(t.Context(), md)
				s, err := rpcx.CallServerStream(ctx, conn, echoSplit, wrapperspb.String(wordWait))
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				if _, err := s.Recv(); status.CodeOf(err) != status.Canceled {
					t.Fatalf("got %v", err)
				}
			}
		})
	}
}

// TestLimits: what is too large is refused on the side that receives it.
func TestLimits(t *testing.T) {
	each(t, func(t *testing.T, w way, s server) {
		conn := w.dial(t, s(t, w.secure), rpcx.WithMaxMessageSize(64<<10))
		for name, do := range kinds {
			if w.skips(name) {
				continue
			}
			_, err := do(t.Context(), conn, strings.Repeat("x", 70_000))
			e := status.FromError(err)
			if e.Code() != status.ResourceExhausted || !strings.Contains(e.Message(), "WithMaxMessageSize") || e.NotRun() {
				t.Errorf("%s: got %v", name, err)
			}
		}
	})
}

// TestMetadataLimit: so are the server's metadata.
func TestMetadataLimit(t *testing.T) {
	large := strings.Repeat("x", 9<<10)
	places := map[string]func(*connect.CallInfo) *connect.Header{"header": (*connect.CallInfo).ResponseHeader, "trailer": (*connect.CallInfo).ResponseTrailer}
	for place, header := range places {
		what := theirs(func(next connect.ServerFunc) connect.ServerFunc {
			return func(ctx context.Context, spec connect.Spec, s connect.ServerStream) error {
				info, _ := connect.CallInfoForServerContext(ctx)
				header(info).Set("X-Large", large)
				return next(ctx, spec, s)
			}
		})
		for _, w := range ways {
			t.Run(place+"/"+w.name, func(t *testing.T) {
				target := serveTheirs(t, w.secure, what)
				w.noBidi = w.http1
				for limit, want := range map[int]status.Code{8 << 10: status.ResourceExhausted, 16 << 10: status.OK} {
					conn := w.dial(t, target, rpcx.WithMaxMetadataSize(limit))
					for name, do := range kinds {
						if _, err := do(t.Context(), conn, "a"); !w.skips(name) && status.CodeOf(err) != want {
							t.Errorf("%s with a limit of %d: got %v", name, limit, err)
						}
					}
				}
			})
		}
	}
}

// TestCompression: both ways, with all that HTTP knows.
func TestCompression(t *testing.T) {
	long := strings.Repeat("x", 50_000)
	for _, name := range []string{"gzip", "zstd"} {
		for _, w := range ways {
			t.Run(name+"/"+w.name, func(t *testing.T) {
				var n recorder
				conn := w.dial(t, serveOurs(t, w.secure), rpcx.WithCompression(name, 100), rpcx.WithObserver(&n))
				for kind, do := range kinds {
					if got, err := do(t.Context(), conn, long); err != nil || got != long+" b" {
						t.Errorf("%s: got %d bytes, %v", kind, len(got), err)
					}
				}
				conn.Close()
				for _, r := range n.results() {
					if r.BytesReceived > 1000 || r.BytesReceived == 0 {
						t.Errorf("received %d bytes", r.BytesReceived)
					}
				}
			})
		}
	}
	if _, err := rpcx.Dial("localhost:1", rpcxhttp.WithConnect(), rpcx.WithCompression("s2", 0)); err == nil || !strings.Contains(err.Error(), `no compression "s2"`) {
		t.Errorf("s2: %v", err)
	}
}

// TestAdvice: what a server says of sending a call again is understood.
func TestAdvice(t *testing.T) {
	said := map[string]*status.Error{
		"not run":    status.New(status.Unavailable, "x").WithNotRun(),
		"later":      status.New(status.ResourceExhausted, "x").WithRetryAfter(1500 * time.Millisecond),
		"never":      status.New(status.Aborted, "x").WithDoNotRetry(),
		"both":       status.New(status.Unavailable, "x").WithNotRun().WithRetryAfter(0),
		"no details": status.New(status.NotFound, ""),
	}
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			var want *status.Error
			conn := w.dial(t, serveOurs(t, w.secure, rpcx.WithInterceptors(func(context.Context, *call.Call, call.Next) error { return want })))
			for name, e := range said {
				want = e
				for kind, do := range kinds {
					_, err := do(t.Context(), conn, "a")
					got := status.FromError(err)
					after, ok := got.RetryAfter()
					wantAfter, wantOK := want.RetryAfter()
					if got.Code() != want.Code() || got.Message() != want.Message() || got.NotRun() != want.NotRun() ||
						got.DoNotRetry() != want.DoNotRetry() || after != wantAfter || ok != wantOK {
						t.Errorf("%s: %s: got %v (%v, %v, %v)", name, kind, got, got.NotRun(), got.DoNotRetry(), after)
					}
				}
			}
		})
	}
}

type token struct{ secure bool }

func (token) Metadata(context.Context, *call.Method) (metadata.MD, error) {
	return metadata.Pairs("authorization", "secret"), nil
}
func (t token) RequireSecure() bool { return t.secure }

// TestCredentials: those that need privacy go over TLS only.
func TestCredentials(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			conn := w.dial(t, serveOurs(t, w.secure, rpcx.WithInterceptors(func(ctx context.Context, c *call.Call, next call.Next) error {
				if c.RequestHeader().Get("authorization") != "secret" {
					return status.New(status.PermissionDenied, "who are you?")
				}
				return next(ctx, c)
			})))
			for name, do := range kinds {
				if _, err := do(t.Context(), conn, "a", rpcx.WithCredentials(token{})); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				_, err := do(t.Context(), conn, "a", rpcx.WithCredentials(token{secure: true}))
				if e := status.FromError(err); w.secure && err != nil || !w.secure && (e.Code() != status.Unauthenticated || !e.NotRun()) {
					t.Errorf("%s with credentials that need privacy: %v", name, err)
				}
			}
		})
	}
}

// TestStreamHeader: headers can be waited for before the first message, and
// messages go both ways at once where HTTP can do that.
func TestStreamHeader(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			conn := w.dial(t, serveOurs(t, w.secure))
			s, err := rpcx.CallBidiStream(t.Context(), conn, echoBidi)
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if err := s.Send(wrapperspb.String("a")); err != nil {
					t.Fatal(err)
				}
				if m, err := s.Recv(); err != nil || m.GetValue() != "a" {
					t.Fatalf("got %v, %v", m, err)
				}
				if md, err := s.Header(); err != nil || md.Get(headerKey) != headerValue {
					t.Fatalf("got %v, %v", md, err)
				}
			}
			if err := s.CloseSend(); err != nil {
				t.Fatal(err)
			}
			if _, err := joined(s.Recv); err != nil || s.Trailer().Get(trailerKey) != trailerValue {
				t.Errorf("got %v, %v", s.Trailer(), err)
			}
			s2, err := rpcx.CallServerStream(t.Context(), conn, echoSplit, wrapperspb.String(wordFail))
			if err != nil {
				t.Fatal(err)
			}
			defer s2.Close()
			if _, err := s2.Header(); err != nil && status.CodeOf(err) != status.FailedPrecondition {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestNoCalls: an answer that no server of calls gives becomes the error that its
// status stands for.
func TestNoCalls(t *testing.T) {
	target := serveHTTP(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "no calls here", http.StatusTeapot)
	}))
	for _, w := range ways {
		if w.secure {
			continue
		}
		t.Run(w.name, func(t *testing.T) {
			conn := w.dial(t, target)
			for name, do := range kinds {
				_, err := do(t.Context(), conn, "a")
				if e := status.FromError(err); e.Code() != status.Unknown || !strings.Contains(e.Message(), "418") {
					t.Errorf("%s: got %v", name, err)
				}
			}
		})
	}
}

// TestUnencodable: a message that cannot be sent fails its call, and nothing is sent.
func TestUnencodable(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			conn := w.dial(t, serveOurs(t, w.secure, rpcx.WithInterceptors(func(_ context.Context, c *call.Call, _ call.Next) error {
				if c.Method().Kind().CallerStreams() {
					return nil
				}
				return errors.New("something came")
			})))
			for name, do := range kinds {
				_, err := do(t.Context(), conn, "\xff")
				if e := status.FromError(err); e.Code() != status.Internal {
					t.Errorf("%s: got %v", name, err)
				}
			}
			if _, err := kinds["Unary"](t.Context(), conn, "\xff"); !status.FromError(err).NotRun() {
				t.Errorf("got %v, which may have run", err)
			}
		})
	}
}
