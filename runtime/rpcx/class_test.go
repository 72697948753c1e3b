package rpcx_test

import (
	"context"
	"testing"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
)

// TestClass: what a caller states reaches the interceptors of both sides, for
// every kind of call, and stays within its range.
func TestClass(t *testing.T) {
	seen := make(chan call.Class, 2)
	look := rpcx.WithInterceptors(func(ctx context.Context, c *call.Call, next call.Next) error {
		seen <- c.Class()
		return next(ctx, c)
	})
	conn, _ := start(t, &echo{}, look)
	plain, err := rpcx.Dial(conn.Target(), rpcx.WithDefaultCallOptions(rpcx.WithPriority(2)))
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	for _, test := range []struct {
		opts []rpcx.CallOption
		want call.Class
	}{
		{nil, call.Class{}},
		{[]rpcx.CallOption{rpcx.WithPriority(7)}, call.Class{Priority: 7}},
		{[]rpcx.CallOption{rpcx.WithLane(7)}, call.Class{Lane: 7}},
		{[]rpcx.CallOption{rpcx.WithPriority(1), rpcx.WithLane(3)}, call.Class{Priority: 1, Lane: 3}},
		{[]rpcx.CallOption{rpcx.WithPriority(8), rpcx.WithLane(-1)}, call.Class{Priority: 7}},
	} {
		eachKind(t, func(t *testing.T, name string, do func(opts ...rpcx.CallOption) (string, error)) {
			if _, err := do(test.opts...); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if client, server := <-seen, <-seen; client != test.want || server != test.want {
				t.Errorf("%s: got %v and %v, want %v", name, client, server, test.want)
			}
		}, conn)
	}
	eachKind(t, func(t *testing.T, name string, do func(opts ...rpcx.CallOption) (string, error)) {
		if _, err := do(rpcx.WithLane(1)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := <-seen; got != (call.Class{Priority: 2, Lane: 1}) {
			t.Errorf("%s without interceptors: got %v", name, got)
		}
	}, plain)
}
