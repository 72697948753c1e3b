package peers

import (
	"context"

	"github.com/containerd/ttrpc"

	"github.com/rpcx-go/rpcx/bench/gen/echo"
	"github.com/rpcx-go/rpcx/bench/workload"
)

// ttrpc with its defaults; it has no options that matter here.
func init() {
	workload.Register(workload.Peer{
		Name:  "ttrpc",
		Order: orderOthers,
		Kinds: all,
		Serve: func(lis workload.Listener) error {
			srv, err := ttrpc.NewServer()
			if err != nil {
				return err
			}
			echo.RegisterTTRPCEchoSvcService(srv, ttrpcServer{})
			return srv.Serve(context.Background(), lis.Secured())
		},
		Dial: dialTTRPC,
	})
}

func dialTTRPC(to workload.Target) (workload.Client, error) {
	nc, err := to.Connect()
	if err != nil {
		return nil, err
	}
	conn := ttrpc.NewClient(nc)
	stub := echo.NewTTRPCEchoSvcClient(conn)
	return client{
		close: conn.Close,
		unary: stub.Unary,
		serverStream: func(ctx context.Context, in *echo.StreamReq) (receiver, error) {
			return stub.ServerStream(ctx, in)
		},
		bidi: func(ctx context.Context) (bidiStream, error) {
			return stub.Bidi(ctx)
		},
	}, nil
}

type ttrpcServer struct{}

func (ttrpcServer) Unary(_ context.Context, in *echo.Echo) (*echo.Echo, error) {
	return echoOf(in), nil
}

func (ttrpcServer) ServerStream(_ context.Context, req *echo.StreamReq, stream echo.TTRPCEchoSvc_ServerStreamServer) error {
	return sendAll(req, stream.Send)
}

func (ttrpcServer) Bidi(_ context.Context, stream echo.TTRPCEchoSvc_BidiServer) error {
	return echoAll(stream.Recv, stream.Send)
}
