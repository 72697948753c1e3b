package rpcx_test

import (
	"context"
	"fmt"
	"io"
	"log"

	"github.com/rpcx-go/rpcx/runtime/rpcx"
	usersv1 "github.com/rpcx-go/rpcx/testdata/gen/users"
	"github.com/rpcx-go/rpcx/testdata/gen/users/usersv1rpcx"
)

// streams implements the streaming methods.
type streams struct {
	usersv1rpcx.UnimplementedUsersServer
}

// Watch sends three changes.
func (streams) Watch(_ context.Context, _ *usersv1.WatchRequest, stream rpcx.ServerStreamingServer[usersv1.Change]) error {
	for _, name := range []string{"Ann", "Bob", "Cid"} {
		if err := stream.Send(&usersv1.Change{User: &usersv1.User{Name: name}}); err != nil {
			return err
		}
	}
	return nil
}

// Import counts the users.
func (streams) Import(_ context.Context, stream rpcx.ClientStreamingServer[usersv1.User]) (*usersv1.ImportResponse, error) {
	res := new(usersv1.ImportResponse)
	for _, err := range stream.All() {
		if err != nil {
			return nil, err
		}
		res.Count++
	}
	return res, nil
}

// Sync sends back what it receives.
func (streams) Sync(_ context.Context, stream rpcx.BidiStreamingServer[usersv1.Change, usersv1.Change]) error {
	for change, err := range stream.All() {
		if err != nil {
			return err
		}
		if err := stream.Send(change); err != nil {
			return err
		}
	}
	return nil
}

// Breaking out of All releases the stream.
func ExampleServerStreamingClient() {
	conn, stop := serve(streams{})
	defer stop()

	stream, err := usersv1rpcx.NewUsersClient(conn).Watch(context.Background(), &usersv1.WatchRequest{})
	if err != nil {
		log.Fatal(err)
	}
	for change, err := range stream.All() {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(change.GetUser().GetName())
		if change.GetUser().GetName() == "Bob" {
			break
		}
	}
	// Output:
	// Ann
	// Bob
}

func ExampleClientStreamingClient() {
	conn, stop := serve(streams{})
	defer stop()

	stream, err := usersv1rpcx.NewUsersClient(conn).Import(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, name := range []string{"Ann", "Bob", "Cid"} {
		if err := stream.Send(&usersv1.User{Name: name}); err == io.EOF {
			break // the server has ended the call: CloseAndRecv tells how
		} else if err != nil {
			log.Fatal(err)
		}
	}
	res, err := stream.CloseAndRecv()
	fmt.Println(res.GetCount(), err)
	// Output: 3 <nil>
}

func ExampleBidiStreamingClient() {
	conn, stop := serve(streams{})
	defer stop()

	stream, err := usersv1rpcx.NewUsersClient(conn).Sync(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, name := range []string{"Ann", "Bob"} {
		if err := stream.Send(&usersv1.Change{User: &usersv1.User{Name: name}}); err != nil {
			log.Fatal(err)
		}
		change, err := stream.Recv()
		fmt.Println(change.GetUser().GetName(), err)
	}
	stream.CloseSend()
	_, err = stream.Recv()
	fmt.Println(err)
	// Output:
	// Ann <nil>
	// Bob <nil>
	// EOF
}
