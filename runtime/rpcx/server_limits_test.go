package rpcx_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
	"github.com/rpcx-go/rpcx/runtime/status"
)

func TestMaxConnections(t *testing.T) {
	for name, opt := range map[string]rpcx.ServerOption{
		"WithMaxConnections":        rpcx.WithMaxConnections(1),
		"WithMaxConnectionsPerPeer": rpcx.WithMaxConnectionsPerPeer(1),
	} {
		t.Run(name, func(t *testing.T) {
			e := &echo{}
			first, srv := startWith(t, e, []rpcx.ServerOption{opt}, nil)
			call := func(c *rpcx.Conn, opts ...rpcx.CallOption) error {
				_, err := rpcx.CallUnary(t.Context(), c, echoUnary, wrapperspb.String("x"), opts...)
				return err
			}
			if err := call(first); err != nil {
				t.Fatal(err)
			}
			second, err := rpcx.Dial(first.Target(), rpcx.WithBackoff(time.Millisecond, time.Millisecond))
			if err != nil {
				t.Fatal(err)
			}
			defer second.Close()
			err = call(second)
			if e := status.FromError(err); e.Code() != status.Unavailable || !e.NotRun() || !strings.Contains(e.Message(), "the limit is 1 (option "+name+")") {
				t.Errorf("the second connection: %v", err)
			}
			first.Close()
			if err := call(second, rpcx.WithWaitForReady(true), rpcx.WithTimeout(time.Minute)); err != nil {
				t.Errorf("after the first one left: %v", err)
			}
			_ = srv
		})
	}
}

// TestMaxConnectionAge: an old connection is left without a failed unary call;
// a stream that outlasts the grace ends with UNAVAILABLE.
func TestMaxConnectionAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &echo{unary: func(_ context.Context, req *text) (*text, error) {
			time.Sleep(7 * time.Second)
			return req, nil
		}}
		network := rpcxtest.NewNetwork()
		srv := rpcx.NewServer(rpcx.WithMaxConnectionAge(time.Minute, 10*time.Second))
		e.register(srv)
		go srv.Serve(network.Listener())
		defer srv.Close()
		var count connCounter
		conn, err := rpcx.Dial("echo", rpcx.WithDialer(network.Dial), rpcx.WithObserver(&count))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		stream, err := rpcx.CallBidiStream(t.Context(), conn, echoBidi)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		ended := make(chan error, 1)
		go func() {
			_, err := stream.Recv()
			ended <- err
		}()
		for time.Since(start) < 10*time.Minute {
			if _, err := rpcx.CallUnary(t.Context(), conn, echoUnary, wrapperspb.String("x")); err != nil {
				t.Fatalf("after %v: %v", time.Since(start), err)
			}
		}
		if err := <-ended; status.CodeOf(err) != status.Unavailable {
			t.Errorf("the stream ended with %v", err)
		}
		if opened, _ := count.counts(); opened < 9 || opened > 12 {
			t.Errorf("%d connections within 10 minutes", opened)
		}
	})
}
