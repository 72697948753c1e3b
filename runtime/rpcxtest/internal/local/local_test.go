package local

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/leaktest"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // panics of handlers
	goleak.VerifyTestMain(leaktest.Buffers(m))
}

type text = wrapperspb.StringValue

func newMethod(kind call.Kind) *call.Method {
	newText := func() any { return new(text) }
	return call.NewMethod(call.MethodSpec{Service: "test.v1.Test", Name: "Do", Kind: kind}, newText, newText)
}

// unary returns a server whose only method is answered by f, and the method.
func unary(f func(context.Context, *text) (*text, error)) (*Server, *call.Method) {
	m := newMethod(call.KindUnary)
	s := new(Server)
	s.Register(call.Handler{Method: m, Unary: func(ctx context.Context, req any) (any, error) {
		res, err := f(ctx, req.(*text))
		if err != nil {
			return nil, err
		}
		return res, nil
	}})
	return s, m
}

func upper(_ context.Context, req *text) (*text, error) {
	return wrapperspb.String(strings.ToUpper(req.GetValue())), nil
}

func TestUnary(t *testing.T) {
	s, m := unary(upper)
	res := wrapperspb.String("from before")
	if err := s.Unary(t.Context(), m, wrapperspb.String("hello"), res, call.Options{}); err != nil || res.GetValue() != "HELLO" {
		t.Errorf("got %v, %v", res, err)
	}
}

// TestMessagesAreCopied changes every message after it has been handed over.
func TestMessagesAreCopied(t *testing.T) {
	newList := func() any { return new(structpb.ListValue) }
	m := call.NewMethod(call.MethodSpec{Service: "s", Name: "M"}, newList, newList)
	var got *structpb.ListValue
	kept := &structpb.ListValue{Values: []*structpb.Value{structpb.NewStringValue("answer")}}
	s := new(Server)
	s.Register(call.Handler{Method: m, Unary: func(_ context.Context, req any) (any, error) {
		got = req.(*structpb.ListValue)
		return kept, nil
	}})
	req := &structpb.ListValue{Values: []*structpb.Value{structpb.NewStringValue("request")}}
	res := new(structpb.ListValue)
	if err := s.Unary(t.Context(), m, req, res, call.Options{}); err != nil {
		t.Fatal(err)
	}
	req.Values[0].Kind = &structpb.Value_StringValue{StringValue: "changed"}
	res.Values[0].Kind = &structpb.Value_StringValue{StringValue: "changed"}
	if got.Values[0].GetStringValue() != "request" || kept.Values[0].GetStringValue() != "answer" {
		t.Errorf("the handler's messages became %v and %v", got, kept)
	}
}

func TestRegisterTwicePanics(t *testing.T) {
	s, m := unary(upper)
	defer func() {
		if r, _ := recover().(string); !strings.Contains(r, m.FullName()) {
			t.Errorf("panic says %q, want it to name the method", r)
		}
	}()
	s.Register(call.Handler{Method: m})
}

// TestErrors checks what the caller sees of how a handler ends.
func TestErrors(t *testing.T) {
	detailed, err := status.New(status.NotFound, "no user").WithDetails(durationpb.New(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		handler func() error
		want    *status.Error
	}{
		{"coded", func() error { return detailed }, detailed},
		{"attributes", func() error {
			return detailed.WithCause(io.EOF).WithPhase(status.PhaseDial).WithNotRun().WithRetryAfter(time.Second)
		}, detailed.WithRetryAfter(time.Second)},
		{"push-back", func() error { return detailed.WithDoNotRetry() }, detailed.WithDoNotRetry()},
		{"uncoded", func() error { return errors.New("disk is full") }, status.New(status.Unknown, "disk is full")},
		{"context's", func() error { return context.Canceled }, status.New(status.Canceled, "context canceled")},
		{"panic", func() error { panic("a secret") }, status.New(status.Internal, "the handler panicked")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			check := func(err error) {
				t.Helper()
				got, ok := err.(*status.Error) //nolint:errorlint // wrapped would be wrong
				if !ok {
					t.Fatalf("got %#v, want an *Error", err)
				}
				if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(status.Error{})); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			}
			s, m := unary(func(context.Context, *text) (*text, error) { return nil, test.handler() })
			check(s.Unary(t.Context(), m, new(text), new(text), call.Options{}))

			stream := start(t, call.KindBidiStream, func(context.Context, call.ServerStream) error { return test.handler() })
			check(stream.Recv(new(text)))
		})
	}
}

func TestGoexit(t *testing.T) {
	stream := start(t, call.KindBidiStream, func(context.Context, call.ServerStream) error {
		runtime.Goexit()
		return nil
	})
	if err := stream.Recv(new(text)); status.CodeOf(err) != status.Internal {
		t.Errorf("Recv: %v, want INTERNAL", err)
	}
}

func TestUnknownMethod(t *testing.T) {
	_, m := unary(upper)
	err := new(Server).Unary(t.Context(), m, new(text), new(text), call.Options{})
	if e := status.FromError(err); e.Code() != status.Unimplemented || !e.NotRun() || !strings.Contains(e.Message(), m.FullName()) {
		t.Errorf("Unary: %v, not run: %v", e, e.NotRun())
	}
	if _, err := new(Server).Stream(t.Context(), newMethod(call.KindBidiStream), nil, call.Options{}); status.CodeOf(err) != status.Unimplemented {
		t.Errorf("Stream: %v", err)
	}
}

func TestBadMessages(t *testing.T) {
	s, m := unary(upper)
	tests := []struct {
		name     string
		req, res any
		says     string
	}{
		{"request is no message", "text", new(text), "string"},
		{"request of another type", new(durationpb.Duration), new(text), "google.protobuf.Duration"},
		{"response is no message", new(text), new(string), "*string"},
		{"no request", nil, new(text), "nil"},
	}
	for _, test := range tests {
		err := s.Unary(t.Context(), m, test.req, test.res, call.Options{})
		if status.CodeOf(err) != status.Internal || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want INTERNAL naming %q", test.name, err, test.says)
		}
	}
	// name_part is required.
	src := new(descriptorpb.UninterpretedOption_NamePart)
	if err := copyMessage(proto.Clone(src), src); status.CodeOf(err) != status.Internal {
		t.Errorf("a required field is missing: %v", err)
	}
}

type tokens struct {
	md  metadata.MD
	err error
}

func (c tokens) Metadata(context.Context, *call.Method) (metadata.MD, error) { return c.md, c.err }
func (c tokens) RequireSecure() bool                                         { return true }

func TestRequestMetadata(t *testing.T) {
	var got metadata.MD
	s, m := unary(func(ctx context.Context, req *text) (*text, error) {
		got, _ = metadata.FromIncomingContext(ctx)
		return req, nil
	})
	ctx := metadata.AppendToOutgoingContext(t.Context(), "a", "1")
	o := call.Options{Metadata: metadata.Pairs("b", "2"), Credentials: tokens{md: metadata.Pairs("c", "3")}}
	if err := s.Unary(ctx, m, new(text), new(text), o); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(metadata.Pairs("a", "1", "b", "2", "c", "3"), got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}

	for name, test := range map[string]struct {
		o    call.Options
		want status.Code
	}{
		"reserved":                {call.Options{Metadata: metadata.Pairs("rpcx-x", "1")}, status.InvalidArgument},
		"too large":               {call.Options{Metadata: metadata.Pairs("x", strings.Repeat("x", 9000))}, status.InvalidArgument},
		"credentials fail":        {call.Options{Credentials: tokens{err: io.EOF}}, status.Unauthenticated},
		"credentials' own status": {call.Options{Credentials: tokens{err: status.New(status.Unavailable, "x")}}, status.Unavailable},
	} {
		got = nil
		err := s.Unary(t.Context(), m, new(text), new(text), test.o)
		if status.CodeOf(err) != test.want || !status.FromError(err).NotRun() || got != nil {
			t.Errorf("%s: %v, want %v before the handler runs", name, err, test.want)
		}
	}
}

func TestResponseMetadata(t *testing.T) {
	handler := func(ctx context.Context) error {
		r := ctx.Value(call.ResponseKey).(call.ResponseMetadata)
		if err := r.SetHeader(metadata.Pairs("rpcx-x", "1")); status.CodeOf(err) != status.Internal {
			t.Errorf("SetHeader of a reserved key: %v", err)
		}
		noError(t, r.SetHeader(metadata.Pairs("h", "1")))
		noError(t, r.SetTrailer(metadata.Pairs("t", "1")))
		noError(t, r.SetTrailer(metadata.Pairs("t", "2")))
		if err := r.SendHeader(metadata.Pairs("h", "2")); err != nil {
			t.Errorf("SendHeader: %v", err)
		}
		if err := r.SetHeader(metadata.Pairs("h", "3")); err == nil {
			t.Error("SetHeader after SendHeader succeeded")
		}
		return status.New(status.NotFound, "")
	}
	wantHeader, wantTrailer := metadata.Pairs("h", "1", "h", "2"), metadata.Pairs("t", "1", "t", "2")
	var header, trailer metadata.MD
	o := call.Options{Header: &header, Trailer: &trailer}
	check := func(name string) {
		t.Helper()
		if diff := cmp.Diff(wantHeader, header); diff != "" {
			t.Errorf("%s: header: -want +got:\n%s", name, diff)
		}
		if diff := cmp.Diff(wantTrailer, trailer); diff != "" {
			t.Errorf("%s: trailer: -want +got:\n%s", name, diff)
		}
	}

	s, m := unary(func(ctx context.Context, _ *text) (*text, error) { return nil, handler(ctx) })
	if err := s.Unary(t.Context(), m, new(text), new(text), o); status.CodeOf(err) != status.NotFound {
		t.Errorf("Unary: %v", err)
	}
	check("unary")

	header, trailer = nil, nil
	stream := startWith(t, call.KindBidiStream, nil, o, func(ctx context.Context, _ call.ServerStream) error { return handler(ctx) })
	if err := stream.Recv(new(text)); status.CodeOf(err) != status.NotFound {
		t.Errorf("Recv: %v", err)
	}
	check("stream's options")
	header, _ = stream.Header()
	trailer = stream.Trailer()
	check("stream's methods")
}

type contextKey struct{}

func TestHandlerContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var kept context.Context
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), contextKey{}, "x"), time.Hour)
		defer cancel()
		s, m := unary(func(ctx context.Context, req *text) (*text, error) {
			kept = ctx
			if got := ctx.Value(contextKey{}); got != nil {
				t.Errorf("a value of the caller's reached the handler: %v", got)
			}
			if p := ctx.Value(call.PeerKey).(*call.Peer); p.Addr.String() != "local" || p.Addr.Network() != "local" {
				t.Errorf("peer is %v", p)
			}
			if got := ctx.Value(call.MethodKey).(*call.Method).Name(); got != "Do" {
				t.Errorf("method is %v", got)
			}
			if d, ok := ctx.Deadline(); !ok || time.Until(d) != time.Minute {
				t.Errorf("deadline in %v, %v; want the earlier one, the timeout", time.Until(d), ok)
			}
			if md, ok := metadata.FromIncomingContext(ctx); md != nil || !ok {
				t.Errorf("metadata is %v, %v", md, ok)
			}
			child, cancel := context.WithCancel(ctx)
			defer cancel()
			return req, child.Err()
		})
		if err := s.Unary(ctx, m, new(text), new(text), call.Options{Timeout: time.Minute}); err != nil {
			t.Error(err)
		}
		if kept.Err() == nil {
			t.Error("the handler's context is not done although the handler has returned")
		}
	})
}

func TestDeadlineAndCancel(t *testing.T) {
	tests := []struct {
		name    string
		ctx     func(context.Context) (context.Context, context.CancelFunc)
		timeout time.Duration
		code    status.Code
		phase   status.Phase
		cause   error
	}{
		{
			"timeout", context.WithCancel, time.Second,
			status.DeadlineExceeded, status.PhaseHandler, context.DeadlineExceeded,
		}, {
			"deadline of the context",
			func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, time.Second)
			}, time.Hour,
			status.DeadlineExceeded, status.PhaseHandler, context.DeadlineExceeded,
		}, {
			"cancel", func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(ctx)
				time.AfterFunc(time.Second, cancel)
				return ctx, cancel
			}, 0,
			status.Canceled, status.PhaseNone, context.Canceled,
		},
	}
	handlers := map[string]func(context.Context) error{
		"returns its context's error": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"returns something else":      func(ctx context.Context) error { <-ctx.Done(); return io.EOF },
		"succeeds too late":           func(ctx context.Context) error { <-ctx.Done(); return nil },
		"waits in a derived context": func(ctx context.Context) error {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			<-ctx.Done()
			return ctx.Err()
		},
	}
	for _, test := range tests {
		for name, handler := range handlers {
			t.Run(test.name+", handler "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					check := func(begin time.Time, err error) {
						t.Helper()
						e := status.FromError(err)
						if e.Code() != test.code || e.Phase() != test.phase || !errors.Is(e, test.cause) || e.NotRun() {
							t.Errorf("got %v, phase %v, cause %v", e, e.Phase(), e.Unwrap())
						}
						if took := time.Since(begin); took != time.Second {
							t.Errorf("took %v, want 1s", took)
						}
					}
					ctx, cancel := test.ctx(t.Context())
					defer cancel()
					o := call.Options{Timeout: test.timeout}
					s, m := unary(func(ctx context.Context, req *text) (*text, error) { return req, handler(ctx) })
					begin := time.Now()
					check(begin, s.Unary(ctx, m, new(text), new(text), o))

					ctx, cancel = test.ctx(t.Context())
					defer cancel()
					m = newMethod(call.KindBidiStream)
					s.handlers[m.FullName()] = call.Handler{Method: m, Stream: func(ctx context.Context, _ call.ServerStream) error { return handler(ctx) }}
					begin = time.Now()
					stream, err := s.Stream(ctx, m, nil, o)
					if err != nil {
						t.Fatal(err)
					}
					check(begin, stream.Recv(new(text)))
				})
			})
		}
	}
}

func TestDoneBeforeTheCall(t *testing.T) {
	ran := false
	s, m := unary(func(_ context.Context, req *text) (*text, error) { ran = true; return req, nil })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.Unary(ctx, m, new(text), new(text), call.Options{})
	if e := status.FromError(err); e.Code() != status.Canceled || !e.NotRun() || ran {
		t.Errorf("got %v, not run: %v, ran: %v", e, e.NotRun(), ran)
	}
}
