package health

import (
	"context"
	"fmt"

	"github.com/rpcx-go/rpcx/runtime/internal/grpcproto"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// Ask returns a function for rpcx.WithHealthCheck that asks a server how service,
// by its full name, or the server as a whole, "", is. Every answer but SERVING is an
// error, also that the service is not known. A server that does not answer such
// questions counts as serving.
func Ask(service string) func(ctx context.Context, server rpcx.Caller) error {
	return func(ctx context.Context, server rpcx.Caller) error {
		m := methods()["Check"]
		req, res := m.NewRequest(), m.NewResponse()
		grpcproto.Of(req).Set("service", service)
		switch err := server.CallUnary(ctx, m, req, res); {
		case status.CodeOf(err) == status.Unimplemented:
			return nil
		case err != nil:
			return err
		}
		if s := Status(grpcproto.Of(res).Enum("status")); s != Serving {
			return fmt.Errorf("service %q is %v", service, s)
		}
		return nil
	}
}
