package rpcxconnect_test

import (
	"context"
	"fmt"
	"log"

	"connectrpc.com/connect/v2"

	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxconnect"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
	pingv1 "github.com/rpcx-go/rpcx/testdata/connect/gen/ping/v1"
	"github.com/rpcx-go/rpcx/testdata/connect/gen/ping/v1/pingv1connect"
)

// Handlers and clients that protoc-gen-connect-go generated, over the native protocol.
func Example() {
	connectServer := connect.NewServer()
	pingv1connect.RegisterPingServiceHandler(connectServer, ping{})
	srv := rpcx.NewServer()
	rpcxconnect.Register(srv, connectServer)
	network := rpcxtest.NewNetwork()
	l := network.Listener()
	go srv.Serve(l)
	defer srv.Close()

	conn, err := rpcx.Dial("ping:7000", rpcx.WithDialer(network.Dial))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	client := pingv1connect.NewPingServiceClient(connect.NewClient(rpcxconnect.NewTransport(conn)))
	ctx, info := connect.NewClientContext(context.Background())
	res, err := client.Ping(ctx, &pingv1.PingRequest{Text: "hello"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Text, "over", info.Protocol)
	// Output: hello over rpcx
}
