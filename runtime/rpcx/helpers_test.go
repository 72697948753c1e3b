package rpcx_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// inMemory serves e on a network in memory and returns a connection to it. It
// works within synctest; both end with the test.
func inMemory(t *testing.T, e *echo, sopts []rpcx.ServerOption, dopts []rpcx.DialOption) (*rpcx.Conn, *rpcx.Server, *rpcxtest.Network) {
	t.Helper()
	network := rpcxtest.NewNetwork()
	srv := rpcx.NewServer(sopts...)
	e.register(srv)
	l := network.Listener()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	conn, err := rpcx.Dial("echo:7000", append([]rpcx.DialOption{rpcx.WithDialer(network.Dial)}, dopts...)...)
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
	return conn, srv, network
}

// kinds makes a call of each kind through c, each of which is answered "a b".
var kinds = map[string]func(ctx context.Context, c rpcx.Caller, opts ...rpcx.CallOption) (string, error){
	"Unary": func(ctx context.Context, c rpcx.Caller, opts ...rpcx.CallOption) (string, error) {
		res, err := rpcx.CallUnary(ctx, c, echoUnary, wrapperspb.String("a b"), opts...)
		return res.GetValue(), err
	},
	"Inline": func(ctx context.Context, c rpcx.Caller, opts ...rpcx.CallOption) (string, error) {
		res, err := rpcx.CallUnary(ctx, c, echoInline, wrapperspb.String("a b"), opts...)
		return res.GetValue(), err
	},
	"Split": func(ctx context.Context, c rpcx.Caller, opts ...rpcx.CallOption) (string, error) {
		s, err := rpcx.CallServerStream(ctx, c, echoSplit, wrapperspb.String("a b"), opts...)
		if err != nil {
			return "", err
		}
		return joined(s.Recv)
	},
	"Join": func(ctx context.Context, c rpcx.Caller, opts ...rpcx.CallOption) (string, error) {
		s, err := rpcx.CallClientStream(ctx, c, echoJoin, opts...)
		if err != nil {
			return "", err
		}
		for _, w := range []string{"a", "b"} {
			if err := s.Send(wrapperspb.String(w)); err != nil && err != io.EOF {
				return "", err
			}
		}
		res, err := s.CloseAndRecv()
		return res.GetValue(), err
	},
	"Bidi": func(ctx context.Context, c rpcx.Caller, opts ...rpcx.CallOption) (string, error) {
		s, err := rpcx.CallBidiStream(ctx, c, echoBidi, opts...)
		if err != nil {
			return "", err
		}
		for _, w := range []string{"a", "b"} {
			if err := s.Send(wrapperspb.String(w)); err != nil && err != io.EOF {
				return "", err
			}
		}
		if err := s.CloseSend(); err != nil {
			return "", err
		}
		return joined(s.Recv)
	},
}

// joined receives to the end.
func joined(recv func() (*text, error)) (string, error) {
	var words []string
	for {
		m, err := recv()
		switch err {
		case nil:
			words = append(words, m.GetValue())
		case io.EOF:
			return strings.Join(words, " "), nil
		default:
			return "", err
		}
	}
}

// eachKind runs f for each kind.
func eachKind(t *testing.T, f func(t *testing.T, name string, do func(opts ...rpcx.CallOption) (string, error)), c rpcx.Caller) {
	t.Helper()
	for name, do := range kinds {
		f(t, name, func(opts ...rpcx.CallOption) (string, error) { return do(t.Context(), c, opts...) })
	}
}

func wantCode(t *testing.T, err error, code status.Code, text string) {
	t.Helper()
	if status.CodeOf(err) != code || code != status.OK && !strings.Contains(err.Error(), text) {
		t.Errorf("got %v, want %v with %q", err, code, text)
	}
}

// interceptor makes options of an interceptor for both sides.
func onServer(ics ...call.Interceptor) []rpcx.ServerOption {
	return []rpcx.ServerOption{rpcx.WithInterceptors(ics...)}
}

func onClient(ics ...call.Interceptor) []rpcx.DialOption {
	return []rpcx.DialOption{rpcx.WithInterceptors(ics...)}
}
