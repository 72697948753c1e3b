// Command connectserver serves one method.
package main

import (
	"context"
	"net/http"
	"os"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func main() {
	srv := connect.NewServer()
	srv.Register(connect.Method{
		Spec: connect.Spec{Procedure: "/echo.v1.Echo/Echo"},
		Handler: func(_ context.Context, _ connect.Spec, s connect.ServerStream) error {
			req := new(wrapperspb.StringValue)
			if err := s.Receive(req); err != nil {
				return err
			}
			return s.Send(req)
		},
	})
	mux := http.NewServeMux()
	connecthttp.Mount(mux, srv)
	panic(http.ListenAndServe(os.Args[1], mux))
}
