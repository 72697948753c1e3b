package rpcx_test

import (
	"context"
	"fmt"
	"net"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/health"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
)

// Servers put themselves into a registry, and clients find them there. A
// registry in memory serves one process; contrib has others.
func ExampleWithRegistration() {
	var registry address.Registry
	for zone := range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			fmt.Println(err)
			return
		}
		srv := rpcx.NewServer(rpcx.WithRegistration(&registry, "echo", address.Endpoint{Zone: fmt.Sprint("zone-", zone)}))
		(&echo{}).register(srv)
		go srv.Serve(l)
		defer srv.Close()
	}

	conn, err := rpcx.Dial("registry:///echo", rpcx.WithResolver("registry", &registry))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	res, err := rpcx.CallUnary(context.Background(), conn, echoUnary, wrapperspb.String("hello"), rpcx.WithWaitForReady(true))
	fmt.Println(res.GetValue(), err)
	// Output: hello <nil>
}

// The target says which servers there are; the options, how calls are spread.
func ExampleWithBalancer() {
	conn, err := rpcx.Dial("static:///10.0.0.1:7000,10.0.0.2:7000;weight=3?zone=a",
		rpcx.WithBalancer(address.RoundRobin{}),
		rpcx.WithHealthCheck(5*time.Second, health.Ask("users.v1.Users")),
		rpcx.WithIdleTimeout(10*time.Minute))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	all, err := conn.Instances(context.Background())
	for _, one := range all {
		fmt.Println(one.Endpoint(), one.Endpoint().Weight, one.Endpoint().Zone)
	}
	fmt.Println(err)
	// Output:
	// tcp://10.0.0.1:7000 0 a
	// tcp://10.0.0.2:7000 3 a
	// <nil>
}
