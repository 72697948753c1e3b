// Command grpcclient calls one method.
package main

import (
	"context"
	"fmt"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func main() {
	conn, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		panic(err)
	}
	res := new(wrapperspb.StringValue)
	err = conn.Invoke(context.Background(), "/echo.v1.Echo/Echo", wrapperspb.String("hello"), res)
	fmt.Println(res, err)
}
