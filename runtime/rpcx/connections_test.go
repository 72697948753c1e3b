package rpcx_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// connCounter counts connections.
type connCounter struct {
	call.NopObserver
	mu             sync.Mutex
	opened, closed int
}

func (c *connCounter) ConnOpened(call.ConnInfo) {
	c.mu.Lock()
	c.opened++
	c.mu.Unlock()
}

func (c *connCounter) ConnClosed(call.ConnInfo, error) {
	c.mu.Lock()
	c.closed++
	c.mu.Unlock()
}

func (c *connCounter) counts() (opened, open int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.opened, c.opened - c.closed
}

// TestConnectionModes: how many connections a burst of calls at once, and then
// another one, use and leave open.
func TestConnectionModes(t *testing.T) {
	for _, test := range []struct {
		name         string
		opts         []rpcx.DialOption
		opened, open int
	}{
		{"one", nil, 1, 1},
		{"several", []rpcx.DialOption{rpcx.WithConnections(3)}, 3, 3},
		{"pooled", []rpcx.DialOption{rpcx.WithPooledConnections(4)}, 12, 4},
		{"pooled, all kept", []rpcx.DialOption{rpcx.WithPooledConnections(100)}, 8, 8},
		{"short", []rpcx.DialOption{rpcx.WithShortConnections()}, 16, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gate := make(chan struct{})
				e := &echo{unary: func(_ context.Context, req *text) (*text, error) {
					<-gate
					return req, nil
				}}
				network := rpcxtest.NewNetwork()
				srv := rpcx.NewServer()
				e.register(srv)
				go srv.Serve(network.Listener())
				defer srv.Close()
				var count connCounter
				conn, err := rpcx.Dial("echo", append(test.opts, rpcx.WithDialer(network.Dial), rpcx.WithObserver(&count))...)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				for range 2 {
					var calls sync.WaitGroup
					for range 8 {
						calls.Go(func() {
							if _, err := rpcx.CallUnary(t.Context(), conn, echoUnary, wrapperspb.String("x")); err != nil {
								t.Error(err)
							}
						})
					}
					synctest.Wait()
					for range 8 {
						gate <- struct{}{}
					}
					calls.Wait()
					synctest.Wait()
				}
				opened, open := count.counts()
				if opened != test.opened || open != test.open {
					t.Errorf("%d connections opened, %d open, want %d and %d", opened, open, test.opened, test.open)
				}
			})
		})
	}
}

// TestKeepalive: a peer that is gone without a word is noticed while calls are
// in flight, and left alone while none is.
func TestKeepalive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := rpcxtest.NewNetwork()
		var fault *rpcxtest.Fault
		network.WrapDial = func(nc *rpcxtest.Conn) net.Conn {
			fault = rpcxtest.NewFault(nc)
			return fault
		}
		e := &echo{unary: func(ctx context.Context, _ *text) (*text, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		srv := rpcx.NewServer(rpcx.WithMaxConnectionAge(0, 0))
		e.register(srv)
		go srv.Serve(network.Listener())
		defer srv.Close()
		conn, err := rpcx.Dial("echo", rpcx.WithDialer(network.Dial), rpcx.WithKeepalive(10*time.Second, 5*time.Second), rpcx.WithIdleTimeout(0))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		// The peer lives: a slow call goes on.
		if _, err := rpcx.CallUnary(ctx, conn, echoUnary, wrapperspb.String("x"), rpcx.WithTimeout(time.Minute)); status.CodeOf(err) != status.DeadlineExceeded {
			t.Errorf("the peer lives: %v", err)
		}
		time.Sleep(time.Hour) // no calls, no pings
		fault.Add(rpcxtest.Step{In: rpcxtest.Inbound, Do: rpcxtest.Stall()})
		start := time.Now()
		_, err = rpcx.CallUnary(t.Context(), conn, echoUnary, wrapperspb.String("x"))
		if took := time.Since(start); status.CodeOf(err) != status.Unavailable || status.FromError(err).NotRun() || took > 26*time.Second {
			t.Errorf("the peer is gone: %v after %v", err, took)
		}
	})
}
