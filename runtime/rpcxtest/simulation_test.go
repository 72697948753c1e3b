package rpcxtest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest/memnet"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// TestCallsOverBadNetwork makes calls over connections that split and delay
// what they carry, and, in every other run, break. Over those that hold, all
// calls must succeed; over the others each must end, with its right answer or
// with a code that says what happened.
func TestCallsOverBadNetwork(t *testing.T) {
	for seed := range uint64(16) {
		script := rpcxtest.RandomScript{Steps: 12, Within: 20_000, MaxDelay: 200 * time.Millisecond, Breaks: seed%2 == 1}
		t.Run(fmt.Sprintf("seed %d, breaks %v", seed, script.Breaks), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { simulate(t, seed, script) })
		})
	}
}

func simulate(t *testing.T, seed uint64, script rpcxtest.RandomScript) {
	var (
		mu      sync.Mutex
		scripts []string
	)
	network := rpcxtest.NewNetwork()
	network.WrapDial = func(c *rpcxtest.Conn) net.Conn {
		mu.Lock()
		defer mu.Unlock()
		steps := rpcxtest.RandomSteps(seed<<32+uint64(len(scripts)), script)
		scripts = append(scripts, memnet.FormatSteps(steps))
		return rpcxtest.NewFault(c, steps...)
	}
	srv := rpcx.NewServer()
	register(srv)
	l := network.Listener()
	served := make(chan error)
	go func() { served <- srv.Serve(l) }()
	conn, err := rpcx.Dial("users:7000", rpcx.WithDialer(network.Dial),
		rpcx.WithDefaultCallOptions(rpcx.WithWaitForReady(true)))
	if err != nil {
		t.Fatal(err)
	}

	var calls sync.WaitGroup
	for i := range 8 {
		calls.Go(func() {
			for j := range 5 {
				word := strings.Repeat(fmt.Sprintf("w%d-%d ", i, j), 1+i*j*20)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				got, want, err := callSomething(ctx, conn, i%3, word)
				cancel()
				switch {
				case err == nil && got != want:
					t.Errorf("seed %d, call %d.%d: got %q, want %q", seed, i, j, got, want)
				case err != nil && !script.Breaks:
					t.Errorf("seed %d, call %d.%d: %v", seed, i, j, err)
				case err != nil && status.CodeOf(err) != status.Unavailable && status.CodeOf(err) != status.DeadlineExceeded:
					t.Errorf("seed %d, call %d.%d: %v, want UNAVAILABLE or DEADLINE_EXCEEDED", seed, i, j, err)
				}
			}
		})
	}
	calls.Wait()
	conn.Close()
	srv.Close()
	if err := <-served; !errors.Is(err, rpcx.ErrServerClosed) {
		t.Errorf("Serve: %v", err)
	}
	if t.Failed() {
		t.Logf("scripts of the connections:\n%s", strings.Join(scripts, "\n"))
	}
}

// callSomething makes a call of the given kind that sends word, and returns
// what came back and what should have.
func callSomething(ctx context.Context, c rpcx.Caller, kind int, word string) (got, want string, err error) {
	switch kind {
	case 0:
		res, err := rpcx.CallUnary(ctx, c, upper, wrapperspb.String(word))
		return res.GetValue(), strings.ToUpper(word), err
	case 1:
		stream, err := rpcx.CallServerStream(ctx, c, split, wrapperspb.String(word))
		if err != nil {
			return "", "", err
		}
		for m, err := range stream.All() {
			if err != nil {
				return "", "", err
			}
			got += m.GetValue() + " "
		}
		return got, word, nil
	default:
		stream, err := rpcx.CallClientStream(ctx, c, join)
		if err != nil {
			return "", "", err
		}
		for w := range strings.FieldsSeq(word) {
			if stream.Send(wrapperspb.String(w)) != nil {
				break // CloseAndRecv says why
			}
		}
		res, err := stream.CloseAndRecv()
		return res.GetValue(), strings.TrimSpace(word), err
	}
}
