package rpcx_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
)

// lastMinute is a listener that accepts one more connection while it is closed.
type lastMinute struct {
	net.Listener
	closing, accepted chan struct{}
}

func (l *lastMinute) Accept() (net.Conn, error) {
	select {
	case <-l.closing:
		return nil, net.ErrClosed
	default:
	}
	<-l.closing
	defer close(l.accepted)
	return l.Listener.Accept()
}

func (l *lastMinute) Close() error {
	select {
	case <-l.closing:
		return nil
	default:
	}
	close(l.closing)
	<-l.accepted
	return l.Listener.Close()
}

// TestTurnedAway: unary calls on a connection that a server accepts when it is
// about to go never run there, and go elsewhere, those that were sent early, too.
func TestTurnedAway(t *testing.T) {
	for _, name := range []string{"Unary", "Inline"} {
		do := kinds[name]
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				old, successor := rpcxtest.NewNetwork(), rpcxtest.NewNetwork()
				dials := 0
				conn, err := rpcx.Dial("echo:1", rpcx.WithDialer(func(ctx context.Context, n, a string) (net.Conn, error) {
					if dials++; dials == 1 {
						return old.Dial(ctx, n, a)
					}
					return successor.Dial(ctx, n, a)
				}))
				if err != nil {
					t.Fatal(err)
				}
				l := &lastMinute{old.Listener(), make(chan struct{}), make(chan struct{})}
				for i, l := range []net.Listener{l, successor.Listener()} {
					srv := rpcx.NewServer()
					new(echo).register(srv)
					served := make(chan error, 1)
					go func() { served <- srv.Serve(l) }()
					if i == 0 { // it goes as soon as the call's connection is there
						time.AfterFunc(time.Second, func() {
							if err := srv.Shutdown(context.Background()); err != nil {
								t.Errorf("Shutdown: %v", err)
							}
						})
					}
					t.Cleanup(func() {
						srv.Close()
						if err := <-served; !errors.Is(err, rpcx.ErrServerClosed) {
							t.Errorf("Serve: %v", err)
						}
					})
				}
				start := time.Now()
				if got, err := do(t.Context(), conn); err != nil || got != "a b" {
					t.Errorf("got %q, %v", got, err)
				}
				if dials != 2 || time.Since(start) != time.Second {
					t.Errorf("%d dials, after %v, want 2 after 1s", dials, time.Since(start))
				}
				conn.Close()
			})
		})
	}
}
