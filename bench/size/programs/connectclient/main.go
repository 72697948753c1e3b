// Command connectclient calls one method.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func main() {
	client := connect.NewClient(connecthttp.NewTransport(http.DefaultClient, os.Args[1]))
	res := new(wrapperspb.StringValue)
	err := client.CallUnary(context.Background(), connect.Spec{Procedure: "/echo.v1.Echo/Echo"}, wrapperspb.String("hello"), res)
	fmt.Println(res, err)
}
