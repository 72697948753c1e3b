package rpcx_test

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/rpcx"
)

// TestOnShutdown: functions run once, in order, while calls are still accepted.
func TestOnShutdown(t *testing.T) {
	conn, srv, _ := inMemory(t, &echo{}, nil, nil)
	var order []int
	srv.OnShutdown(func() {
		order = append(order, 1)
		if _, err := rpcx.CallUnary(t.Context(), conn, echoUnary, wrapperspb.String("still")); err != nil {
			t.Errorf("in the function: %v", err)
		}
	})
	srv.OnShutdown(func() {
		order = append(order, 2)
		srv.OnShutdown(func() { t.Error("a function that was added too late is called") })
	})
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { srv.Shutdown(t.Context()) })
	}
	all.Wait()
	srv.Shutdown(t.Context())
	if !slices.Equal(order, []int{1, 2}) {
		t.Errorf("called %v", order)
	}
}

func TestOnShutdownOfListenAndServe(t *testing.T) {
	srv := rpcx.NewServer()
	(&echo{}).register(srv)
	called := 0
	srv.OnShutdown(func() { called++ })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	addr := "unix://" + filepath.Join(t.TempDir(), "s")
	served := make(chan error, 1)
	go func() { served <- srv.ListenAndServe(ctx, addr) }()
	conn, err := rpcx.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := rpcx.CallUnary(ctx, conn, echoUnary, wrapperspb.String("x"), rpcx.WithWaitForReady(true)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-served; err != nil || called != 1 {
		t.Errorf("called %d times, %v", called, err)
	}
	closed := rpcx.NewServer()
	closed.OnShutdown(func() { t.Error("Close calls it") })
	closed.Close()
}

func TestServices(t *testing.T) {
	srv := rpcx.NewServer()
	if got := srv.Services(); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	other := rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: "a.Other", Name: "Unary"})
	(&echo{}).register(srv)
	srv.Register(rpcx.UnaryHandler(other, (&echo{}).Unary))
	if got := srv.Services(); !slices.Equal(got, []string{"a.Other", "test.v1.Echo"}) {
		t.Errorf("got %v", got)
	}
}
