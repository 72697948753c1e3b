package rpcxconnect_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxconnect"
	"github.com/rpcx-go/rpcx/runtime/status"
	pingv1 "github.com/rpcx-go/rpcx/testdata/connect/gen/ping/v1"
	"github.com/rpcx-go/rpcx/testdata/connect/gen/ping/v1/pingv1connect"
	"github.com/rpcx-go/rpcx/testdata/connect/gen/ping/v1/pingv1rpcx"
)

// lookAt is an interceptor that asks for the request.
func lookAt(ctx context.Context, c *call.Call, next call.Next) error {
	if _, err := c.Request(); err != nil {
		return err
	}
	return next(ctx, c)
}

// said returns a context that sends the headers which are echoed, and its CallInfo.
func said(ctx context.Context) (context.Context, *connect.CallInfo) {
	ctx, info := connect.NewClientContext(ctx)
	info.RequestHeader().Add(echoed, "a")
	info.RequestHeader().Add(echoed, "b")
	info.RequestHeader().Set(echoedBin, connect.EncodeBinaryHeader([]byte("\x00\xff")))
	return ctx, info
}

// heard checks that they came back.
func heard(t *testing.T, info *connect.CallInfo) {
	t.Helper()
	if got := strings.Join(info.ResponseHeader().Values(echoed), ","); got != "a,b" {
		t.Errorf("header: got %q", got)
	}
	if got, err := connect.DecodeBinaryHeader(info.ResponseHeader().Get(echoedBin)); string(got) != "\x00\xff" || err != nil {
		t.Errorf("binary header: got %q, %v", got, err)
	}
	trailed(t, info)
}

func trailed(t *testing.T, info *connect.CallInfo) {
	t.Helper()
	if got := info.ResponseTrailer().Get(trailer); got != "the end" {
		t.Errorf("trailer: got %q", got)
	}
}

func TestUnary(t *testing.T) {
	each(t, func(t *testing.T, c pingv1connect.PingServiceClient) {
		note := &pingv1.Note{Data: []byte("x")}
		req := &pingv1.PingRequest{Text: "t", Note: note, Notes: []*pingv1.Note{note, {}}, Named: map[string]*pingv1.Note{"n": note}}
		req.ProtoReflect().SetUnknown([]byte{0xf8, 0x3f, 1})
		ctx, info := said(t.Context())
		res, err := c.Ping(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		want := &pingv1.PingResponse{Text: "t", Note: note, Notes: req.Notes, Named: req.Named}
		if diff := cmp.Diff(want, res, protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
		heard(t, info)
		if info.Spec.Procedure != pingv1connect.PingServicePingProcedure {
			t.Errorf("info: %+v", info.Spec)
		}
	})
}

// TestErrors: codes, details and trailers arrive; text that was not meant for
// callers does not.
func TestErrors(t *testing.T) {
	each(t, func(t *testing.T, c pingv1connect.PingServiceClient) {
		for code := connect.CodeCanceled; code <= connect.CodeUnauthenticated; code++ {
			ctx, info := said(t.Context())
			_, err := c.Fail(ctx, &pingv1.FailRequest{Code: int32(code)})
			failedWith(t, err, code)
			trailed(t, info)
		}
		for code, want := range map[int32]connect.Code{0: connect.CodeUnknown, -1: connect.CodeInternal} {
			_, err := c.Fail(t.Context(), &pingv1.FailRequest{Code: code})
			var e *connect.Error
			if !errors.As(err, &e) || e.Code() != want || strings.Contains(e.Message(), "secret") || strings.Contains(e.Message(), "another") {
				t.Errorf("%d: got %v, want %v", code, err, want)
			}
		}
	})
}

// failedWith checks that err is what failure(code) makes.
func failedWith(t *testing.T, err error, code connect.Code) {
	t.Helper()
	var e *connect.Error
	if !errors.As(err, &e) || e.Code() != code || e.Message() != "as asked" || !e.IsRemote() || len(e.Details()) != 1 {
		t.Fatalf("got %v, want %v", err, code)
	}
	d := e.Details()[0]
	m, err := connectproto.UnmarshalErrorDetail(d)
	if err != nil || !proto.Equal(m, durationpb.New(7)) {
		t.Errorf("detail %q: %v, %v", d.Type, m, err)
	}
}

func TestEnds(t *testing.T) {
	each(t, func(t *testing.T, c pingv1connect.PingServiceClient) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, err := c.Hang(ctx, &pingv1.HangRequest{}); connect.CodeOf(err) != connect.CodeDeadlineExceeded && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("deadline: got %v", err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(5*time.Millisecond, cancel)
		if _, err := c.Hang(ctx, &pingv1.HangRequest{}); connect.CodeOf(err) != connect.CodeCanceled && !errors.Is(err, context.Canceled) {
			t.Errorf("cancellation: got %v", err)
		}
	})
}

func TestClientStream(t *testing.T) {
	each(t, func(t *testing.T, c pingv1connect.PingServiceClient) {
		ctx, info := said(t.Context())
		s, err := c.Sum(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for i := range int64(4) {
			if err := s.Send(&pingv1.SumRequest{Number: i}); err != nil {
				t.Fatal(err)
			}
		}
		res, err := s.CloseAndReceive()
		if err != nil || res.Sum != 6 {
			t.Errorf("got %v, %v", res, err)
		}
		heard(t, info)
	})
}

func TestServerStream(t *testing.T) {
	each(t, func(t *testing.T, c pingv1connect.PingServiceClient) {
		for _, n := range []int64{0, 3, -3} {
			ctx, info := said(t.Context())
			s, err := c.CountUp(ctx, &pingv1.CountUpRequest{Number: n})
			if err != nil {
				t.Fatal(err)
			}
			got := int64(0)
			for {
				m, err := s.Receive()
				if err == nil {
					got++
					if m.Number != got {
						t.Errorf("got %v", m)
					}
					continue
				}
				if n < 0 {
					failedWith(t, err, connect.CodeOutOfRange)
				} else if !errors.Is(err, io.EOF) {
					t.Error(err)
				}
				break
			}
			if got != max(n, -n) {
				t.Errorf("got %d of %d", got, n)
			}
			heard(t, info)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestBidi(t *testing.T) {
	each(t, func(t *testing.T, c pingv1connect.PingServiceClient) {
		ctx, info := said(t.Context())
		s, err := c.CumSum(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.SendHeaders(); err != nil {
			t.Fatal(err)
		}
		for i := range int64(4) {
			if err := s.Send(&pingv1.CumSumRequest{Number: 1}); err != nil {
				t.Fatal(err)
			}
			if m, err := s.Receive(); err != nil || m.Sum != i+1 {
				t.Fatalf("got %v, %v", m, err)
			}
		}
		if err := s.CloseSend(); err != nil {
			t.Error(err)
		}
		if _, err := s.Receive(); !errors.Is(err, io.EOF) {
			t.Errorf("got %v", err)
		}
		heard(t, info)

		left, err := c.CumSum(t.Context()) // one that is left alone
		if err != nil {
			t.Fatal(err)
		}
		if err := left.Send(&pingv1.CumSumRequest{Number: 1}); err != nil {
			t.Fatal(err)
		}
		if err := left.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestGeneratedClient: clients of this module call what connect's handlers serve.
func TestGeneratedClient(t *testing.T) {
	c := pingv1rpcx.NewPingServiceClient(dial(t, serve(t, server())))
	if res, err := c.Ping(t.Context(), &pingv1.PingRequest{Text: "x"}); err != nil || res.Text != "x" {
		t.Errorf("got %v, %v", res, err)
	}
	_, err := c.Fail(t.Context(), &pingv1.FailRequest{Code: int32(connect.CodeNotFound)})
	if d, ok := status.DetailAs[*durationpb.Duration](err); status.CodeOf(err) != status.NotFound || !ok || d.AsDuration() != 7 {
		t.Errorf("got %v, %v", err, d)
	}
	s, err := c.Sum(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(&pingv1.SumRequest{Number: 2}); err != nil {
		t.Fatal(err)
	}
	if res, err := s.CloseAndRecv(); err != nil || res.Sum != 2 {
		t.Errorf("got %v, %v", res, err)
	}
}

// TestInfo: handlers and interceptors of connect see what a call is.
func TestInfo(t *testing.T) {
	var seen connect.CallInfo
	s := server(func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			info, _ := connect.CallInfoForServerContext(ctx)
			seen = *info
			if _, ok := rpcx.PeerFromContext(ctx); !ok {
				t.Error("the context is not the runtime's")
			}
			return next(ctx, spec, stream)
		}
	})
	conn := dial(t, serve(t, s))
	ctx, info := connect.NewClientContext(t.Context())
	c := pingv1connect.NewPingServiceClient(connect.NewClient(rpcxconnect.NewTransport(conn)))
	if _, err := c.Ping(ctx, &pingv1.PingRequest{}); err != nil {
		t.Fatal(err)
	}
	if seen.Protocol != "rpcx" || seen.PeerAddr == "" || seen.Spec.Procedure != pingv1connect.PingServicePingProcedure || seen.Codec != "proto" {
		t.Errorf("the handler saw %+v", seen)
	}
	if info.Protocol != "rpcx" || info.PeerAddr != conn.Target() {
		t.Errorf("the caller saw %+v", info)
	}
}

// TestCause: the error of the runtime is the cause of connect's.
func TestCause(t *testing.T) {
	conn := dial(t, "127.0.0.1:1")
	c := pingv1connect.NewPingServiceClient(connect.NewClient(rpcxconnect.NewTransport(conn)))
	_, err := c.Ping(t.Context(), &pingv1.PingRequest{})
	var e *status.Error
	if connect.CodeOf(err) != connect.CodeUnavailable || !errors.As(err, &e) || !e.NotRun() {
		t.Errorf("got %v, %v", err, e)
	}
}

// TestNoSchema: without one there is no transport, and nothing is served.
func TestNoSchema(t *testing.T) {
	spec := connect.Spec{Procedure: "/none.v1.None/Call"}
	if _, err := rpcxconnect.NewTransport(dial(t, "127.0.0.1:1")).NewClientStream(t.Context(), spec); connect.CodeOf(err) != connect.CodeInternal {
		t.Errorf("got %v", err)
	}
	s := connect.NewServer()
	s.Register(connect.Method{Spec: spec})
	defer func() {
		if r, ok := recover().(error); !ok || !strings.Contains(r.Error(), "/none.v1.None/Call") {
			t.Errorf("recovered %v", r)
		}
	}()
	rpcxconnect.Register(rpcx.NewServer(), s)
}
