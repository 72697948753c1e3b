package call_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/leaktest"
	"github.com/rpcx-go/rpcx/runtime/metadata"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(leaktest.Buffers(m)) }

func newMethod(spec call.MethodSpec) *call.Method {
	return call.NewMethod(spec, func() any { return new(int) }, func() any { return new(string) })
}

func TestMethod(t *testing.T) {
	m := newMethod(call.MethodSpec{Service: "users.v1.Users", Name: "Get", Kind: call.KindBidiStream, Idempotency: call.Idempotent, NonBlocking: true})
	if m.FullName() != "/users.v1.Users/Get" || m.WireName() != "users.v1.Users/Get" || m.Service() != "users.v1.Users" || m.Name() != "Get" || m.String() != m.FullName() {
		t.Errorf("names: %s, %s", m, m.WireName())
	}
	if !m.NonBlocking() || m.Idempotency() != call.Idempotent || m.Kind() != call.KindBidiStream {
		t.Errorf("got %+v", m)
	}
	if _, ok := m.NewRequest().(*int); !ok {
		t.Error("NewRequest")
	}
	if _, ok := m.NewResponse().(*string); !ok {
		t.Error("NewResponse")
	}
	if other := newMethod(call.MethodSpec{}); other.Index() == m.Index() {
		t.Error("two methods have one index")
	}
}

func TestKind(t *testing.T) {
	for k, want := range map[call.Kind]struct {
		name           string
		caller, callee bool
	}{
		call.KindUnary: {"unary", false, false}, call.KindClientStream: {"client-streaming", true, false},
		call.KindServerStream: {"server-streaming", false, true}, call.KindBidiStream: {"bidi-streaming", true, true},
	} {
		if k.String() != want.name || k.CallerStreams() != want.caller || k.CalleeStreams() != want.callee {
			t.Errorf("%v: %v, %v", k, k.CallerStreams(), k.CalleeStreams())
		}
	}
	if call.IdempotencyUnknown.SafeToRepeat() || !call.NoSideEffects.SafeToRepeat() || !call.Idempotent.SafeToRepeat() {
		t.Error("SafeToRepeat")
	}
}

type ctxKey struct{}

// TestChain: the first interceptor is outermost, and contexts travel inwards.
func TestChain(t *testing.T) {
	var log []string
	named := func(name string) call.Interceptor {
		return func(ctx context.Context, c *call.Call, next call.Next) error {
			v, _ := ctx.Value(ctxKey{}).(string)
			log = append(log, name+v)
			err := next(context.WithValue(ctx, ctxKey{}, v+name), c)
			log = append(log, "/"+name)
			return err
		}
	}
	errLast := errors.New("last")
	next := call.Chain([]call.Interceptor{named("a"), named("b"), named("c")}, func(ctx context.Context, _ *call.Call) error {
		log = append(log, ctx.Value(ctxKey{}).(string))
		return errLast
	})
	if err := next(context.Background(), call.New(call.Config{}, nil)); !errors.Is(err, errLast) {
		t.Errorf("got %v", err)
	}
	if got := strings.Join(log, " "); got != "a ba cab abc /c /b /a" {
		t.Errorf("ran %q", got)
	}
}

type carrier struct{}

func (carrier) ResponseHeader() metadata.MD  { return metadata.Pairs("h", "1") }
func (carrier) ResponseTrailer() metadata.MD { return metadata.Pairs("t", "1") }

func TestCall(t *testing.T) {
	m := newMethod(call.MethodSpec{Service: "s", Name: "M"})
	md := metadata.Pairs("k", "v")
	decoded := 0
	failing := errors.New("cannot be decoded")
	c := call.New(call.Config{
		Method: m, Side: call.Server, Peer: call.Peer{Protocol: "rpcx"}, RequestHeader: &md, Carrier: carrier{},
		Decode: func(msg any) error {
			if decoded++; decoded == 1 {
				return failing
			}
			*msg.(*int) = 7
			return nil
		},
	}, nil)
	if c.Method() != m || c.Side().String() != "server" || c.Peer().Protocol != "rpcx" || c.RequestHeader().Get("k") != "v" ||
		c.ResponseHeader().Get("h") != "1" || c.ResponseTrailer().Get("t") != "1" || c.Carrier() != (carrier{}) {
		t.Errorf("got %+v", c)
	}
	if _, err := c.Request(); !errors.Is(err, failing) {
		t.Errorf("got %v", err)
	}
	for range 2 {
		if req, err := c.Request(); err != nil || *req.(*int) != 7 {
			t.Errorf("got %v, %v", req, err)
		}
	}
	if decoded != 2 {
		t.Errorf("decoded %d times", decoded)
	}
	c.SetRequest("other")
	if req, _ := c.Request(); req != "other" {
		t.Errorf("got %v", req)
	}
	if c.Response() != nil {
		t.Error("a response before there is one")
	}
	if c.SetResponse("res"); c.Response() != "res" {
		t.Errorf("got %v", c.Response())
	}
}

func TestMessageHooks(t *testing.T) {
	c := call.New(call.Config{}, nil)
	if err := c.Sending("x"); err != nil {
		t.Error(err)
	}
	var log []string
	bad := errors.New("bad")
	for _, name := range []string{"a", "b"} {
		c.OnSend(func(msg any) error { log = append(log, name+msg.(string)); return nil })
		c.OnReceive(func(any) error { log = append(log, "received by "+name); return bad })
	}
	if err := c.Sending("1"); err != nil {
		t.Error(err)
	}
	if err := c.Received("2"); !errors.Is(err, bad) {
		t.Errorf("got %v", err)
	}
	if got := strings.Join(log, ","); got != "a1,b1,received by a" {
		t.Errorf("ran %q", got)
	}
}
