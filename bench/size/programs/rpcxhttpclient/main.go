// Command rpcxhttpclient calls one method of a gRPC server.
package main

import (
	"context"
	"fmt"
	"os"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxhttp"
)

var echo = rpcx.NewMethod[wrapperspb.StringValue, wrapperspb.StringValue](rpcx.MethodSpec{Service: "echo.v1.Echo", Name: "Echo"})

func main() {
	conn, err := rpcx.Dial(os.Args[1], rpcxhttp.WithGRPC())
	if err != nil {
		panic(err)
	}
	fmt.Println(rpcx.CallUnary(context.Background(), conn, echo, wrapperspb.String("hello")))
}
