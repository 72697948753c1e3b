package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"sync/atomic"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/rpcx"
)

type message = wrapperspb.BytesValue

// The methods: what callers call, and what the attacker opens.
var (
	echo = rpcx.NewMethod[message, message](rpcx.MethodSpec{Service: "attack.v1.Attack", Name: "Echo"})
	wait = rpcx.NewMethod[message, message](rpcx.MethodSpec{Service: "attack.v1.Attack", Name: "Wait"})
)

// crowd counts the handlers of wait that run.
type crowd struct{ running, most, starts atomic.Int64 }

func (c *crowd) wait(ctx context.Context, _ *message) (*message, error) {
	c.starts.Add(1)
	n := c.running.Add(1)
	defer c.running.Add(-1)
	for m := c.most.Load(); n > m && !c.most.CompareAndSwap(m, n); m = c.most.Load() {
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

// beServer serves, and reads what comes to the sink, until its input ends.
func beServer() {
	var c crowd
	srv := rpcx.NewServer(rpcx.WithMaxStreams(*limit))
	srv.Register(
		rpcx.UnaryHandler(echo, func(_ context.Context, req *message) (*message, error) { return req, nil }),
		rpcx.UnaryHandler(wait, c.wait),
	)
	calls, sink := listen(), listen()
	go func() { _ = srv.Serve(calls) }()
	go func() {
		for {
			conn, err := sink.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(io.Discard, conn)
			}()
		}
	}()
	fmt.Println(calls.Addr(), sink.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
	srv.Close()
	fmt.Printf("attack: %d handlers started, at most %d at a time, of %d that a connection may have\n", c.starts.Load(), c.most.Load(), *limit)
}

func listen() net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal("attack: ", err)
	}
	return l
}
