package rpcxhttp_test

import (
	"context"
	"fmt"
	"log"

	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxhttp"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
	usersv1 "github.com/rpcx-go/rpcx/testdata/gen/users"
	"github.com/rpcx-go/rpcx/testdata/gen/users/usersv1rpcx"
)

type users struct {
	usersv1rpcx.UnimplementedUsersServer
}

func (users) Get(ctx context.Context, req *usersv1.GetRequest) (*usersv1.User, error) {
	peer, _ := rpcx.PeerFromContext(ctx)
	return &usersv1.User{Id: req.GetId(), Name: "Ann, over " + peer.Protocol}, nil
}

// A server with HTTP answers clients of its own protocol and of HTTP's, and a
// client with one of the options calls servers of gRPC, gRPC-Web and Connect.
func Example() {
	srv := rpcx.NewServer(rpcxhttp.WithHTTP())
	usersv1rpcx.RegisterUsersServer(srv, users{})
	network := rpcxtest.NewNetwork()
	l := network.Listener()
	go srv.Serve(l)
	defer srv.Close()

	for _, protocol := range [][]rpcx.DialOption{
		{},
		{rpcxhttp.WithGRPC()},
		{rpcxhttp.WithGRPCWeb()},
		{rpcxhttp.WithConnect(rpcxhttp.WithGet(4096))},
	} {
		conn, err := rpcx.Dial("users:7000", append(protocol, rpcx.WithDialer(network.Dial))...)
		if err != nil {
			log.Fatal(err)
		}
		user, err := usersv1rpcx.NewUsersClient(conn).Get(context.Background(), &usersv1.GetRequest{Id: 7})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(user.GetName())
		conn.Close()
	}
	// Output:
	// Ann, over rpcx
	// Ann, over grpc
	// Ann, over grpcweb
	// Ann, over connect
}
