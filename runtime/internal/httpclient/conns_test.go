package httpclient_test

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxhttp"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// recorder keeps what an observer is told.
type recorder struct {
	call.NopObserver
	mu     sync.Mutex
	opened []call.ConnInfo
	closed []error
	starts []call.Info
	ends   []call.Result
	tries  int
}

func (r *recorder) ConnOpened(i call.ConnInfo) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opened = append(r.opened, i)
}

func (r *recorder) ConnClosed(_ call.ConnInfo, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = append(r.closed, err)
}

func (r *recorder) AttemptStarted(i call.Info) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.starts = append(r.starts, i)
}

func (r *recorder) AttemptEnded(call.Info, call.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tries++
}

func (r *recorder) CallEnded(_ call.Info, res call.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends = append(r.ends, res)
}

func (r *recorder) results() []call.Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.ends)
}

// TestObservers: they are told of connections, calls and attempts as on native.
func TestObservers(t *testing.T) {
	each(t, func(t *testing.T, w way, s server) {
		var r recorder
		conn := w.dial(t, s(t, w.secure), rpcx.WithObserver(&r))
		n := 0
		for name, do := range kinds {
			if w.skips(name) {
				continue
			}
			for _, first := range []string{"a", wordFail} {
				n++
				_, _ = do(t.Context(), conn, first)
			}
		}
		conn.Close()
		protocol := map[bool]string{true: "http/1.1", false: "h2"}[w.http1]
		for _, i := range r.opened {
			if i.Protocol != protocol || i.Remote == nil || i.Side != call.Client {
				t.Errorf("opened %v", i)
			}
		}
		// Servers close connections of HTTP/1.1 after a request without a length, or
		// of which they have not read all.
		if n := len(r.opened); len(r.closed) != n || n == 0 || !w.http1 && (n != 1 || r.closed[0] != nil) {
			t.Errorf("opened %d, closed %v", len(r.opened), r.closed)
		}
		if len(r.starts) != n || r.tries != n || len(r.ends) != n {
			t.Errorf("%d attempts, %d ended, %d calls; want %d", len(r.starts), r.tries, len(r.ends), n)
		}
		for _, i := range r.starts {
			if want, _, _ := strings.Cut(w.name, "/"); i.Peer.Protocol != want || i.Peer.Addr == nil || i.Peer.Secure != w.secure || (i.Peer.TLS != nil) != w.secure {
				t.Errorf("peer %+v", i.Peer)
			}
		}
		for _, e := range r.ends {
			if status.CodeOf(e.Err) == status.OK && (e.BytesSent == 0 || e.BytesReceived == 0) {
				t.Errorf("%+v", e)
			}
		}
		for _, st := range conn.Stats() {
			if st.InFlight() != 0 {
				t.Errorf("%+v", st)
			}
		}
	})
}

// TestUnreachable: calls fail at once, as not run, or wait for the server.
func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := l.Addr().String()
	l.Close()
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			conn := w.dial(t, target, rpcx.WithBackoff(time.Millisecond, time.Millisecond))
			for name, do := range kinds {
				_, err := do(t.Context(), conn, "a")
				if e := status.FromError(err); e.Code() != status.Unavailable || !e.NotRun() || !strings.Contains(e.Message(), target) {
					t.Errorf("%s: got %v", name, err)
				}
				_, err = do(t.Context(), conn, "a", rpcx.WithWaitForReady(true), rpcx.WithTimeout(20*time.Millisecond))
				if e := status.FromError(err); e.Code() != status.DeadlineExceeded || !e.NotRun() || e.Phase() != status.PhaseDial {
					t.Errorf("%s that waits: got %v", name, err)
				}
			}
		})
	}
}

// TestComesBack: after a server has gone, calls reach the next one.
func TestComesBack(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			var target atomic.Pointer[string]
			conn, err := rpcx.Dial("example.com:443", append(w.options(), rpcx.WithBackoff(time.Millisecond, time.Millisecond),
				rpcx.WithDialer(func(ctx context.Context, network, _ string) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, network, *target.Load())
				}))...)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			for range 2 {
				t.Run("server", func(t *testing.T) { // which ends with it
					addr := serveOurs(t, w.secure)
					target.Store(&addr)
					// That the old connection is no more may be noticed by the first call.
					for status.CodeOf(ping(t, conn)) == status.Unavailable {
					}
					for name, do := range kinds {
						if _, err := do(t.Context(), conn, "a", rpcx.WithWaitForReady(true)); err != nil {
							t.Errorf("%s: %v", name, err)
						}
					}
				})
			}
		})
	}
}

func ping(t *testing.T, conn *rpcx.Conn) error {
	_, err := rpcx.CallUnary(t.Context(), conn, echoUnary, wrapperspb.String("a"), rpcx.WithWaitForReady(true))
	return err
}

// TestClose: calls in flight end, and so do later ones.
func TestClose(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			started := make(chan struct{}, 1)
			target := serveOurs(t, w.secure, rpcx.WithInterceptors(func(ctx context.Context, c *call.Call, next call.Next) error {
				started <- struct{}{}
				return next(ctx, c)
			}))
			for name, do := range kinds {
				conn := w.dial(t, target)
				ended := make(chan error, 1)
				go func() {
					_, err := do(t.Context(), conn, wordWait)
					ended <- err
				}()
				<-started
				conn.Close()
				if err := <-ended; status.CodeOf(err) != status.Unavailable || status.FromError(err).NotRun() {
					t.Errorf("%s in flight: got %v", name, err)
				}
				_, err := do(t.Context(), conn, "a")
				if e := status.FromError(err); e.Code() != status.Unavailable || !e.NotRun() {
					t.Errorf("%s afterwards: got %v", name, err)
				}
			}
		})
	}
}

// TestTargets: URLs, sockets and names that only a dialer knows.
func TestTargets(t *testing.T) {
	plain, secure := serveOurs(t, false), serveOurs(t, true)
	for name, test := range map[string]struct {
		target string
		opts   []rpcx.DialOption
	}{
		"http URL":      {"http://" + plain, nil},
		"https URL":     {"https://" + secure + "/", []rpcx.DialOption{rpcx.WithTLS(clientTLS())}},
		"a name":        {"whatever", []rpcx.DialOption{to(plain)}},
		"without port":  {"http://example.com", []rpcx.DialOption{to(plain)}},
		"an IPv6 host":  {"http://[::1]", []rpcx.DialOption{to(plain)}},
		"a host beside": {"x:1", []rpcx.DialOption{to(plain)}},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := rpcx.Dial(test.target, append(test.opts, rpcxhttp.WithConnect())...)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if res, err := rpcx.CallUnary(t.Context(), conn, echoUnary, wrapperspb.String("a")); err != nil || res.GetValue() != "a" {
				t.Errorf("got %v, %v", res, err)
			}
		})
	}
	for target, want := range map[string]string{
		"http://h?x=1":     "want a URL of host, port and path alone",
		"https://user@h/x": "want a URL of host, port and path alone",
		"ftp://h":          "scheme \"ftp\" is not known",
	} {
		if _, err := rpcx.Dial(target, rpcxhttp.WithGRPC()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", target, err)
		}
	}
	if _, err := rpcx.Dial("http://"+plain, rpcxhttp.WithGRPC(), rpcx.WithTLS(nil)); err == nil {
		t.Error("http:// with TLS: no error")
	}
	if _, err := rpcx.Dial("http://" + plain); err == nil {
		t.Error("a URL without an option of rpcxhttp: no error")
	}
	if _, err := rpcx.Dial("a b", rpcxhttp.WithConnect(), to(plain)); err == nil {
		t.Error("a name that no URL can have: no error")
	}
}

// to has every connection go to target.
func to(target string) rpcx.DialOption {
	return rpcx.WithDialer(func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", target)
	})
}
