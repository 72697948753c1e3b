package rpcxtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// overNetwork runs f with a caller that reaches what register registers over a
// connection, within a synctest bubble.
func overNetwork(t *testing.T, register func(rpcx.Registrar), f func(*testing.T, rpcx.Caller)) {
	synctest.Test(t, func(t *testing.T) {
		network := rpcxtest.NewNetwork()
		srv := rpcx.NewServer()
		register(srv)
		served := make(chan error)
		l := network.Listener()
		go func() { served <- srv.Serve(l) }()
		conn, err := rpcx.Dial("users:7000", rpcx.WithDialer(network.Dial))
		if err != nil {
			t.Fatal(err)
		}
		f(t, conn)
		synctest.Wait() // handlers of calls that were given up have returned
		conn.Close()
		srv.Close()
		if err := <-served; !errors.Is(err, rpcx.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
}

// TestLocalIsLikeAConnection makes the same calls over a connection and through
// Local: callers must not be able to tell which it was.
func TestLocalIsLikeAConnection(t *testing.T) {
	for name, c := range parityCalls {
		t.Run(name, func(t *testing.T) {
			var remote, local []string
			overNetwork(t, registerParity, func(t *testing.T, caller rpcx.Caller) { remote = c(t, caller) })
			synctest.Test(t, func(t *testing.T) { local = c(t, rpcxtest.Local(registerParity)) })
			if diff := cmp.Diff(remote, local); diff != "" {
				t.Errorf("-connection +Local:\n%s", diff)
			}
			if len(remote) == 0 {
				t.Error("the call saw nothing")
			}
		})
	}
}

// registerParity adds to register's methods a unary one that does what its
// request says.
func registerParity(srv rpcx.Registrar) {
	register(srv)
	srv.Register(rpcx.UnaryHandler(behave, func(ctx context.Context, req *text) (*text, error) {
		switch req.GetValue() {
		case "uncoded":
			return nil, errors.New("disk is full")
		case "context error":
			return nil, context.Canceled
		case "detail":
			e, err := status.New(status.NotFound, "no user").WithDetails(wrapperspb.String("detail"))
			if err != nil {
				return nil, err
			}
			return nil, e.WithCause(io.EOF).WithPhase(status.PhaseDial)
		case "retry after":
			return nil, status.New(status.Unavailable, "busy").WithRetryAfter(time.Second)
		case "do not retry":
			return nil, status.New(status.Unavailable, "busy").WithDoNotRetry()
		case "nil response":
			return nil, nil
		case "panic":
			panic("a secret")
		case "wait":
			<-ctx.Done()
			return nil, ctx.Err()
		case "late header":
			err := rpcx.SendHeader(ctx, metadata.Pairs("a", "1"))
			late := rpcx.SetHeader(ctx, metadata.Pairs("a", "2"))
			return wrapperspb.String(fmt.Sprint(err, late)), nil
		case "bad header":
			return wrapperspb.String(fmt.Sprint(rpcx.SetHeader(ctx, metadata.Pairs("rpcx-a", "1")))), nil
		}
		return req, nil
	}), rpcx.BidiStreamHandler(fail, func(ctx context.Context, s rpcx.BidiStreamingServer[text, text]) error {
		md, _ := metadata.FromIncomingContext(ctx)
		err := errors.Join(rpcx.SendHeader(ctx, md), rpcx.SetTrailer(ctx, metadata.Pairs("cost", "2")))
		if err != nil {
			return err
		}
		m, err := s.Recv()
		if err != nil {
			return err
		}
		if err := s.Send(m); err != nil {
			return err
		}
		panic("a secret")
	}))
}

var (
	fail    = rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: "test.v1.Text", Name: "Fail", Kind: rpcx.BidiStream})
	behave  = rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: "test.v1.Text", Name: "Behave"})
	missing = rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: "test.v1.Text", Name: "Missing"})
)

var parityCalls = map[string]func(*testing.T, rpcx.Caller) []string{
	"server stream with time left": func(t *testing.T, c rpcx.Caller) []string {
		stream, err := rpcx.CallServerStream(t.Context(), c, split, wrapperspb.String("a b c"), rpcx.WithTimeout(time.Minute))
		if err != nil {
			return seen(nil, err)
		}
		synctest.Wait() // the call has ended, and nothing has been read
		var out []string
		for m, err := range stream.All() {
			out = append(out, seen(m, err)...)
		}
		return out
	},
	"success":       doing("echo"),
	"uncoded":       doing("uncoded"),
	"context error": doing("context error"),
	"detail":        doing("detail"),
	"retry after":   doing("retry after"),
	"do not retry":  doing("do not retry"),
	"nil response":  doing("nil response"),
	"panic":         doing("panic"),
	"late header":   doing("late header"),
	"bad header":    doing("bad header"),
	"timeout":       doing("wait", rpcx.WithTimeout(time.Second)),
	"bad metadata":  doing("echo", rpcx.WithMetadata(metadata.Pairs("rpcx-a", "1"))),
	"unknown method": func(t *testing.T, c rpcx.Caller) []string {
		_, err := rpcx.CallUnary(t.Context(), c, missing, new(text))
		return seen(nil, err)
	},
	"cancel": func(t *testing.T, c rpcx.Caller) []string {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err := rpcx.CallUnary(ctx, c, behave, wrapperspb.String("wait"))
		return seen(nil, err)
	},
	"metadata": func(t *testing.T, c rpcx.Caller) []string {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "user", "ann")
		var header, trailer metadata.MD
		res, err := rpcx.CallUnary(ctx, c, upper, wrapperspb.String("x"), rpcx.Header(&header), rpcx.Trailer(&trailer))
		_, failed := rpcx.CallUnary(ctx, c, upper, wrapperspb.String(""), rpcx.Header(&header), rpcx.Trailer(&trailer))
		return append(seen(res, err), fmt.Sprint(header, trailer, failed))
	},
	"server stream": func(t *testing.T, c rpcx.Caller) []string {
		stream, err := rpcx.CallServerStream(t.Context(), c, split, wrapperspb.String("a b c"))
		if err != nil {
			return seen(nil, err)
		}
		var out []string
		for m, err := range stream.All() {
			out = append(out, seen(m, err)...)
		}
		_, err = stream.Recv()
		return append(out, fmt.Sprint(err))
	},
	"client stream": func(t *testing.T, c rpcx.Caller) []string {
		stream, err := rpcx.CallClientStream(t.Context(), c, join)
		if err != nil {
			return seen(nil, err)
		}
		send(t, stream, wrapperspb.String("a"))
		send(t, stream, wrapperspb.String("b"))
		return seen(stream.CloseAndRecv())
	},
	"bidi stream, closed": func(t *testing.T, c rpcx.Caller) []string {
		stream, err := rpcx.CallBidiStream(t.Context(), c, echo)
		if err != nil {
			return seen(nil, err)
		}
		send(t, stream, wrapperspb.String("a"))
		out := seen(stream.Recv())
		stream.Close()
		_, err = stream.Recv()
		return append(out, append(seen(nil, err), fmt.Sprint(stream.Send(new(text))))...)
	},
	"bidi stream, timeout": func(t *testing.T, c rpcx.Caller) []string {
		stream, err := rpcx.CallBidiStream(t.Context(), c, echo, rpcx.WithTimeout(time.Second))
		if err != nil {
			return seen(nil, err)
		}
		return seen(stream.Recv())
	},
	"stream's metadata, then panic": func(t *testing.T, c rpcx.Caller) []string {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "user", "ann")
		var header, trailer metadata.MD
		stream, err := rpcx.CallBidiStream(ctx, c, fail, rpcx.Header(&header), rpcx.Trailer(&trailer))
		if err != nil {
			return seen(nil, err)
		}
		md, err := stream.Header()
		out := []string{fmt.Sprint(md, err, stream.Trailer())}
		send(t, stream, wrapperspb.String("go on"))
		out = append(out, seen(stream.Recv())...)
		out = append(out, seen(stream.Recv())...)
		return append(out, fmt.Sprint(header, trailer, stream.Trailer()))
	},
	"stream without handler": func(t *testing.T, c rpcx.Caller) []string {
		stream, err := rpcx.CallServerStream(t.Context(), c, rpcx.NewMethod[text, text](
			rpcx.MethodSpec{Service: "test.v1.Text", Name: "Missing", Kind: rpcx.ServerStream}), new(text))
		if err == nil {
			_, err = stream.Recv()
		}
		return seen(nil, err)
	},
}

// doing calls behave.
func doing(what string, opts ...rpcx.CallOption) func(*testing.T, rpcx.Caller) []string {
	return func(t *testing.T, c rpcx.Caller) []string {
		return seen(rpcx.CallUnary(t.Context(), c, behave, wrapperspb.String(what), opts...))
	}
}

// seen describes all that a caller can see of a result.
func seen(res *text, err error) []string {
	if err == nil {
		return []string{"response " + res.GetValue()}
	}
	e, ok := err.(*status.Error) //nolint:errorlint // wrapped would be wrong
	if !ok {
		return []string{fmt.Sprintf("%T %v", err, err)}
	}
	after, set := e.RetryAfter()
	out := []string{
		e.Error(), fmt.Sprintf("not run: %v, retry after %v %v, do not: %v", e.NotRun(), after, set, e.DoNotRetry()),
		fmt.Sprintf("context errors: %v %v", errors.Is(e, context.Canceled), errors.Is(e, context.DeadlineExceeded)),
	}
	for _, d := range e.Details() {
		out = append(out, fmt.Sprintf("detail %s %x", d.Type, d.Value))
	}
	return out
}

func send(t *testing.T, stream interface{ Send(*text) error }, msg *text) {
	t.Helper()
	if err := stream.Send(msg); err != nil {
		t.Errorf("Send: %v", err)
	}
}
