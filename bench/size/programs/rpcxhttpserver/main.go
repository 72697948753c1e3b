// Command rpcxhttpserver serves one method, over HTTP, too.
package main

import (
	"context"
	"os"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxhttp"
)

var echo = rpcx.NewMethod[wrapperspb.StringValue, wrapperspb.StringValue](rpcx.MethodSpec{Service: "echo.v1.Echo", Name: "Echo"})

func main() {
	srv := rpcx.NewServer(rpcxhttp.WithHTTP())
	srv.Register(rpcx.UnaryHandler(echo, func(_ context.Context, req *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
		return req, nil
	}))
	panic(srv.ListenAndServe(context.Background(), os.Args[1]))
}
