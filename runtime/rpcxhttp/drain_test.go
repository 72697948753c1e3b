package rpcxhttp_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// TestNoCallFailsInDrain: servers follow each other at one address, and no unary
// call over HTTP/2 fails. A call that one of them does not take runs at the next.
func TestNoCallFailsInDrain(t *testing.T) {
	for name, opts := range map[string][]connecthttp.Option{
		"connect": nil, "gRPC": {connecthttp.WithGRPC()}, "gRPC-Web": {connecthttp.WithGRPCWeb()},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var handled atomic.Int64
				handle := func(_ context.Context, req string) (string, error) {
					time.Sleep(7 * time.Millisecond)
					handled.Add(1)
					return req, nil
				}
				var now atomic.Pointer[site]
				now.Store(newSite(t, handle))
				h2c := new(http.Protocols)
				h2c.SetUnencryptedHTTP2(true)
				tr := &http.Transport{Protocols: h2c, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
					return now.Load().Dial(ctx, network, addr)
				}}
				defer tr.CloseIdleConnections()
				client := connect.NewClient(connecthttp.NewTransport(&http.Client{Transport: tr}, "http://server:1", opts...))
				spec := connect.Spec{Procedure: unary.Descriptor().FullName()}

				stop := make(chan struct{})
				var callers sync.WaitGroup
				var done, failed atomic.Int64
				for i := range 8 {
					callers.Go(func() {
						for n := 0; ; n++ {
							select {
							case <-stop:
								return
							case <-time.After(time.Duration(i+1) * 300 * time.Microsecond):
							}
							want := fmt.Sprint(i, " ", n)
							var res text
							err := client.CallUnary(t.Context(), spec, wrapperspb.String(want), &res)
							if err != nil || res.GetValue() != want {
								t.Errorf("%q is answered with %q, %v", want, res.GetValue(), err)
								failed.Add(1)
							}
							done.Add(1)
						}
					})
				}
				for range 20 {
					time.Sleep(50 * time.Millisecond)
					old := now.Swap(newSite(t, handle))
					time.Sleep(time.Millisecond) // a connection may be on its way
					if err := old.Shutdown(t.Context()); err != nil {
						t.Error(err)
					}
				}
				close(stop)
				callers.Wait()
				if failed.Load() > 0 || done.Load() < 1000 || handled.Load() != done.Load() {
					t.Errorf("%d of %d calls failed, %d ran", failed.Load(), done.Load(), handled.Load())
				}
			})
		})
	}
}
