package rpcxtest_test

import (
	"context"
	"fmt"
	"io"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// Generated code makes the method, the handler and the call; they stand here to
// show what Local does with them.
func ExampleLocal() {
	greet := rpcx.NewMethod[wrapperspb.StringValue, wrapperspb.StringValue](
		rpcx.MethodSpec{Service: "greet.v1.Greeter", Name: "Greet"})

	caller := rpcxtest.Local(func(srv rpcx.Registrar) {
		srv.Register(rpcx.UnaryHandler(greet,
			func(_ context.Context, req *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
				if req.GetValue() == "" {
					return nil, status.Errorf(status.InvalidArgument, "name is empty")
				}
				return wrapperspb.String("hello, " + req.GetValue()), nil
			}))
	})

	res, _ := rpcx.CallUnary(context.Background(), caller, greet, wrapperspb.String("ann"))
	fmt.Println(res.GetValue())
	_, err := rpcx.CallUnary(context.Background(), caller, greet, wrapperspb.String(""))
	fmt.Println(err)
	// Output:
	// hello, ann
	// INVALID_ARGUMENT: name is empty
}

// A Recorder is for hand-written fakes; generated ones have their own.
func ExampleRecorder() {
	type mail struct{ to, text string }
	var sent rpcxtest.Recorder[mail]

	send := func(to, text string) { sent.Record(mail{to, text}) }
	send("ann", "hello")
	send("bob", "bye")

	fmt.Println(sent.Count(), "mails, the last one to", sent.Calls()[1].to)
	// Output: 2 mails, the last one to bob
}

// Server and client as in production, but for the network. Generated code
// stands for the method, its handler and the call.
func ExampleNewNetwork() {
	greet := rpcx.NewMethod[wrapperspb.StringValue, wrapperspb.StringValue](
		rpcx.MethodSpec{Service: "greet.v1.Greeter", Name: "Greet"})
	srv := rpcx.NewServer()
	srv.Register(rpcx.UnaryHandler(greet,
		func(_ context.Context, req *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
			return wrapperspb.String("hello, " + req.GetValue()), nil
		}))

	network := rpcxtest.NewNetwork()
	l := network.Listener()
	go srv.Serve(l)
	defer srv.Close()

	conn, err := rpcx.Dial("greeter:7000", rpcx.WithDialer(network.Dial))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	res, err := rpcx.CallUnary(context.Background(), conn, greet, wrapperspb.String("ann"))
	fmt.Println(res.GetValue(), err)
	// Output: hello, ann <nil>
}

// A connection that delivers five bytes and is then reset.
func ExampleNewFault() {
	network := rpcxtest.NewNetwork()
	l := network.Listener()
	defer l.Close()
	c, err := network.Dial(context.Background(), "tcp", "users")
	if err != nil {
		fmt.Println(err)
		return
	}
	faulty := rpcxtest.NewFault(c,
		rpcxtest.Step{In: rpcxtest.Outbound, After: 2, Do: rpcxtest.Split(1)},
		rpcxtest.Step{In: rpcxtest.Outbound, After: 5, Do: rpcxtest.RST()},
	)
	defer faulty.Close()
	n, err := io.WriteString(faulty, "hello, world")
	fmt.Println(n, err)
	// Output: 5 write mem client-1->users: connection reset by peer
}
