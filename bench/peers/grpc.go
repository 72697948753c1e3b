package peers

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"

	"github.com/rpcx-go/rpcx/bench/gen/echo"
	"github.com/rpcx-go/rpcx/bench/workload"
)

// grpc-go with its defaults, but that calls wait for a connection, and with the options that are usually recommended:
// a few stream workers, larger buffers and windows, and vtprotobuf's codec.
func init() {
	workload.Register(grpcPeer("grpc", nil, nil))
	workload.Register(grpcPeer("grpc-tuned",
		[]grpc.ServerOption{
			grpc.NumStreamWorkers(4),
			grpc.WriteBufferSize(128 << 10), grpc.ReadBufferSize(128 << 10),
			grpc.InitialWindowSize(4 << 20), grpc.InitialConnWindowSize(16 << 20),
			grpc.ForceServerCodecV2(grpcCodec{}),
		},
		[]grpc.DialOption{
			grpc.WithWriteBufferSize(128 << 10), grpc.WithReadBufferSize(128 << 10),
			grpc.WithInitialWindowSize(4 << 20), grpc.WithInitialConnWindowSize(16 << 20),
			grpc.WithDefaultCallOptions(grpc.ForceCodecV2(grpcCodec{})),
			grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(),
		}))
}

func grpcPeer(name string, serverOptions []grpc.ServerOption, dialOptions []grpc.DialOption) workload.Peer {
	return workload.Peer{
		Name:  name,
		Order: orderGRPC,
		Kinds: all,
		Serve: func(lis workload.Listener) error {
			opts := serverOptions
			if lis.TLS != nil {
				opts = append(opts[:len(opts):len(opts)], grpc.Creds(credentials.NewTLS(lis.TLS)))
			}
			srv := grpc.NewServer(opts...)
			echo.RegisterEchoSvcServer(srv, grpcServer{})
			return srv.Serve(lis)
		},
		Dial: func(to workload.Target) (workload.Client, error) {
			target, secured := "passthrough:///"+to.Addr, insecure.NewCredentials()
			if to.Network == "unix" {
				target = "unix://" + to.Addr
			}
			if to.TLS != nil {
				secured = credentials.NewTLS(to.TLS)
			}
			return dialGRPC(target, append(dialOptions[:len(dialOptions):len(dialOptions)], grpc.WithTransportCredentials(secured),
				grpc.WithDefaultCallOptions(grpc.WaitForReady(true))))
		},
	}
}

func dialGRPC(target string, opts []grpc.DialOption) (workload.Client, error) {
	conn, err := grpc.NewClient(target, opts...)
	if err != nil {
		return nil, err
	}
	stub := echo.NewEchoSvcClient(conn)
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

// grpcCodec marshals with vtprotobuf's code.
type grpcCodec struct{}

var _ encoding.CodecV2 = grpcCodec{}

func (grpcCodec) Name() string { return "proto" }

func (grpcCodec) Marshal(v any) (mem.BufferSlice, error) {
	m := v.(vtMessage)
	size := m.SizeVT()
	if mem.IsBelowBufferPoolingThreshold(size) {
		data := make([]byte, size)
		_, err := m.MarshalToSizedBufferVT(data)
		return mem.BufferSlice{mem.SliceBuffer(data)}, err
	}
	pool := mem.DefaultBufferPool()
	data := pool.Get(size)
	*data = (*data)[:size]
	_, err := m.MarshalToSizedBufferVT(*data)
	return mem.BufferSlice{mem.NewBuffer(data, pool)}, err
}

func (grpcCodec) Unmarshal(data mem.BufferSlice, v any) error {
	buffer := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buffer.Free()
	return v.(vtMessage).UnmarshalVT(buffer.ReadOnlyData())
}
