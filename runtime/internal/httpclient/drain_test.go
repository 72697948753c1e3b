package httpclient_test

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxhttp"
)

// TestDrains: no unary call over HTTP/2 fails while servers follow each other, as
// calls that a server did not take are sent to the next one.
func TestDrains(t *testing.T) {
	for _, w := range ways {
		if w.http1 || w.json {
			continue // a request of HTTP/1.1 may meet a connection that is being closed
		}
		t.Run(w.name, func(t *testing.T) {
			var target atomic.Pointer[string]
			serve := func() (stop func()) {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				opts := []rpcx.ServerOption{rpcxhttp.WithHTTP()}
				if w.secure {
					opts = append(opts, rpcx.WithTLS(&tls.Config{Certificates: serverCert()}))
				}
				srv := rpcx.NewServer(opts...)
				ours{}.register(srv)
				served := make(chan error, 1)
				go func() { served <- srv.Serve(l) }()
				addr := l.Addr().String()
				target.Store(&addr)
				return func() {
					if err := srv.Shutdown(t.Context()); err != nil {
						t.Error(err)
					}
					<-served
				}
			}
			stop := serve()
			conn, err := rpcx.Dial("example.com:443", append(w.options(), rpcx.WithDialer(func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, *target.Load())
			}))...)
			if err != nil {
				t.Fatal(err)
			}
			var callers sync.WaitGroup
			var calls atomic.Int64
			over := make(chan struct{})
			for range 8 {
				callers.Go(func() {
					for {
						select {
						case <-over:
							return
						default:
						}
						if _, err := rpcx.CallUnary(t.Context(), conn, echoUnary, wrapperspb.String("a")); err != nil {
							t.Errorf("after %d calls: %v", calls.Load(), err)
							return
						}
						calls.Add(1)
					}
				})
			}
			for range 3 {
				for n := calls.Load() + 100; calls.Load() < n && !t.Failed(); {
					if _, err := rpcx.CallUnary(t.Context(), conn, echoUnary, wrapperspb.String("a")); err != nil {
						t.Error(err)
					}
				}
				last := stop
				stop = serve()
				last()
			}
			close(over)
			callers.Wait()
			conn.Close()
			stop()
		})
	}
}
