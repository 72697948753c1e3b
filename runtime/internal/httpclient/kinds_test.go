package httpclient_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/rpcx"
)

// kinds makes a call of each kind, of which the first message is first and the
// answer, joined, should be first and " b".
var kinds = map[string]func(ctx context.Context, c rpcx.Caller, first string, opts ...rpcx.CallOption) (string, error){
	"Unary": func(ctx context.Context, c rpcx.Caller, first string, opts ...rpcx.CallOption) (string, error) {
		res, err := rpcx.CallUnary(ctx, c, echoUnary, words(first), opts...)
		return res.GetValue(), err
	},
	"Read": func(ctx context.Context, c rpcx.Caller, first string, opts ...rpcx.CallOption) (string, error) {
		res, err := rpcx.CallUnary(ctx, c, echoRead, words(first), opts...)
		return res.GetValue(), err
	},
	"Split": func(ctx context.Context, c rpcx.Caller, first string, opts ...rpcx.CallOption) (string, error) {
		s, err := rpcx.CallServerStream(ctx, c, echoSplit, words(first), opts...)
		if err != nil {
			return "", err
		}
		return joined(s.Recv)
	},
	"Join": func(ctx context.Context, c rpcx.Caller, first string, opts ...rpcx.CallOption) (string, error) {
		s, err := rpcx.CallClientStream(ctx, c, echoJoin, opts...)
		if err != nil {
			return "", err
		}
		if err := sendBoth(s.Send, first); err != nil {
			return "", err
		}
		res, err := s.CloseAndRecv()
		return res.GetValue(), err
	},
	"Bidi": func(ctx context.Context, c rpcx.Caller, first string, opts ...rpcx.CallOption) (string, error) {
		s, err := rpcx.CallBidiStream(ctx, c, echoBidi, opts...)
		if err != nil {
			return "", err
		}
		if err := sendBoth(s.Send, first); err != nil {
			return "", err
		}
		if err := s.CloseSend(); err != nil {
			return "", err
		}
		return joined(s.Recv)
	},
}

// words is the single request: what makes a server do something stands alone.
func words(first string) *text {
	if first == wordFail || first == wordWait {
		return wrapperspb.String(first)
	}
	return wrapperspb.String(first + " b")
}

func sendBoth(send func(*text) error, first string) error {
	for _, w := range []string{first, "b"} {
		if err := send(wrapperspb.String(w)); err == io.EOF {
			return nil // receiving tells why
		} else if err != nil {
			return err
		}
	}
	return nil
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

func TestKinds(t *testing.T) {
	each(t, func(t *testing.T, w way, s server) {
		conn := w.dial(t, s(t, w.secure))
		for name, do := range kinds {
			for _, first := range []string{"a", strings.Repeat("x", 100_000), "a"} {
				got, err := do(t.Context(), conn, first)
				if name == "Bidi" && w.noBidi {
					if err == nil {
						t.Errorf("%s: no error", name)
					}
					continue
				}
				if err != nil || got != first+" b" {
					t.Errorf("%s of %d bytes: got %d bytes, %v", name, len(first), len(got), err)
				}
			}
		}
	})
}
