package peers

import (
	"context"
	"errors"

	"storj.io/drpc/drpcconn"
	"storj.io/drpc/drpcmux"
	"storj.io/drpc/drpcserver"

	"github.com/rpcx-go/rpcx/bench/gen/echo"
	"github.com/rpcx-go/rpcx/bench/workload"
)

// drpc makes one call at a time over a connection, so that every caller has its own.
func init() {
	workload.Register(workload.Peer{
		Name:  "drpc",
		Order: orderOthers,
		Kinds: all,
		Serve: func(lis workload.Listener) error {
			mux := drpcmux.New()
			if err := echo.DRPCRegisterEchoSvc(mux, drpcServer{}); err != nil {
				return err
			}
			return drpcserver.New(mux).Serve(context.Background(), lis.Secured())
		},
		Dial: func(to workload.Target) (workload.Client, error) {
			return &drpcClient{to: to}, nil
		},
	})
}

// drpcClient has a connection for each caller, made by its first call.
type drpcClient struct {
	to    workload.Target
	conns []*client
}

func (c *drpcClient) NewCaller(cell workload.Cell) (workload.Caller, error) {
	conn := new(client)
	c.conns = append(c.conns, conn)
	var call workload.Caller
	return func() (err error) {
		if call == nil {
			if *conn, err = dialDRPC(c.to); err != nil {
				return err
			}
			if call, err = conn.NewCaller(cell); err != nil {
				return err
			}
		}
		return call()
	}, nil
}

func (c *drpcClient) Close() error {
	var errs []error
	for _, conn := range c.conns {
		if conn.close != nil {
			errs = append(errs, conn.Close())
		}
	}
	return errors.Join(errs...)
}

func dialDRPC(to workload.Target) (client, error) {
	nc, err := to.Connect()
	if err != nil {
		return client{}, err
	}
	conn := drpcconn.New(nc)
	stub := echo.NewDRPCEchoSvcClient(conn)
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

type drpcServer struct{}

func (drpcServer) Unary(_ context.Context, in *echo.Echo) (*echo.Echo, error) {
	return echoOf(in), nil
}

func (drpcServer) ServerStream(req *echo.StreamReq, stream echo.DRPCEchoSvc_ServerStreamStream) error {
	return sendAll(req, stream.Send)
}

func (drpcServer) Bidi(stream echo.DRPCEchoSvc_BidiStream) error {
	return echoAll(stream.Recv, stream.Send)
}
