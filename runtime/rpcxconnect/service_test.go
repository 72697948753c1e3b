package rpcxconnect_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxconnect"
	"github.com/rpcx-go/rpcx/runtime/rpcxhttp"
	pingv1 "github.com/rpcx-go/rpcx/testdata/connect/gen/ping/v1"
	"github.com/rpcx-go/rpcx/testdata/connect/gen/ping/v1/pingv1connect"
)

// ping is the service as users of connect write it. All calls are answered with
// the header that they send and a trailer.
type ping struct{}

const echoed, echoedBin, trailer = "X-Echo", "X-Echo-Bin", "X-Trail"

func meta(ctx context.Context) *connect.CallInfo {
	info, _ := connect.CallInfoForServerContext(ctx)
	for _, key := range []string{echoed, echoedBin} {
		for _, v := range info.RequestHeader().Values(key) {
			info.ResponseHeader().Add(key, v)
		}
	}
	info.ResponseTrailer().Set(trailer, "the end")
	return info
}

func (ping) Ping(ctx context.Context, req *pingv1.PingRequest) (*pingv1.PingResponse, error) {
	meta(ctx)
	return &pingv1.PingResponse{Text: req.Text, Note: req.Note, Notes: req.Notes, Named: req.Named}, nil
}

func (ping) Fail(ctx context.Context, req *pingv1.FailRequest) (*pingv1.FailResponse, error) {
	meta(ctx)
	switch req.Code {
	case 0:
		return nil, errors.New("a secret")
	case -1:
		return nil, connect.NewError(connect.CodeNotFound, "of another server").WithRemote()
	}
	return nil, failure(connect.Code(req.Code))
}

func failure(code connect.Code) error {
	d, err := connectproto.NewErrorDetail(durationpb.New(7))
	if err != nil {
		return err
	}
	return connect.NewError(code, "as asked").WithDetail(d)
}

func (ping) Hang(ctx context.Context, _ *pingv1.HangRequest) (*pingv1.HangResponse, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (ping) Sum(ctx context.Context, s pingv1connect.PingServiceSumServerStream) (*pingv1.SumResponse, error) {
	meta(ctx)
	sum := int64(0)
	for {
		m, err := s.Receive()
		if errors.Is(err, io.EOF) {
			return &pingv1.SumResponse{Sum: sum}, nil
		}
		if err != nil {
			return nil, err
		}
		sum += m.Number
	}
}

func (ping) CountUp(ctx context.Context, req *pingv1.CountUpRequest, s pingv1connect.PingServiceCountUpServerStream) error {
	meta(ctx)
	if err := s.SendHeaders(); err != nil {
		return err
	}
	for i := range max(req.Number, -req.Number) {
		if err := s.Send(&pingv1.CountUpResponse{Number: i + 1}); err != nil {
			return err
		}
	}
	if req.Number < 0 {
		return failure(connect.CodeOutOfRange)
	}
	return nil
}

func (ping) CumSum(ctx context.Context, s pingv1connect.PingServiceCumSumServerStream) error {
	meta(ctx)
	sum := int64(0)
	for {
		m, err := s.Receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		sum += m.Number
		if err := s.Send(&pingv1.CumSumResponse{Sum: sum}); err != nil {
			return err
		}
	}
}

// server returns connect's own server of the service.
func server(interceptors ...connect.ServerInterceptor) *connect.Server {
	s := connect.NewServer(interceptors...)
	pingv1connect.RegisterPingServiceHandler(s, ping{})
	return s
}

// ways are how a client of connect reaches its server. The first is connect alone,
// against which the others are held.
var ways = map[string]func(t *testing.T, s *connect.Server) connect.Transport{
	"connect over HTTP": func(t *testing.T, s *connect.Server) connect.Transport {
		mux := http.NewServeMux()
		connecthttp.Mount(mux, s)
		srv := httptest.NewUnstartedServer(mux)
		srv.EnableHTTP2 = true
		srv.StartTLS()
		t.Cleanup(srv.Close)
		return connecthttp.NewTransport(srv.Client(), srv.URL)
	},
	"native": func(t *testing.T, s *connect.Server) connect.Transport {
		return rpcxconnect.NewTransport(dial(t, serve(t, s)))
	},
	"native with interceptors": func(t *testing.T, s *connect.Server) connect.Transport {
		look := rpcx.WithInterceptors(lookAt)
		return rpcxconnect.NewTransport(dial(t, serve(t, s, look), look))
	},
	"Connect": func(t *testing.T, s *connect.Server) connect.Transport {
		return rpcxconnect.NewTransport(dial(t, serve(t, s), rpcxhttp.WithConnect(rpcxhttp.WithHTTP2())))
	},
	"gRPC": func(t *testing.T, s *connect.Server) connect.Transport {
		return rpcxconnect.NewTransport(dial(t, serve(t, s), rpcxhttp.WithGRPC()))
	},
	"connect's client": func(t *testing.T, s *connect.Server) connect.Transport {
		var protocols http.Protocols
		protocols.SetUnencryptedHTTP2(true)
		client := &http.Client{Transport: &http.Transport{Protocols: &protocols}}
		target := serve(t, s)
		t.Cleanup(client.CloseIdleConnections)
		return connecthttp.NewTransport(client, "http://"+target)
	},
}

// serve serves s, over HTTP, too.
func serve(t *testing.T, s *connect.Server, opts ...rpcx.Option) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sopts := []rpcx.ServerOption{rpcxhttp.WithHTTP()}
	for _, o := range opts {
		sopts = append(sopts, o)
	}
	srv := rpcx.NewServer(sopts...)
	rpcxconnect.Register(srv, s)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() {
		srv.Close()
		<-served
	})
	return l.Addr().String()
}

func dial(t *testing.T, target string, opts ...rpcx.DialOption) *rpcx.Conn {
	t.Helper()
	conn, err := rpcx.Dial(target, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// each runs f for every way.
func each(t *testing.T, f func(t *testing.T, c pingv1connect.PingServiceClient)) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			f(t, pingv1connect.NewPingServiceClient(connect.NewClient(way(t, server()))))
		})
	}
}
