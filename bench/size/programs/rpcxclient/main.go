// Command rpcxclient calls one method.
package main

import (
	"context"
	"fmt"
	"os"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/rpcx"
)

var echo = rpcx.NewMethod[wrapperspb.StringValue, wrapperspb.StringValue](rpcx.MethodSpec{Service: "echo.v1.Echo", Name: "Echo"})

func main() {
	conn, err := rpcx.Dial(os.Args[1])
	if err != nil {
		panic(err)
	}
	fmt.Println(rpcx.CallUnary(context.Background(), conn, echo, wrapperspb.String("hello")))
}
