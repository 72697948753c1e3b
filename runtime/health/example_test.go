package health_test

import (
	"github.com/rpcx-go/rpcx/runtime/health"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
)

func ExampleRegister() {
	srv := rpcx.NewServer()
	h := health.Register(srv)
	h.SetStatus("users.v1.Users", health.NotServing) // until its caches are warm
	go func() {
		// … warm them
		h.SetStatus("users.v1.Users", health.Serving)
	}()
}
