package rpcx_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"

	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
)

// TestWaitForReadyOutlastsBadConnections: a server, or what stands before it,
// that accepts and closes at once is one that cannot be reached.
func TestWaitForReadyOutlastsBadConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := rpcxtest.NewNetwork()
		dials := 0
		dial := func(ctx context.Context, n, a string) (net.Conn, error) {
			nc, err := network.Dial(ctx, n, a)
			if dials++; err == nil && dials < 30 {
				nc.Close()
			}
			return nc, err
		}
		srv := rpcx.NewServer()
		new(echo).register(srv)
		l := network.Listener()
		served := make(chan error, 1)
		go func() { served <- srv.Serve(l) }()
		conn, err := rpcx.Dial("echo:1", rpcx.WithDialer(dial))
		if err != nil {
			t.Fatal(err)
		}
		if err := say(t.Context(), conn, rpcx.WithWaitForReady(true)); err != nil {
			t.Errorf("after %d connections: %v", dials, err)
		}
		conn.Close()
		srv.Close()
		<-served
	})
}
