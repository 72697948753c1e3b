package peers

import (
	"context"
	"net/rpc"

	"github.com/rpcx-go/rpcx/bench/gen/echo"
	"github.com/rpcx-go/rpcx/bench/workload"
)

// net/rpc with gob, which has no streams and no contexts.
func init() {
	workload.Register(workload.Peer{
		Name:  "netrpc",
		Order: orderOthers,
		Kinds: every(workload.ServerStream, workload.Bidi, workload.Mixed),
		Serve: func(lis workload.Listener) error {
			srv := rpc.NewServer()
			if err := srv.RegisterName("EchoSvc", NetRPCServer{}); err != nil {
				return err
			}
			srv.Accept(lis.Secured())
			return nil
		},
		Dial: func(to workload.Target) (workload.Client, error) {
			nc, err := to.Connect()
			if err != nil {
				return nil, err
			}
			conn := rpc.NewClient(nc)
			return client{
				close: conn.Close,
				unary: func(_ context.Context, in *echo.Echo) (*echo.Echo, error) {
					out := new(NetRPCEcho)
					if err := conn.Call("EchoSvc.Unary", (*NetRPCEcho)(in), out); err != nil {
						return nil, err
					}
					return (*echo.Echo)(out), nil
				},
			}, nil
		},
	})
}

// NetRPCEcho is the message as gob takes it: the fields that are exported.
type NetRPCEcho echo.Echo

// NetRPCServer is the service; net/rpc wants its type and methods exported.
type NetRPCServer struct{}

// Unary returns what it is sent.
func (NetRPCServer) Unary(in, out *NetRPCEcho) error {
	workload.Handlers.Pass()
	out.Payload, out.Seq, out.Tag = in.Payload, in.Seq, in.Tag
	return nil
}
