package peers

import (
	"context"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/rpcx-go/rpcx/bench/gen/echo"
	"github.com/rpcx-go/rpcx/bench/workload"
)

// grpc-go with its defaults, but for TLS.
func init() {
	workload.Register(workload.Peer{
		Name:  "grpc",
		Kinds: []workload.Kind{workload.Unary, workload.ServerStream, workload.Bidi},
		Serve: serveGRPC,
		Dial:  dialGRPC,
	})
}

func serveGRPC(lis net.Listener) error {
	srv := grpc.NewServer()
	echo.RegisterEchoSvcServer(srv, grpcServer{})
	return srv.Serve(lis)
}

func dialGRPC(addr string, cell workload.Cell) (workload.NewCaller, error) {
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	stub := echo.NewEchoSvcClient(conn)
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

type grpcServer struct {
	echo.UnimplementedEchoSvcServer
}

func (grpcServer) Unary(_ context.Context, in *echo.Echo) (*echo.Echo, error) {
	return echoOf(in), nil
}

func (grpcServer) ServerStream(req *echo.StreamReq, stream grpc.ServerStreamingServer[echo.Echo]) error {
	return sendAll(req, stream.Send)
}

func (grpcServer) Bidi(stream grpc.BidiStreamingServer[echo.Echo, echo.Echo]) error {
	return echoAll(stream.Recv, stream.Send)
}
