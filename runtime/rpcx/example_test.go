package rpcx_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
	"github.com/rpcx-go/rpcx/runtime/status"
	usersv1 "github.com/rpcx-go/rpcx/testdata/gen/users"
	"github.com/rpcx-go/rpcx/testdata/gen/users/usersv1rpcx"
)

// users implements the server interface that was generated from users.proto.
type users struct {
	usersv1rpcx.UnimplementedUsersServer
}

func (users) Get(ctx context.Context, req *usersv1.GetRequest) (*usersv1.User, error) {
	if req.GetId() != 7 {
		return nil, status.Errorf(status.NotFound, "user %d does not exist", req.GetId())
	}
	// Headers and trailers need no wrapper type: the context knows the call.
	if err := rpcx.SetHeader(ctx, metadata.Pairs("served-by", "node-3")); err != nil {
		return nil, err
	}
	return &usersv1.User{Id: 7, Name: "Ann"}, nil
}

// serveUsers serves users in memory and returns a connection to it.
func serveUsers(opts ...rpcx.Option) (conn *rpcx.Conn, stop func()) {
	return serve(users{}, opts...)
}

func serve(impl usersv1rpcx.UsersServer, opts ...rpcx.Option) (conn *rpcx.Conn, stop func()) {
	var sopts []rpcx.ServerOption
	for _, o := range opts {
		sopts = append(sopts, o)
	}
	srv := rpcx.NewServer(sopts...)
	usersv1rpcx.RegisterUsersServer(srv, impl)
	network := rpcxtest.NewNetwork()
	l := network.Listener()
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.Serve(l)
	}()
	conn, err := rpcx.Dial("users:7000", rpcx.WithDialer(network.Dial))
	if err != nil {
		log.Fatal(err)
	}
	return conn, func() {
		conn.Close()
		srv.Close()
		<-done
	}
}

func ExampleNewServer() {
	srv := rpcx.NewServer(rpcx.WithMaxMessageSize(1 << 20))
	usersv1rpcx.RegisterUsersServer(srv, users{})

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- srv.Serve(l) }()

	conn, err := rpcx.Dial(l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	user, err := usersv1rpcx.NewUsersClient(conn).Get(context.Background(), &usersv1.GetRequest{Id: 7})
	fmt.Println(user.GetName(), err)

	// Calls that run may end; new ones go elsewhere.
	fmt.Println(srv.Shutdown(context.Background()))
	fmt.Println(<-served)
	// Output:
	// Ann <nil>
	// <nil>
	// rpcx: the server is closed
}

// A server that runs until its context is done. It ends without failing the
// calls that run then.
func ExampleServer_ListenAndServe() {
	srv := rpcx.NewServer()
	usersv1rpcx.RegisterUsersServer(srv, users{})

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	fmt.Println(srv.ListenAndServe(ctx, "127.0.0.1:0"))
	// Output: <nil>
}

func ExampleDial() {
	// Nothing is connected yet: the first call does that, and each call after a
	// connection was lost.
	conn, err := rpcx.Dial("localhost:1", rpcx.WithDefaultCallOptions(rpcx.WithTimeout(time.Second)))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()

	_, err = usersv1rpcx.NewUsersClient(conn).Get(context.Background(), &usersv1.GetRequest{Id: 7})
	fmt.Println(status.CodeOf(err), status.FromError(err).NotRun())

	_, err = rpcx.Dial("localhost")
	fmt.Println(err != nil)
	// Output:
	// UNAVAILABLE true
	// true
}

// Options of a call: a timeout, metadata to send, and where to put what comes back.
func ExampleCallOption() {
	conn, stop := serveUsers()
	defer stop()

	var header metadata.MD
	user, err := usersv1rpcx.NewUsersClient(conn).Get(context.Background(), &usersv1.GetRequest{Id: 7},
		rpcx.WithTimeout(5*time.Second),
		rpcx.WithWaitForReady(true),
		rpcx.WithMetadata(metadata.Pairs("tenant", "acme")),
		rpcx.Header(&header))
	fmt.Println(user.GetName(), header.Get("served-by"), err)
	// Output: Ann node-3 <nil>
}

func ExampleHeader() {
	conn, stop := serveUsers()
	defer stop()

	var header metadata.MD
	_, err := usersv1rpcx.NewUsersClient(conn).Get(context.Background(), &usersv1.GetRequest{Id: 7}, rpcx.Header(&header))
	fmt.Println(header.Get("served-by"), err)
	// Output: node-3 <nil>
}

// A handler sets headers through its context.
func ExampleSetHeader() {
	caller := rpcxtest.Local(func(srv rpcx.Registrar) { usersv1rpcx.RegisterUsersServer(srv, users{}) })
	var header metadata.MD
	_, err := usersv1rpcx.NewUsersClient(caller).Get(context.Background(), &usersv1.GetRequest{Id: 7}, rpcx.Header(&header))
	fmt.Println(header.Get("served-by"), err)

	// Elsewhere there is no response to add to.
	fmt.Println(status.CodeOf(rpcx.SetHeader(context.Background(), metadata.Pairs("a", "b"))))
	// Output:
	// node-3 <nil>
	// INTERNAL
}

// One interceptor sees calls of all kinds. On a server it may refuse a call
// before its request is decoded.
func ExampleWithInterceptors() {
	auth := func(ctx context.Context, c *call.Call, next call.Next) error {
		if c.RequestHeader().Get("token") != "secret" {
			return status.Errorf(status.Unauthenticated, "%s needs a token", c.Method().Name())
		}
		return next(ctx, c)
	}
	audit := func(ctx context.Context, c *call.Call, next call.Next) error {
		err := next(ctx, c)
		fmt.Println("audit:", c.Method(), status.CodeOf(err))
		return err
	}
	conn, stop := serveUsers(rpcx.WithInterceptors(audit, auth))
	defer stop()
	client := usersv1rpcx.NewUsersClient(conn)

	_, err := client.Get(context.Background(), &usersv1.GetRequest{Id: 7})
	fmt.Println(err)
	ctx := metadata.AppendToOutgoingContext(context.Background(), "token", "secret")
	user, err := client.Get(ctx, &usersv1.GetRequest{Id: 7})
	fmt.Println(user.GetName(), err)
	// Output:
	// audit: /golden.users.v1.Users/Get UNAUTHENTICATED
	// UNAUTHENTICATED: Get needs a token
	// audit: /golden.users.v1.Users/Get OK
	// Ann <nil>
}

// A client's interceptor may call next again for a unary call: each call of it
// is an attempt.
func ExampleWithInterceptors_retry() {
	srv := rpcx.NewServer()
	usersv1rpcx.RegisterUsersServer(srv, users{})
	network := rpcxtest.NewNetwork()
	l := network.Listener()
	go srv.Serve(l)
	defer srv.Close()

	retry := func(ctx context.Context, c *call.Call, next call.Next) (err error) {
		for range 3 {
			if err = next(ctx, c); status.CodeOf(err) != status.Unavailable {
				break
			}
		}
		return err
	}
	attempts := 0
	flaky := func(ctx context.Context, c *call.Call, next call.Next) error {
		if attempts++; attempts < 3 {
			return status.Errorf(status.Unavailable, "not now")
		}
		return next(ctx, c)
	}
	conn, err := rpcx.Dial("users:7000", rpcx.WithDialer(network.Dial), rpcx.WithInterceptors(retry, flaky))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	user, err := usersv1rpcx.NewUsersClient(conn).Get(context.Background(), &usersv1.GetRequest{Id: 7})
	fmt.Println(user.GetName(), err, "after", attempts, "attempts")
	// Output: Ann <nil> after 3 attempts
}

// strict refuses to delete anybody soon.
type strict struct{ users }

func (strict) Delete(context.Context, *usersv1.GetRequest) (*usersv1.DeleteResponse, error) {
	err, detailErr := status.New(status.FailedPrecondition, "the user is active").WithDetails(durationpb.New(time.Hour))
	if detailErr != nil {
		return nil, detailErr
	}
	return nil, err
}

// Errors carry a code, a message and typed details.
func Example_errors() {
	conn, stop := serve(strict{})
	defer stop()
	client := usersv1rpcx.NewUsersClient(conn)

	_, err := client.Get(context.Background(), &usersv1.GetRequest{Id: 8})
	fmt.Println(err)

	_, err = client.Delete(context.Background(), &usersv1.GetRequest{Id: 7})
	fmt.Println(status.CodeOf(err) == status.FailedPrecondition, status.FromError(err).Message())
	if wait, ok := status.DetailAs[*durationpb.Duration](err); ok {
		fmt.Println("try again in", wait.AsDuration())
	}
	// Output:
	// NOT_FOUND: user 8 does not exist
	// true the user is active
	// try again in 1h0m0s
}

// A test needs no real network: rpcxtest.Network is one in memory, which also
// works under testing/synctest.
func Example_testing() {
	network := rpcxtest.NewNetwork()
	srv := rpcx.NewServer()
	usersv1rpcx.RegisterUsersServer(srv, users{})
	l := network.Listener()
	go srv.Serve(l)
	defer srv.Close()

	conn, err := rpcx.Dial("users:7000", rpcx.WithDialer(network.Dial))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	client := usersv1rpcx.NewUsersClient(conn)

	user, err := client.Get(context.Background(), &usersv1.GetRequest{Id: 7})
	fmt.Println(user.GetName(), err)
	// Output: Ann <nil>
}
