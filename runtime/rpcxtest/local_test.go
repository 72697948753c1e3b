package rpcxtest_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/internal/leaktest"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
	"github.com/rpcx-go/rpcx/runtime/status"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // panics of handlers
	goleak.VerifyTestMain(leaktest.Buffers(m))
}

type text = wrapperspb.StringValue

// One method of each kind, as generated code declares them.
var (
	upper = rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: "test.v1.Text", Name: "Upper"})
	split = rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: "test.v1.Text", Name: "Split", Kind: rpcx.ServerStream})
	join  = rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: "test.v1.Text", Name: "Join", Kind: rpcx.ClientStream})
	echo  = rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: "test.v1.Text", Name: "Echo", Kind: rpcx.BidiStream})
)

func register(srv rpcx.Registrar) {
	srv.Register(
		rpcx.UnaryHandler(upper, func(ctx context.Context, req *text) (*text, error) {
			md, _ := metadata.FromIncomingContext(ctx)
			if err := rpcx.SetHeader(ctx, metadata.Pairs("saw", md.Get("user"))); err != nil {
				return nil, err
			}
			if err := rpcx.SetTrailer(ctx, metadata.Pairs("cost", "1")); err != nil {
				return nil, err
			}
			if req.GetValue() == "" {
				return nil, status.Errorf(status.InvalidArgument, "nothing to do: %w", io.ErrUnexpectedEOF)
			}
			return wrapperspb.String(strings.ToUpper(req.GetValue())), nil
		}),
		rpcx.ServerStreamHandler(split, func(_ context.Context, req *text, s rpcx.ServerStreamingServer[text]) error {
			for _, w := range strings.Fields(req.GetValue()) {
				if err := s.Send(wrapperspb.String(w)); err != nil {
					return err
				}
			}
			return nil
		}),
		rpcx.ClientStreamHandler(join, func(_ context.Context, s rpcx.ClientStreamingServer[text]) (*text, error) {
			var words []string
			for m, err := range s.All() {
				if err != nil {
					return nil, err
				}
				words = append(words, m.GetValue())
			}
			return wrapperspb.String(strings.Join(words, " ")), nil
		}),
		rpcx.BidiStreamHandler(echo, func(_ context.Context, s rpcx.BidiStreamingServer[text, text]) error {
			for m, err := range s.All() {
				if err != nil {
					return err
				}
				if err := s.Send(m); err != nil {
					return err
				}
			}
			return nil
		}),
	)
}

func TestLocalUnary(t *testing.T) {
	caller := rpcxtest.Local(register)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "user", "ann")
	for _, test := range []struct {
		req, want string
		code      status.Code
	}{
		{"hello", "HELLO", status.OK},
		{"", "", status.InvalidArgument},
	} {
		var header, trailer metadata.MD
		res, err := rpcx.CallUnary(ctx, caller, upper, wrapperspb.String(test.req), rpcx.Header(&header), rpcx.Trailer(&trailer))
		if res.GetValue() != test.want || status.CodeOf(err) != test.code {
			t.Errorf("%q: got %v, %v", test.req, res, err)
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q: the cause has crossed to the caller: %v", test.req, err)
		}
		if diff := cmp.Diff(metadata.Pairs("saw", "ann"), header); diff != "" {
			t.Errorf("%q: header: -want +got:\n%s", test.req, diff)
		}
		if diff := cmp.Diff(metadata.Pairs("cost", "1"), trailer); diff != "" {
			t.Errorf("%q: trailer: -want +got:\n%s", test.req, diff)
		}
	}
}

func TestLocalServerStream(t *testing.T) {
	caller := rpcxtest.Local(register)
	stream, err := rpcx.CallServerStream(t.Context(), caller, split, wrapperspb.String("a b c"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for m, err := range stream.All() {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, m.GetValue())
		if len(got) == 2 {
			break // releases the stream: goleak would find the handler
		}
	}
	if strings.Join(got, " ") != "a b" {
		t.Errorf("received %q", got)
	}
}

func TestLocalClientStream(t *testing.T) {
	stream, err := rpcx.CallClientStream(t.Context(), rpcxtest.Local(register), join)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []string{"a", "b", "c"} {
		if err := stream.Send(wrapperspb.String(w)); err != nil {
			t.Fatal(err)
		}
	}
	if res, err := stream.CloseAndRecv(); err != nil || res.GetValue() != "a b c" {
		t.Errorf("got %v, %v", res, err)
	}
}

func TestLocalBidiStream(t *testing.T) {
	stream, err := rpcx.CallBidiStream(t.Context(), rpcxtest.Local(register), echo)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []string{"a", "b", "c"} {
		if err := stream.Send(wrapperspb.String(w)); err != nil {
			t.Fatal(err)
		}
		if res, err := stream.Recv(); err != nil || res.GetValue() != w {
			t.Errorf("got %v, %v, want %s", res, err, w)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != io.EOF {
		t.Errorf("Recv: %v, want EOF", err)
	}
}

func TestLocalTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		caller := rpcxtest.Local(func(srv rpcx.Registrar) {
			srv.Register(rpcx.UnaryHandler(upper, func(ctx context.Context, _ *text) (*text, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}))
		})
		begin := time.Now()
		_, err := rpcx.CallUnary(t.Context(), caller, upper, new(text), rpcx.WithTimeout(time.Second))
		if status.CodeOf(err) != status.DeadlineExceeded || time.Since(begin) != time.Second {
			t.Errorf("%v after %v, want DEADLINE_EXCEEDED after 1s", err, time.Since(begin))
		}
	})
}
