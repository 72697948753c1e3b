package httpclient_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/codec/jsoncodec"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxhttp"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// The methods of the service that the tests call.
type text = wrapperspb.StringValue

const service = "test.v1.Echo"

var (
	echoUnary = rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: service, Name: "Unary"})
	echoRead  = rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: service, Name: "Read", Idempotency: rpcx.NoSideEffects})
	echoSplit = rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: service, Name: "Split", Kind: rpcx.ServerStream})
	echoJoin  = rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: service, Name: "Join", Kind: rpcx.ClientStream})
	echoBidi  = rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: service, Name: "Bidi", Kind: rpcx.BidiStream})
)

// What servers do beside echoing, as the text of the first message says.
const (
	wordFail = "fail" // fail with FAILED_PRECONDITION, a message and a detail
	wordWait = "wait" // wait until the call is cancelled
)

// Response metadata that every call is answered with, and what they are.
const (
	headerKey, headerValue   = "x-head", "h é"
	binaryKey, binaryValue   = "x-head-bin", "\x00\xff"
	trailerKey, trailerValue = "x-trail", "t"
)

// behave does what a message says beside echoing it.
func behave(ctx context.Context, msg string) (fail bool, err error) {
	switch msg {
	case wordFail:
		return true, nil
	case wordWait:
		<-ctx.Done()
		return false, ctx.Err()
	}
	return false, nil
}

// ours is the service on a server of this module.
type ours struct{}

func (ours) register(srv rpcx.Registrar) {
	srv.Register(
		rpcx.UnaryHandler(echoUnary, ours{}.unary),
		rpcx.UnaryHandler(echoRead, ours{}.unary),
		rpcx.ServerStreamHandler(echoSplit, ours{}.split),
		rpcx.ClientStreamHandler(echoJoin, ours{}.join),
		rpcx.BidiStreamHandler(echoBidi, ours{}.bidi),
	)
}

func (ours) say(ctx context.Context, msg string) error {
	if err := rpcx.SetHeader(ctx, metadata.Pairs(headerKey, headerValue, binaryKey, binaryValue)); err != nil {
		return err
	}
	if err := rpcx.SetTrailer(ctx, metadata.Pairs(trailerKey, trailerValue)); err != nil {
		return err
	}
	fail, err := behave(ctx, msg)
	if fail {
		e, err := status.New(status.FailedPrecondition, "as asked: é%\n").WithDetails(durationpb.New(7))
		if err != nil {
			return err
		}
		return e
	}
	return err
}

func (ours) unary(ctx context.Context, req *text) (*text, error) {
	return req, ours{}.say(ctx, req.GetValue())
}

func (ours) split(ctx context.Context, req *text, s rpcx.ServerStreamingServer[text]) error {
	if err := (ours{}).say(ctx, req.GetValue()); err != nil {
		return err
	}
	for word := range strings.FieldsSeq(req.GetValue()) {
		if err := s.Send(wrapperspb.String(word)); err != nil {
			return err
		}
	}
	return nil
}

func (ours) join(ctx context.Context, s rpcx.ClientStreamingServer[text]) (*text, error) {
	var words []string
	for m, err := range s.All() {
		if err != nil {
			return nil, err
		}
		if len(words) == 0 {
			if err := (ours{}).say(ctx, m.GetValue()); err != nil {
				return nil, err
			}
		}
		words = append(words, m.GetValue())
	}
	return wrapperspb.String(strings.Join(words, " ")), nil
}

func (ours) bidi(ctx context.Context, s rpcx.BidiStreamingServer[text, text]) error {
	first := true
	for m, err := range s.All() {
		if err != nil {
			return err
		}
		if first {
			if err := (ours{}).say(ctx, m.GetValue()); err != nil {
				return err
			}
		}
		first = false
		if err := s.Send(m); err != nil {
			return err
		}
	}
	return nil
}

// theirs is the service on a server of connect's.
func theirs(interceptors ...connect.ServerInterceptor) *connect.Server {
	srv := connect.NewServer(interceptors...)
	for _, m := range []struct {
		name string
		kind connect.StreamType
	}{
		{"Unary", connect.StreamTypeUnary}, {"Read", connect.StreamTypeUnary}, {"Split", connect.StreamTypeServer},
		{"Join", connect.StreamTypeClient}, {"Bidi", connect.StreamTypeBidi},
	} {
		spec := connect.Spec{Procedure: "/" + service + "/" + m.name, StreamType: m.kind}
		if m.name == "Read" {
			spec.IdempotencyLevel = connect.IdempotencyNoSideEffects
		}
		srv.Register(connect.Method{Spec: spec, Handler: theirHandler})
	}
	return srv
}

func theirHandler(ctx context.Context, spec connect.Spec, s connect.ServerStream) error {
	var words []string
	for {
		var m text
		err := s.Receive(&m)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if len(words) == 0 {
			if err := theySay(ctx, m.GetValue()); err != nil {
				return err
			}
		}
		words = append(words, m.GetValue())
		if spec.StreamType == connect.StreamTypeBidi {
			if err := s.Send(&m); err != nil {
				return err
			}
		}
		if spec.StreamType&connect.StreamTypeClient == 0 {
			break
		}
	}
	joined := strings.Join(words, " ")
	switch spec.StreamType {
	case connect.StreamTypeUnary, connect.StreamTypeClient:
		return s.Send(wrapperspb.String(joined))
	case connect.StreamTypeServer:
		for word := range strings.FieldsSeq(joined) {
			if err := s.Send(wrapperspb.String(word)); err != nil {
				return err
			}
		}
	}
	return nil
}

func theySay(ctx context.Context, msg string) error {
	info, _ := connect.CallInfoForServerContext(ctx)
	info.ResponseHeader().Set(headerKey, headerValue)
	info.ResponseHeader().Set(binaryKey, connect.EncodeBinaryHeader([]byte(binaryValue)))
	info.ResponseTrailer().Set(trailerKey, trailerValue)
	fail, err := behave(ctx, msg)
	if fail {
		detail, err := connectproto.NewErrorDetail(durationpb.New(7))
		if err != nil {
			return err
		}
		return connect.NewError(connect.CodeFailedPrecondition, "as asked: é%\n").WithDetail(detail)
	}
	return err
}

// server starts a server and returns the target under which it is. secure has it
// speak TLS.
type server func(t *testing.T, secure bool, opts ...rpcx.ServerOption) string

var servers = map[string]server{
	"rpcx": serveOurs,
	"connect": func(t *testing.T, secure bool, _ ...rpcx.ServerOption) string {
		return serveTheirs(t, secure, theirs())
	},
}

func serveOurs(t *testing.T, secure bool, opts ...rpcx.ServerOption) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	opts = append([]rpcx.ServerOption{rpcxhttp.WithHTTP()}, opts...)
	if secure {
		opts = append(opts, rpcx.WithTLS(&tls.Config{Certificates: serverCert()}))
	}
	srv := rpcx.NewServer(opts...)
	ours{}.register(srv)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() {
		srv.Close()
		if err := <-served; !errors.Is(err, rpcx.ErrServerClosed) {
			t.Errorf("Serve returned %v, want ErrServerClosed", err)
		}
	})
	return l.Addr().String()
}

func serveTheirs(t *testing.T, secure bool, what *connect.Server) string {
	t.Helper()
	mux := http.NewServeMux()
	connecthttp.Mount(mux, what)
	return serveHTTP(t, secure, mux)
}

func serveHTTP(t *testing.T, secure bool, h http.Handler) string {
	t.Helper()
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	srv := httptest.NewUnstartedServer(h)
	srv.Config.Protocols = &protocols
	if secure {
		srv.EnableHTTP2 = true
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv.Listener.Addr().String()
}

// serverCert is the certificate of net/http/httptest, which is for 127.0.0.1 and
// example.com.
func serverCert() []tls.Certificate {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	return s.TLS.Certificates
}

// clientTLS trusts it.
func clientTLS() *tls.Config {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return &tls.Config{RootCAs: roots}
}

// way is one of the ways in which calls travel.
type way struct {
	name   string
	opt    rpcx.DialOption
	secure bool
	http1  bool

	json   bool // messages are
	noBidi bool // there are no bidi calls
}

var ways = []way{
	{name: "connect/h1", opt: rpcxhttp.WithConnect(), http1: true},
	{name: "connect/h2c", opt: rpcxhttp.WithConnect(rpcxhttp.WithHTTP2())},
	{name: "connect/tls", opt: rpcxhttp.WithConnect(), secure: true},
	{name: "connect/tls/h1", opt: rpcxhttp.WithConnect(rpcxhttp.WithHTTP1()), secure: true, http1: true},
	{name: "connect/get", opt: rpcxhttp.WithConnect(rpcxhttp.WithGet(4 << 10)), http1: true},
	{name: "connect/json", opt: rpcxhttp.WithConnect(), http1: true, json: true},
	{name: "connect/json/get", opt: rpcxhttp.WithConnect(rpcxhttp.WithGet(4 << 10)), secure: true, json: true},
	{name: "grpc/json", opt: rpcxhttp.WithGRPC(), json: true},
	{name: "grpc/h2c", opt: rpcxhttp.WithGRPC()},
	{name: "grpc/tls", opt: rpcxhttp.WithGRPC(), secure: true},
	{name: "grpcweb/h1", opt: rpcxhttp.WithGRPCWeb(), http1: true},
	{name: "grpcweb/h2c", opt: rpcxhttp.WithGRPCWeb(rpcxhttp.WithHTTP2())},
	{name: "grpcweb/tls", opt: rpcxhttp.WithGRPCWeb(), secure: true},
}

// options are those of the way.
func (w way) options() []rpcx.DialOption {
	opts := []rpcx.DialOption{w.opt}
	if w.secure {
		opts = append(opts, rpcx.WithTLS(clientTLS()))
	}
	if w.json {
		opts = append(opts, rpcx.WithCodec(jsoncodec.Codec))
	}
	return opts
}

// dial returns a connection to target that ends with the test, before its server.
func (w way) dial(t *testing.T, target string, opts ...rpcx.DialOption) *rpcx.Conn {
	t.Helper()
	conn, err := rpcx.Dial(target, append(w.options(), opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// each runs f for every way to every server. Those of connect refuse bidi calls
// over HTTP/1.1.
func each(t *testing.T, f func(t *testing.T, w way, s server)) {
	for name, s := range servers {
		t.Run(name, func(t *testing.T) {
			for _, w := range ways {
				w.noBidi = w.http1 && name == "connect"
				t.Run(w.name, func(t *testing.T) { f(t, w, s) })
			}
		})
	}
}
