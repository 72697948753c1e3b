package rpcx_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// The methods of the service that the tests call.
type text = wrapperspb.StringValue

var (
	echoUnary  = rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: "test.v1.Echo", Name: "Unary"})
	echoInline = rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: "test.v1.Echo", Name: "Inline", NonBlocking: true, Idempotency: rpcx.NoSideEffects})
	echoSplit  = rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: "test.v1.Echo", Name: "Split", Kind: rpcx.ServerStream})
	echoJoin   = rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: "test.v1.Echo", Name: "Join", Kind: rpcx.ClientStream})
	echoBidi   = rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: "test.v1.Echo", Name: "Bidi", Kind: rpcx.BidiStream})
)

// echo is the service's implementation; unary may be replaced.
type echo struct {
	unary func(context.Context, *text) (*text, error)
}

func (e *echo) register(srv rpcx.Registrar) {
	srv.Register(
		rpcx.UnaryHandler(echoUnary, e.Unary),
		rpcx.UnaryHandler(echoInline, e.Inline),
		rpcx.ServerStreamHandler(echoSplit, e.Split),
		rpcx.ClientStreamHandler(echoJoin, e.Join),
		rpcx.BidiStreamHandler(echoBidi, e.Bidi),
	)
}

func (e *echo) Unary(ctx context.Context, req *text) (*text, error) {
	if e.unary != nil {
		return e.unary(ctx, req)
	}
	return req, nil
}

func (e *echo) Inline(_ context.Context, req *text) (*text, error) { return req, nil }

// Split answers with the words of the request.
func (e *echo) Split(_ context.Context, req *text, stream rpcx.ServerStreamingServer[text]) error {
	for word := range strings.FieldsSeq(req.GetValue()) {
		if err := stream.Send(wrapperspb.String(word)); err != nil {
			return err
		}
	}
	return nil
}

// Join answers with all messages, joined.
func (e *echo) Join(_ context.Context, stream rpcx.ClientStreamingServer[text]) (*text, error) {
	var words []string
	for m, err := range stream.All() {
		if err != nil {
			return nil, err
		}
		words = append(words, m.GetValue())
	}
	return wrapperspb.String(strings.Join(words, " ")), nil
}

// Bidi answers each message with itself.
func (e *echo) Bidi(_ context.Context, stream rpcx.BidiStreamingServer[text, text]) error {
	for m, err := range stream.All() {
		if err != nil {
			return err
		}
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	return nil
}

// start serves e over loopback TCP and returns a connection to it. Both end
// with the test.
func start(t *testing.T, e *echo, opts ...rpcx.Option) (*rpcx.Conn, *rpcx.Server) {
	t.Helper()
	var sopts []rpcx.ServerOption
	var dopts []rpcx.DialOption
	for _, o := range opts {
		sopts, dopts = append(sopts, o), append(dopts, o)
	}
	return startWith(t, e, sopts, dopts)
}

func startWith(t *testing.T, e *echo, sopts []rpcx.ServerOption, dopts []rpcx.DialOption) (*rpcx.Conn, *rpcx.Server) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := rpcx.NewServer(sopts...)
	e.register(srv)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	conn, err := rpcx.Dial(l.Addr().String(), dopts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		srv.Close()
		if err := <-served; !errors.Is(err, rpcx.ErrServerClosed) {
			t.Errorf("Serve returned %v, want ErrServerClosed", err)
		}
	})
	return conn, srv
}

func TestKinds(t *testing.T) {
	conn, _ := start(t, &echo{})
	ctx := t.Context()
	for _, m := range []rpcx.Method[text, text]{echoUnary, echoInline} {
		for _, size := range []int{0, 1, 100, 65_000, 65_530, 65_536, 70_000, 200_000, 1 << 20, 4<<20 - 10} {
			want := strings.Repeat("x", size)
			got, err := rpcx.CallUnary(ctx, conn, m, wrapperspb.String(want))
			if err != nil {
				t.Fatalf("%s of %d bytes: %v", m.Descriptor(), size, err)
			}
			if got.GetValue() != want {
				t.Fatalf("%s of %d bytes: got %d other ones", m.Descriptor(), size, len(got.GetValue()))
			}
		}
	}
	s, err := rpcx.CallServerStream(ctx, conn, echoSplit, wrapperspb.String("a b c"))
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for m, err := range s.All() {
		if err != nil {
			t.Fatal(err)
		}
		words = append(words, m.GetValue())
	}
	if got := strings.Join(words, ","); got != "a,b,c" {
		t.Errorf("Split: got %q", got)
	}
	j, err := rpcx.CallClientStream(ctx, conn, echoJoin)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []string{"a", strings.Repeat("b", 3<<20), "c"} {
		if err := j.Send(wrapperspb.String(w)); err != nil {
			t.Fatal(err)
		}
	}
	all, err := j.CloseAndRecv()
	if err != nil {
		t.Fatal(err)
	}
	if got := len(all.GetValue()); got != 3<<20+4 {
		t.Errorf("Join: got %d bytes", got)
	}
	b, err := rpcx.CallBidiStream(ctx, conn, echoBidi)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1, 10, 300_000, 2 << 20, 0} {
		if err := b.Send(wrapperspb.String(strings.Repeat("y", size))); err != nil {
			t.Fatal(err)
		}
		m, err := b.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if len(m.GetValue()) != size {
			t.Errorf("Bidi: got %d bytes, want %d", len(m.GetValue()), size)
		}
	}
	if err := b.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Recv(); err != io.EOF {
		t.Errorf("Bidi: got %v, want EOF", err)
	}
}

func TestErrorWithDetail(t *testing.T) {
	e := &echo{unary: func(ctx context.Context, req *text) (*text, error) {
		rpcx.SetHeader(ctx, metadata.Pairs("h", "1"))
		rpcx.SetTrailer(ctx, metadata.Pairs("t", "2"))
		err, _ := status.New(status.NotFound, "nothing here").WithDetails(durationpb.New(time.Minute))
		return nil, err
	}}
	conn, _ := start(t, e)
	var header, trailer metadata.MD
	_, err := rpcx.CallUnary(t.Context(), conn, echoUnary, wrapperspb.String("x"), rpcx.Header(&header), rpcx.Trailer(&trailer))
	if status.CodeOf(err) != status.NotFound || status.FromError(err).Message() != "nothing here" {
		t.Errorf("got %v", err)
	}
	if d, ok := status.DetailAs[*durationpb.Duration](err); !ok || d.AsDuration() != time.Minute {
		t.Errorf("detail: got %v, %v", d, ok)
	}
	if header.Get("h") != "1" || trailer.Get("t") != "2" {
		t.Errorf("metadata: got %v and %v", header, trailer)
	}
}

func TestDeadlineAndCancel(t *testing.T) {
	seen := make(chan error, 1)
	e := &echo{unary: func(ctx context.Context, req *text) (*text, error) {
		<-ctx.Done()
		seen <- ctx.Err()
		return nil, ctx.Err()
	}}
	conn, _ := start(t, e)
	_, err := rpcx.CallUnary(t.Context(), conn, echoUnary, wrapperspb.String("x"), rpcx.WithTimeout(20*time.Millisecond))
	if status.CodeOf(err) != status.DeadlineExceeded || status.FromError(err).Phase() != status.PhaseHandler {
		t.Errorf("got %v", err)
	}
	if err := <-seen; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the handler saw %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	_, err = rpcx.CallUnary(ctx, conn, echoUnary, wrapperspb.String("x"))
	if status.CodeOf(err) != status.Canceled {
		t.Errorf("got %v", err)
	}
	if err := <-seen; !errors.Is(err, context.Canceled) {
		t.Errorf("the handler saw %v", err)
	}
}

func TestInterceptors(t *testing.T) {
	var log []string
	var logged = make(chan struct{}, 100)
	ic := func(name string) call.Interceptor {
		return func(ctx context.Context, c *call.Call, next call.Next) error {
			err := next(ctx, c)
			log = append(log, name+c.Side().String()+" "+c.Method().Name()+" "+status.CodeOf(err).String())
			logged <- struct{}{}
			return err
		}
	}
	conn, _ := startWith(t, &echo{}, []rpcx.ServerOption{rpcx.WithInterceptors(ic(""))}, nil)
	if _, err := rpcx.CallUnary(t.Context(), conn, echoUnary, wrapperspb.String("x")); err != nil {
		t.Fatal(err)
	}
	s, err := rpcx.CallServerStream(t.Context(), conn, echoSplit, wrapperspb.String("a b c"))
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range s.All() {
		if err != nil {
			t.Fatal(err)
		}
	}
	<-logged
	<-logged
	if got := strings.Join(log, ";"); got != "server Unary OK;server Split OK" {
		t.Errorf("got %q", got)
	}
}

func TestClientInterceptors(t *testing.T) {
	var log []string
	ic := func(ctx context.Context, c *call.Call, next call.Next) error {
		c.RequestHeader().Add("who", "me")
		err := next(ctx, c)
		log = append(log, c.Side().String()+" "+c.Method().Name()+" "+status.CodeOf(err).String())
		return err
	}
	conn, _ := startWith(t, &echo{}, nil, []rpcx.DialOption{rpcx.WithInterceptors(ic)})
	if _, err := rpcx.CallUnary(t.Context(), conn, echoUnary, wrapperspb.String("x")); err != nil {
		t.Fatal(err)
	}
	s, err := rpcx.CallServerStream(t.Context(), conn, echoSplit, wrapperspb.String("a b c"))
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range s.All() {
		if err != nil {
			t.Fatal(err)
		}
	}
	s, err = rpcx.CallServerStream(t.Context(), conn, echoSplit, wrapperspb.String("a b c"))
	if err != nil {
		t.Fatal(err)
	}
	for range s.All() {
		break
	}
	if got := strings.Join(log, ";"); got != "client Unary OK;client Split OK;client Split CANCELLED" && got != "client Unary OK;client Split OK;client Split OK" {
		t.Errorf("got %q", got)
	}
}

func TestShutdown(t *testing.T) {
	running, release := make(chan struct{}), make(chan struct{})
	e := &echo{unary: func(ctx context.Context, req *text) (*text, error) {
		close(running)
		<-release
		return req, nil
	}}
	conn, srv := start(t, e)
	answered := make(chan error, 1)
	go func() {
		_, err := rpcx.CallUnary(context.Background(), conn, echoUnary, wrapperspb.String("x"))
		answered <- err
	}()
	<-running
	done := make(chan error, 1)
	go func() { done <- srv.Shutdown(context.Background()) }()
	close(release)
	if err := <-answered; err != nil {
		t.Errorf("the call in flight failed: %v", err)
	}
	if err := <-done; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	_, err := rpcx.CallUnary(t.Context(), conn, echoUnary, wrapperspb.String("x"))
	if e := status.FromError(err); e.Code() != status.Unavailable || !e.NotRun() {
		t.Errorf("call after the shutdown: %v", err)
	}
}

func TestPanic(t *testing.T) {
	e := &echo{unary: func(ctx context.Context, req *text) (*text, error) { panic("secret") }}
	conn, _ := start(t, e)
	_, err := rpcx.CallUnary(t.Context(), conn, echoUnary, wrapperspb.String("x"))
	if status.CodeOf(err) != status.Internal || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
	if _, err := rpcx.CallUnary(t.Context(), conn, echoInline, wrapperspb.String("x")); err != nil {
		t.Errorf("the next call: %v", err)
	}
}
