package peers

import (
	"context"
	"net"

	"github.com/rpcx-go/rpcx/bench/gen/echo"
	"github.com/rpcx-go/rpcx/bench/gen/echo/echorpcx"
	"github.com/rpcx-go/rpcx/bench/workload"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
)

// rpcx with its defaults, and the same with a handler that is marked
// non-blocking.
func init() {
	workload.Register(workload.Peer{
		Name:  "rpcx",
		Kinds: []workload.Kind{workload.Unary, workload.ServerStream, workload.Bidi},
		Serve: serveRPCX,
		Dial:  dialRPCX,
	})
	workload.Register(workload.Peer{
		Name:  "rpcx-inline",
		Kinds: []workload.Kind{workload.Unary},
		Serve: serveRPCX,
		Dial:  dialRPCXInline,
	})
}

func serveRPCX(lis net.Listener) error {
	srv := rpcx.NewServer()
	echorpcx.RegisterEchoSvcServer(srv, rpcxServer{})
	echorpcx.RegisterEchoInlineServer(srv, rpcxServer{})
	return srv.Serve(lis)
}

func dialRPCX(addr string, cell workload.Cell) (workload.NewCaller, error) {
	conn, err := rpcx.Dial(addr)
	if err != nil {
		return nil, err
	}
	stub := echorpcx.NewEchoSvcClient(conn)
	c := client{
		unary: func(ctx context.Context, in *echo.Echo) (*echo.Echo, error) {
			return stub.Unary(ctx, in)
		},
		serverStream: func(ctx context.Context, in *echo.StreamReq) (receiver, error) {
			return stub.ServerStream(ctx, in)
		},
		bidi: func(ctx context.Context) (bidiStream, error) {
			return stub.Bidi(ctx)
		},
	}
	return func() (workload.Caller, error) { return c.caller(cell) }, nil
}

func dialRPCXInline(addr string, cell workload.Cell) (workload.NewCaller, error) {
	conn, err := rpcx.Dial(addr)
	if err != nil {
		return nil, err
	}
	stub := echorpcx.NewEchoInlineClient(conn)
	c := client{unary: func(ctx context.Context, in *echo.Echo) (*echo.Echo, error) {
		return stub.Unary(ctx, in)
	}}
	return func() (workload.Caller, error) { return c.caller(cell) }, nil
}

type rpcxServer struct{}

func (rpcxServer) Unary(_ context.Context, in *echo.Echo) (*echo.Echo, error) {
	return echoOf(in), nil
}

func (rpcxServer) ServerStream(_ context.Context, req *echo.StreamReq, stream rpcx.ServerStreamingServer[echo.Echo]) error {
	return sendAll(req, stream.Send)
}

func (rpcxServer) Bidi(_ context.Context, stream rpcx.BidiStreamingServer[echo.Echo, echo.Echo]) error {
	return echoAll(stream.Recv, stream.Send)
}
