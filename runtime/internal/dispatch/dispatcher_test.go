package dispatch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

type text = wrapperspb.StringValue

// wire is a Wire in memory.
type wire struct {
	req      string
	recv     []string // what a caller that streams sends
	md       metadata.MD
	decoded  int
	decodeIs error

	mu       sync.Mutex
	sent     []string
	finished int
	res      any
	err      *status.Error
	header   metadata.MD
	trailer  metadata.MD
	early    metadata.MD
	end      chan struct{}
	call     *Call
}

func (w *wire) DecodeRequest(msg any) error {
	w.decoded++
	msg.(*text).Value = w.req
	return w.decodeIs
}
func (w *wire) RequestHeader() metadata.MD { return w.md }
func (w *wire) SendHeader() error          { w.early = w.call.TakeHeader(); return nil }
func (w *wire) Send(msg any) error         { w.sent = append(w.sent, msg.(*text).Value); return nil }
func (w *wire) Recv(msg any) error {
	if len(w.recv) == 0 {
		return io.EOF
	}
	msg.(*text).Value, w.recv = w.recv[0], w.recv[1:]
	return nil
}

func (w *wire) Finish(res any, err *status.Error, header, trailer metadata.MD) (*status.Error, int, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.finished++
	w.res, w.err, w.header, w.trailer = res, err, header, trailer
	if w.end != nil {
		close(w.end)
	}
	return err, 10, 20
}

func method(name string, k call.Kind) *call.Method {
	return call.NewMethod(call.MethodSpec{Service: "test.v1.Test", Name: name, Kind: k},
		func() any { return new(text) }, func() any { return new(text) })
}

func unary(name string, f func(ctx context.Context, req string) (string, error)) call.Handler {
	return call.Handler{Method: method(name, call.KindUnary), Unary: func(ctx context.Context, req any) (any, error) {
		res, err := f(ctx, req.(*text).Value)
		if err != nil {
			return nil, err
		}
		return wrapperspb.String(res), nil
	}}
}

func stream(name string, k call.Kind, f func(ctx context.Context, s call.ServerStream) error) call.Handler {
	return call.Handler{Method: method(name, k), Stream: f}
}

func echo(_ context.Context, req string) (string, error) { return req, nil }

// run makes one call and runs it on this goroutine.
func run(d *Dispatcher, name string, w *wire) *Call {
	c := newCall(d, name, w)
	if d.Admit(c) {
		d.Run(c)
	}
	return c
}

func newCall(d *Dispatcher, name string, w *wire) *Call {
	c := new(Call)
	w.call = c
	now := time.Now()
	origin := &Origin{Base: context.Background(), Peer: &call.Peer{Addr: &net.TCPAddr{Port: 7}}, Since: now}
	c.Init(origin, d.Lookup("test.v1.Test/"+name), w, now, 0)
	return c
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestRun(t *testing.T) {
	d := New(Config{Log: quiet()})
	var outlives context.Context
	d.Register(unary("Echo", echo), unary("Fail", func(ctx context.Context, _ string) (string, error) {
		outlives = ctx
		ctx.Value(call.ResponseKey).(call.ResponseMetadata).SetTrailer(metadata.Pairs("t", "1"))
		return "", status.Errorf(status.NotFound, "nothing")
	}), stream("Stream", call.KindBidiStream, func(_ context.Context, s call.ServerStream) error {
		var m text
		for s.Recv(&m) == nil {
			s.Send(&m)
		}
		return nil
	}))
	w := &wire{req: "hello"}
	run(d, "Echo", w)
	if w.err != nil || w.res.(*text).Value != "hello" || w.finished != 1 {
		t.Errorf("got %v, %v, finished %d times", w.res, w.err, w.finished)
	}
	w = &wire{}
	run(d, "Fail", w)
	if w.err.Code() != status.NotFound || w.res != nil || w.trailer.Get("t") != "1" {
		t.Errorf("got %v, %v, %v", w.res, w.err, w.trailer)
	}
	if outlives.Err() == nil {
		t.Error("the context lives on when the handler has returned")
	}
	w = &wire{recv: []string{"a", "b"}}
	run(d, "Stream", w)
	if w.err != nil || !slices.Equal(w.sent, []string{"a", "b"}) {
		t.Errorf("sent %q, %v", w.sent, w.err)
	}
	w = &wire{decodeIs: status.Errorf(status.InvalidArgument, "no")}
	run(d, "Echo", w)
	if w.err.Code() != status.InvalidArgument {
		t.Errorf("undecodable: %v", w.err)
	}
}

// TestPanic: a handler's panic ends its call with INTERNAL and is logged with
// the stack; its value stays here.
func TestPanic(t *testing.T) {
	var log bytes.Buffer
	limit := NewLimit(1)
	d := New(Config{Log: slog.New(slog.NewTextHandler(&log, nil)), Admission: limit})
	d.Register(unary("Panic", func(context.Context, string) (string, error) { panicHere(); return "", nil }),
		stream("PanicStream", call.KindBidiStream, func(context.Context, call.ServerStream) error { panicHere(); return nil }))
	for _, name := range []string{"Panic", "PanicStream"} {
		log.Reset()
		w := &wire{}
		run(d, name, w)
		if w.err.Code() != status.Internal || strings.Contains(w.err.Error(), "secret") || w.finished != 1 {
			t.Errorf("%s: got %v", name, w.err)
		}
		for _, want := range []string{"secret", "panicHere", "/test.v1.Test/" + name, "level=ERROR"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("%s: the log lacks %q: %s", name, want, log.String())
			}
		}
		if n := limit.Running(); n != 0 {
			t.Errorf("%s: %d slots are taken", name, n)
		}
	}
}

func panicHere() { panic("a secret") }

func TestRegisterPanics(t *testing.T) {
	ok := unary("Ok", echo)
	for name, test := range map[string]struct {
		h    call.Handler
		text string
	}{
		"no method":     {call.Handler{Unary: ok.Unary}, "without a method"},
		"nothing":       {call.Handler{Method: method("A", call.KindUnary)}, "/test.v1.Test/A"},
		"both":          {call.Handler{Method: method("B", call.KindUnary), Unary: ok.Unary, Stream: func(context.Context, call.ServerStream) error { return nil }}, "/test.v1.Test/B"},
		"the other one": {call.Handler{Method: method("C", call.KindBidiStream), Unary: ok.Unary}, "/test.v1.Test/C"},
		"twice":         {unary("Ok", echo), "registered already"},
	} {
		t.Run(name, func(t *testing.T) {
			d := New(Config{Log: quiet()})
			d.Register(ok)
			defer func() {
				if r := fmt.Sprint(recover()); !strings.Contains(r, test.text) || !strings.HasPrefix(r, "rpcx: ") {
					t.Errorf("panic %q, want one with %q", r, test.text)
				}
				if d.Lookup("test.v1.Test/Ok") == nil || len(d.Stats()) != 1 {
					t.Error("what was registered before is gone")
				}
			}()
			d.Register(unary("Other", echo), test.h)
		})
	}
}

func TestLimit(t *testing.T) {
	d := New(Config{Log: quiet(), Admission: NewLimit(2)})
	d.Register(unary("Echo", echo))
	a, b := newCall(d, "Echo", &wire{}), newCall(d, "Echo", &wire{})
	if !d.Admit(a) || !d.Admit(b) {
		t.Fatal("refused below the limit")
	}
	w := &wire{}
	if d.Admit(newCall(d, "Echo", w)) {
		t.Error("let in above the limit")
	}
	if w.err.Code() != status.ResourceExhausted || !w.err.NotRun() || w.finished != 1 {
		t.Errorf("refused with %v", w.err)
	}
	d.Run(a)
	if !d.Admit(newCall(d, "Echo", &wire{})) {
		t.Error("refused although one has ended")
	}
}

// TestInterceptors: the first one is outermost, and each sees method, peer and
// metadata before anything is decoded.
func TestInterceptors(t *testing.T) {
	var log []string
	named := func(name string) call.Interceptor {
		return func(ctx context.Context, c *call.Call, next call.Next) error {
			log = append(log, name)
			err := next(ctx, c)
			log = append(log, name+" "+status.CodeOf(err).String())
			return err
		}
	}
	w := &wire{req: "hello", md: metadata.Pairs("who", "me")}
	looks := func(ctx context.Context, c *call.Call, next call.Next) error {
		if c.Method().Name() != "Echo" || c.Side() != call.Server || c.Peer().Addr.String() != ":7" || c.RequestHeader().Get("who") != "me" {
			t.Errorf("sees %v %v %v %v", c.Method(), c.Side(), c.Peer(), c.RequestHeader())
		}
		if w.decoded > 0 {
			t.Error("decoded before anyone asked")
		}
		if c.Response() != nil {
			t.Error("a response before the handler ran")
		}
		err := next(ctx, c)
		if res, _ := c.Response().(*text); res.GetValue() != "hello" {
			t.Errorf("response %v", c.Response())
		}
		return err
	}
	d := New(Config{Log: quiet(), Interceptors: []call.Interceptor{named("a"), looks, named("b")}})
	d.Register(unary("Echo", echo))
	run(d, "Echo", w)
	if got := strings.Join(log, ","); got != "a,b,b OK,a OK" || w.err != nil || w.decoded != 1 {
		t.Errorf("ran %s, %v, decoded %d times", got, w.err, w.decoded)
	}
}

func TestInterceptorRefuses(t *testing.T) {
	d := New(Config{Log: quiet(), Interceptors: []call.Interceptor{
		func(context.Context, *call.Call, call.Next) error {
			return status.Errorf(status.PermissionDenied, "no")
		},
	}})
	d.Register(unary("Echo", func(context.Context, string) (string, error) { t.Error("the handler ran"); return "", nil }),
		stream("Stream", call.KindServerStream, func(context.Context, call.ServerStream) error { t.Error("the handler ran"); return nil }))
	for _, name := range []string{"Echo", "Stream"} {
		w := &wire{}
		run(d, name, w)
		if w.err.Code() != status.PermissionDenied || w.decoded != 0 || len(w.recv) != 0 {
			t.Errorf("%s: got %v, decoded %d times", name, w.err, w.decoded)
		}
	}
}

// TestInterceptorMessages: what interceptors may do to a unary call's messages.
func TestInterceptorMessages(t *testing.T) {
	for name, test := range map[string]struct {
		ic   call.Interceptor
		want string
		code status.Code
	}{
		"looks at the request": {func(ctx context.Context, c *call.Call, next call.Next) error {
			for range 2 {
				if req, err := c.Request(); err != nil || req.(*text).Value != "hello" {
					return status.Errorf(status.Internal, "request %v, %w", req, err)
				}
			}
			return next(ctx, c)
		}, "hello", 0},
		"replaces the request": {func(ctx context.Context, c *call.Call, next call.Next) error {
			c.SetRequest(wrapperspb.String("other"))
			return next(ctx, c)
		}, "other", 0},
		"replaces the response": {func(ctx context.Context, c *call.Call, next call.Next) error {
			err := next(ctx, c)
			c.SetResponse(wrapperspb.String("cached"))
			return err
		}, "cached", 0},
		"answers by itself": {func(_ context.Context, c *call.Call, _ call.Next) error {
			c.SetResponse(wrapperspb.String("short"))
			return nil
		}, "short", 0},
		"answers nothing": {func(context.Context, *call.Call, call.Next) error { return nil }, "", status.Internal},
		"hides an error":  {func(ctx context.Context, c *call.Call, next call.Next) error { next(ctx, c); return errors.New("x") }, "", status.Unknown},
		"panics":          {func(context.Context, *call.Call, call.Next) error { panic("a secret") }, "", status.Internal},
		"a value for the handler": {func(ctx context.Context, c *call.Call, next call.Next) error {
			return next(context.WithValue(ctx, baseKey{}, "!"), c)
		}, "hello!", 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := New(Config{Log: quiet(), Interceptors: []call.Interceptor{test.ic}})
			d.Register(unary("Echo", func(ctx context.Context, req string) (string, error) {
				if v, ok := ctx.Value(baseKey{}).(string); ok {
					req += v
				}
				return req, nil
			}))
			w := &wire{req: "hello"}
			run(d, "Echo", w)
			if w.err.Code() != test.code || test.code == 0 && w.res.(*text).Value != test.want {
				t.Errorf("got %v, %v; want %q, %v", w.res, w.err, test.want, test.code)
			}
		})
	}
}

// TestInterceptedStreams: interceptors see the messages of streams, and a
// single request that they ask for still reaches the handler.
func TestInterceptedStreams(t *testing.T) {
	var seen []string
	d := New(Config{Log: quiet(), Interceptors: []call.Interceptor{func(ctx context.Context, c *call.Call, next call.Next) error {
		if !c.Method().Kind().CallerStreams() {
			req, err := c.Request()
			if err != nil {
				return err
			}
			seen = append(seen, "request "+req.(*text).Value)
		}
		c.OnReceive(func(msg any) error { seen = append(seen, "received "+msg.(*text).Value); return refuse(msg) })
		c.OnSend(func(msg any) error { seen = append(seen, "sent "+msg.(*text).Value); return refuse(msg) })
		return next(ctx, c)
	}}})
	echoAll := func(_ context.Context, s call.ServerStream) error {
		for {
			var m text
			if err := s.Recv(&m); err == io.EOF {
				return nil
			} else if err != nil {
				return nil // it hides the error
			}
			s.Send(&m)
		}
	}
	d.Register(stream("Bidi", call.KindBidiStream, echoAll), stream("Up", call.KindServerStream, func(_ context.Context, s call.ServerStream) error {
		var m text
		if err := s.Recv(&m); err != nil {
			return err
		}
		return s.Send(&m)
	}))
	for _, test := range []struct {
		name string
		w    *wire
		seen string
		code status.Code
	}{
		{"Bidi", &wire{recv: []string{"a", "b"}}, "received a,sent a,received b,sent b", 0},
		{"Bidi", &wire{recv: []string{"a", "bad", "c"}}, "received a,sent a,received bad", status.InvalidArgument},
		{"Up", &wire{req: "x", recv: []string{"x"}}, "request x,sent x", 0},
	} {
		seen = nil
		run(d, test.name, test.w)
		if got := strings.Join(seen, ","); !strings.HasPrefix(got, test.seen) && got != test.seen || test.w.err.Code() != test.code {
			t.Errorf("%s: seen %s, %v; want %s, %v", test.name, got, test.w.err, test.seen, test.code)
		}
	}
}

func refuse(msg any) error {
	if msg.(*text).Value == "bad" {
		return status.Errorf(status.InvalidArgument, "bad message")
	}
	return nil
}

// TestObserversAndStats: each call that starts ends once, and is counted.
func TestObserversAndStats(t *testing.T) {
	var o observer
	d := New(Config{Log: quiet(), Observers: []call.Observer{&o}, Admission: NewLimit(1)})
	d.Register(unary("Echo", echo), unary("Fail", func(context.Context, string) (string, error) { return "", errors.New("x") }),
		unary("Panic", func(context.Context, string) (string, error) { panic("x") }))
	for _, name := range []string{"Echo", "Fail", "Panic", "Echo"} {
		run(d, name, &wire{})
	}
	held := newCall(d, "Echo", &wire{})
	d.Admit(held)
	run(d, "Echo", &wire{}) // refused
	want := []string{"+Echo", "-Echo OK", "+Fail", "-Fail UNKNOWN", "+Panic", "-Panic INTERNAL", "+Echo", "-Echo OK", "+Echo", "+Echo", "-Echo RESOURCE_EXHAUSTED"}
	if !slices.Equal(o.log, want) {
		t.Errorf("observed %q, want %q", o.log, want)
	}
	stats := d.Stats()
	if len(stats) != 3 || stats[0].Method != "/test.v1.Test/Echo" {
		t.Fatalf("stats: %+v", stats)
	}
	s := stats[0]
	if s.Started != 4 || s.Ended[status.OK] != 2 || s.Ended[status.ResourceExhausted] != 1 || s.InFlight() != 1 || s.BytesSent != 30 || s.BytesReceived != 60 || s.Latency.Count != 3 {
		t.Errorf("counts: %+v", s)
	}
}

type observer struct {
	call.NopObserver
	log []string
}

func (o *observer) CallStarted(i call.Info) { o.log = append(o.log, "+"+i.Method.Name()) }
func (o *observer) CallEnded(i call.Info, r call.Result) {
	o.log = append(o.log, "-"+i.Method.Name()+" "+status.CodeOf(r.Err).String())
}
