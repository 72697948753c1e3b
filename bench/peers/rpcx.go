package peers

import (
	"context"

	"github.com/rpcx-go/rpcx/bench/gen/echo"
	"github.com/rpcx-go/rpcx/bench/gen/echo/echorpcx"
	"github.com/rpcx-go/rpcx/bench/workload"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
)

// rpcx with its defaults; with a handler that is marked non-blocking; with a method
// that is declared free of side effects where connections are short; and with several
// connections where messages are large.
func init() {
	workload.Register(workload.Peer{
		Name:  "rpcx",
		Order: orderRPCX,
		Kinds: all,
		Serve: serveRPCX,
		Dial: func(to workload.Target) (workload.Client, error) {
			return dialRPCX(to)
		},
	})
	workload.Register(workload.Peer{
		Name:  "rpcx-inline",
		Order: orderRPCX,
		Kinds: []workload.Kind{workload.Unary},
		Serve: serveRPCX,
		Dial:  dialRPCXInline,
	})
	workload.Register(workload.Peer{
		Name:  "rpcx-early",
		Order: orderRPCX,
		Kinds: []workload.Kind{workload.Short},
		Serve: serveRPCX,
		Dial:  dialRPCXEarly,
	})
	workload.Register(workload.Peer{
		Name:  "rpcx-4conns",
		Order: orderRPCX,
		Kinds: []workload.Kind{workload.Unary, workload.Mixed},
		Fits: func(c workload.Cell) bool {
			return c.Kind == workload.Mixed || c.Bytes >= 64<<10 && c.Callers > 1
		},
		Serve: serveRPCX,
		Dial: func(to workload.Target) (workload.Client, error) {
			return dialRPCX(to, rpcx.WithConnections(4))
		},
	})
}

func serveRPCX(lis workload.Listener) error { return serveRPCXWith(lis) }

func serveRPCXWith(lis workload.Listener, opts ...rpcx.ServerOption) error {
	if lis.TLS != nil {
		opts = append(opts, rpcx.WithTLS(lis.TLS))
	}
	srv := rpcx.NewServer(opts...)
	echorpcx.RegisterEchoSvcServer(srv, rpcxServer{})
	echorpcx.RegisterEchoInlineServer(srv, rpcxServer{})
	echorpcx.RegisterEchoPureServer(srv, rpcxServer{})
	return srv.Serve(lis)
}

func connectRPCX(to workload.Target, opts ...rpcx.DialOption) (*rpcx.Conn, error) {
	target := to.Addr
	if to.Network == "unix" {
		target = "unix://" + to.Addr
	}
	if to.TLS != nil {
		opts = append(opts, rpcx.WithTLS(to.TLS))
	}
	return rpcx.Dial(target, opts...)
}

func dialRPCX(to workload.Target, opts ...rpcx.DialOption) (workload.Client, error) {
	conn, err := connectRPCX(to, opts...)
	if err != nil {
		return nil, err
	}
	stub := echorpcx.NewEchoSvcClient(conn)
	return client{
		close: conn.Close,
		unary: func(ctx context.Context, in *echo.Echo) (*echo.Echo, error) {
			return stub.Unary(ctx, in)
		},
		serverStream: func(ctx context.Context, in *echo.StreamReq) (receiver, error) {
			return stub.ServerStream(ctx, in)
		},
		bidi: func(ctx context.Context) (bidiStream, error) {
			return stub.Bidi(ctx)
		},
	}, nil
}

func dialRPCXInline(to workload.Target) (workload.Client, error) {
	return dialRPCXUnary(to, func(conn *rpcx.Conn) unaryStub { return echorpcx.NewEchoInlineClient(conn) })
}

func dialRPCXEarly(to workload.Target) (workload.Client, error) {
	return dialRPCXUnary(to, func(conn *rpcx.Conn) unaryStub { return echorpcx.NewEchoPureClient(conn) })
}

// unaryStub is the stub of a service that has the unary method only.
type unaryStub interface {
	Unary(ctx context.Context, in *echo.Echo, opts ...rpcx.CallOption) (*echo.Echo, error)
}

func dialRPCXUnary(to workload.Target, stubOf func(*rpcx.Conn) unaryStub) (workload.Client, error) {
	conn, err := connectRPCX(to)
	if err != nil {
		return nil, err
	}
	stub := stubOf(conn)
	return client{
		close: conn.Close,
		unary: func(ctx context.Context, in *echo.Echo) (*echo.Echo, error) {
			return stub.Unary(ctx, in)
		},
	}, nil
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
