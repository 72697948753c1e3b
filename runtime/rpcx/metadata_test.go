package rpcx_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// TestRequestMetadata: what the context, the defaults and the call's options
// say arrives, in that order, with calls of all kinds.
func TestRequestMetadata(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []string
		see := func(ctx context.Context, c *call.Call, next call.Next) error {
			md, ok := metadata.FromIncomingContext(ctx)
			if !ok {
				t.Error("no incoming metadata")
			}
			seen = md.Values("k")
			if p, ok := rpcx.PeerFromContext(ctx); !ok || p.Protocol != "rpcx" {
				t.Errorf("peer %+v, %v", p, ok)
			}
			if m, ok := rpcx.MethodFromContext(ctx); !ok || m != c.Method() {
				t.Errorf("method %v, %v", m, ok)
			}
			return next(ctx, c)
		}
		conn, _, _ := inMemory(t, &echo{}, onServer(see), []rpcx.DialOption{
			rpcx.WithDefaultCallOptions(rpcx.WithMetadata(metadata.Pairs("k", "default")))})
		ctx := metadata.AppendToOutgoingContext(t.Context(), "k", "context")
		for name, do := range kinds {
			got, err := do(ctx, conn, rpcx.WithMetadata(metadata.Pairs("k", "call")))
			if err != nil || got != "a b" {
				t.Errorf("%s: %q, %v", name, got, err)
			}
			if s := strings.Join(seen, " "); s != "context default call" {
				t.Errorf("%s: the handler saw %q", name, s)
			}
		}
	})
}

func TestBadMetadata(t *testing.T) {
	conn, _ := start(t, &echo{})
	for name, md := range map[string]metadata.MD{
		"reserved":  metadata.Pairs("rpcx-attempt", "1"),
		"key":       metadata.Pairs("a b", "1"),
		"value":     metadata.Pairs("a", "x\ny"),
		"too large": metadata.Pairs("a", strings.Repeat("x", 9000)),
	} {
		eachKind(t, func(t *testing.T, kind string, do func(...rpcx.CallOption) (string, error)) {
			_, err := do(rpcx.WithMetadata(md))
			wantCode(t, err, status.InvalidArgument, "metadata")
			if e := status.FromError(err); !e.NotRun() {
				t.Errorf("%s, %s: may have run", name, kind)
			}
		}, conn)
	}
}

// TestResponseMetadata: headers and trailers that handlers set reach the
// caller, with success and with failure.
func TestResponseMetadata(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := false
		set := func(ctx context.Context, c *call.Call, next call.Next) error {
			if err := rpcx.SetHeader(ctx, metadata.Pairs("h", "1")); err != nil {
				t.Error(err)
			}
			rpcx.SetTrailer(ctx, metadata.Pairs("t", "1"))
			if fail {
				return status.Errorf(status.Aborted, "no")
			}
			err := next(ctx, c)
			rpcx.SetTrailer(ctx, metadata.Pairs("t", "2"))
			if c.ResponseTrailer().Get("t") != "1" || len(c.ResponseTrailer()) != 2 {
				t.Errorf("the interceptor sees trailers %v", c.ResponseTrailer())
			}
			return err
		}
		conn, _, _ := inMemory(t, &echo{}, onServer(set), nil)
		for _, fail = range []bool{false, true} {
			eachKind(t, func(t *testing.T, name string, do func(...rpcx.CallOption) (string, error)) {
				var header, trailer metadata.MD
				_, err := do(rpcx.Header(&header), rpcx.Trailer(&trailer))
				if (err != nil) != fail {
					t.Errorf("%s: %v", name, err)
				}
				want := 2
				if fail {
					want = 1
				}
				if header.Get("h") != "1" || len(trailer.Values("t")) != want {
					t.Errorf("%s, failing %v: header %v, trailer %v", name, fail, header, trailer)
				}
			}, conn)
		}
	})
}

// TestSendHeader: headers arrive before the first message, and can be sent once.
func TestSendHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		e := &echo{unary: func(ctx context.Context, req *text) (*text, error) {
			if err := rpcx.SendHeader(ctx, metadata.Pairs("h", "1")); err != nil {
				return nil, err
			}
			if err := rpcx.SetHeader(ctx, metadata.Pairs("h", "2")); err == nil {
				t.Error("SetHeader after SendHeader")
			}
			if err := rpcx.SendHeader(ctx, nil); err == nil {
				t.Error("SendHeader twice")
			}
			if err := rpcx.SetTrailer(ctx, metadata.Pairs("rpcx-x", "2")); err == nil {
				t.Error("a reserved trailer")
			}
			return req, nil
		}}
		early := func(ctx context.Context, c *call.Call, next call.Next) error {
			if c.Method().Kind().CallerStreams() {
				rpcx.SendHeader(ctx, metadata.Pairs("h", "early"))
				<-hold
			}
			return next(ctx, c)
		}
		conn, _, _ := inMemory(t, e, onServer(early), nil)
		var header metadata.MD
		if _, err := rpcx.CallUnary(t.Context(), conn, echoUnary, wrapperspb.String("x"), rpcx.Header(&header)); err != nil || header.Get("h") != "1" {
			t.Errorf("header %v, %v", header, err)
		}
		s, err := rpcx.CallBidiStream(t.Context(), conn, echoBidi)
		if err != nil {
			t.Fatal(err)
		}
		if md, err := s.Header(); err != nil || md.Get("h") != "early" {
			t.Errorf("header %v, %v", md, err)
		}
		close(hold)
		s.Close()
	})
}

func TestMetadataOutsideOfHandlers(t *testing.T) {
	for _, f := range []func(context.Context, metadata.MD) error{rpcx.SetHeader, rpcx.SendHeader, rpcx.SetTrailer} {
		wantCode(t, f(context.Background(), nil), status.Internal, "not that of a handler")
	}
	if _, ok := rpcx.PeerFromContext(context.Background()); ok {
		t.Error("a peer")
	}
	if _, ok := rpcx.MethodFromContext(context.Background()); ok {
		t.Error("a method")
	}
}

// credentials are a token.
type credentials struct {
	secure bool
	err    error
	calls  int
}

func (c *credentials) Metadata(context.Context, *call.Method) (metadata.MD, error) {
	c.calls++
	return metadata.Pairs("token", "secret"), c.err
}
func (c *credentials) RequireSecure() bool { return c.secure }

func TestCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var token string
		conn, _, _ := inMemory(t, &echo{}, onServer(func(ctx context.Context, c *call.Call, next call.Next) error {
			token = c.RequestHeader().Get("token")
			return next(ctx, c)
		}), nil)
		eachKind(t, func(t *testing.T, name string, do func(...rpcx.CallOption) (string, error)) {
			token = ""
			creds := &credentials{}
			if _, err := do(rpcx.WithCredentials(creds)); err != nil || token != "secret" || creds.calls != 1 {
				t.Errorf("%s: token %q, %v, asked %d times", name, token, err, creds.calls)
			}
			for _, bad := range []struct {
				creds *credentials
				code  status.Code
			}{
				{&credentials{secure: true}, status.Unauthenticated},
				{&credentials{err: context.DeadlineExceeded}, status.DeadlineExceeded},
				{&credentials{err: status.Errorf(status.Unavailable, "later")}, status.Unavailable},
				{&credentials{err: errToken}, status.Unauthenticated},
			} {
				token = ""
				_, err := do(rpcx.WithCredentials(bad.creds))
				wantCode(t, err, bad.code, "")
				if token != "" || bad.creds.secure && bad.creds.calls > 0 || !status.FromError(err).NotRun() {
					t.Errorf("%s: the call was made: %v", name, err)
				}
			}
		}, conn)
	})
}

type tokenError struct{}

func (tokenError) Error() string { return "no token" }

var errToken = tokenError{}
