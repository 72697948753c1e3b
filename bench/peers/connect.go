package peers

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/rpcx-go/rpcx/bench/gen/echo"
	"github.com/rpcx-go/rpcx/bench/gen/echo/echoconnect"
	"github.com/rpcx-go/rpcx/bench/workload"
)

// connect-go with its own protocol, over HTTP/1.1 with a connection per call in
// flight, and over HTTP/2 with one for all. It does not compress, has vtprotobuf's
// codec, and larger buffers and windows than net/http by default.
func init() {
	workload.Register(workload.Peer{
		Name:  "connect-h1",
		Order: orderOthers,
		Kinds: every(workload.Bidi),
		Serve: serveConnect,
		Dial: func(to workload.Target) (workload.Client, error) {
			return dialConnect(to, func(p *http.Protocols) { p.SetHTTP1(true) })
		},
	})
	workload.Register(workload.Peer{
		Name:  "connect-h2",
		Order: orderOthers,
		Kinds: all,
		Serve: serveConnect,
		Dial: func(to workload.Target) (workload.Client, error) {
			return dialConnect(to, func(p *http.Protocols) {
				p.SetHTTP2(to.TLS != nil)
				p.SetUnencryptedHTTP2(to.TLS == nil)
			})
		},
	})
}

// connectCallers is how many callers one client must have room for.
const connectCallers = 4096

func connectHTTP2() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams:          connectCallers,
		MaxReceiveBufferPerConnection: 16 << 20,
		MaxReceiveBufferPerStream:     4 << 20,
		MaxReadFrameSize:              1 << 20,
	}
}

func connectOptions() []connecthttp.Option {
	return []connecthttp.Option{
		connecthttp.WithCompressors(),
		connecthttp.WithCodecs(&connectCodec{}),
	}
}

func serveConnect(lis workload.Listener) error {
	handlers := connect.NewServer()
	echoconnect.RegisterEchoSvcHandler(handlers, connectServer{})
	mux := http.NewServeMux()
	connecthttp.Mount(mux, handlers, connectOptions()...)
	srv := &http.Server{Handler: mux, Protocols: new(http.Protocols), HTTP2: connectHTTP2(), TLSConfig: lis.TLS}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetHTTP2(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	if lis.TLS != nil {
		return srv.ServeTLS(lis, "", "")
	}
	return srv.Serve(lis)
}

func dialConnect(to workload.Target, choose func(*http.Protocols)) (workload.Client, error) {
	transport := &http.Transport{
		MaxIdleConns: connectCallers, MaxIdleConnsPerHost: connectCallers, IdleConnTimeout: time.Hour,
		DisableCompression: true,
		TLSClientConfig:    to.TLS,
		Protocols:          new(http.Protocols), HTTP2: connectHTTP2(),
		WriteBufferSize: 64 << 10, ReadBufferSize: 64 << 10,
	}
	choose(transport.Protocols)
	base, scheme := to.Addr, "http://"
	if to.TLS != nil {
		scheme = "https://"
	}
	if to.Network == "unix" {
		base = "localhost"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", to.Addr)
		}
	}
	stub := echoconnect.NewEchoSvcClient(connect.NewClient(
		connecthttp.NewTransport(&http.Client{Transport: transport}, scheme+base, connectOptions()...)))
	return client{
		close: func() error { transport.CloseIdleConnections(); return nil },
		unary: stub.Unary,
		serverStream: func(ctx context.Context, in *echo.StreamReq) (receiver, error) {
			stream, err := stub.ServerStream(ctx, in)
			return connectReceiver[echoconnect.EchoSvcServerStreamClientStream]{stream}, err
		},
		bidi: func(ctx context.Context) (bidiStream, error) {
			stream, err := stub.Bidi(ctx)
			return connectBidi{stream, connectReceiver[echoconnect.EchoSvcBidiClientStream]{stream}}, err
		},
	}, nil
}

// connectReceiver gives a stream the names that callers know.
type connectReceiver[S interface{ Receive() (*echo.Echo, error) }] struct{ stream S }

func (r connectReceiver[S]) Recv() (*echo.Echo, error) { return r.stream.Receive() }

type connectBidi struct {
	echoconnect.EchoSvcBidiClientStream
	connectReceiver[echoconnect.EchoSvcBidiClientStream]
}

type connectServer struct{}

func (connectServer) Unary(_ context.Context, in *echo.Echo) (*echo.Echo, error) {
	return echoOf(in), nil
}

func (connectServer) ServerStream(_ context.Context, req *echo.StreamReq, stream echoconnect.EchoSvcServerStreamServerStream) error {
	return sendAll(req, stream.Send)
}

func (connectServer) Bidi(_ context.Context, stream echoconnect.EchoSvcBidiServerStream) error {
	return echoAll(stream.Receive, stream.Send)
}

// connectCodec marshals with vtprotobuf's code.
type connectCodec struct{ buffers sync.Pool }

func (*connectCodec) Name() string { return connect.CodecNameProto }

// buffer returns an empty buffer, which goes to c.buffers when it has been used.
func (c *connectCodec) buffer() *bytes.Buffer {
	if b, ok := c.buffers.Get().(*bytes.Buffer); ok {
		b.Reset()
		return b
	}
	return new(bytes.Buffer)
}

func (c *connectCodec) MarshalWrite(_ context.Context, dst io.Writer, v any) error {
	m := v.(vtMessage)
	size := m.SizeVT()
	b := c.buffer()
	defer c.buffers.Put(b)
	b.Grow(size)
	data := b.AvailableBuffer()[:size]
	if _, err := m.MarshalToSizedBufferVT(data); err != nil {
		return err
	}
	_, err := dst.Write(data)
	return err
}

func (c *connectCodec) UnmarshalRead(_ context.Context, src io.Reader, v any) error {
	b := c.buffer()
	defer c.buffers.Put(b)
	if _, err := b.ReadFrom(src); err != nil {
		return err
	}
	return v.(vtMessage).UnmarshalVT(b.Bytes())
}
