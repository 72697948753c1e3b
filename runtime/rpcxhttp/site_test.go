package rpcxhttp_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxhttp"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
	"github.com/rpcx-go/rpcx/runtime/status"
)

type text = wrapperspb.StringValue

// The methods of the service that the tests call.
var (
	unary = rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: "test.v1.Echo", Name: "Unary"})
	get   = rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: "test.v1.Echo", Name: "Get", Idempotency: rpcx.NoSideEffects})
	split = rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: "test.v1.Echo", Name: "Split", Kind: rpcx.ServerStream})
	join  = rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: "test.v1.Echo", Name: "Join", Kind: rpcx.ClientStream})
	bidi  = rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: "test.v1.Echo", Name: "Bidi", Kind: rpcx.BidiStream})
)

// handler answers all methods: it is given what is received and sends what it
// returns, word by word if the callee streams.
type handler func(ctx context.Context, req string) (string, error)

func (h handler) register(srv rpcx.Registrar) {
	one := func(ctx context.Context, req *text) (*text, error) {
		res, err := h(ctx, req.GetValue())
		if err != nil {
			return nil, err
		}
		return wrapperspb.String(res), nil
	}
	srv.Register(
		rpcx.UnaryHandler(unary, one),
		rpcx.UnaryHandler(get, one),
		rpcx.ServerStreamHandler(split, func(ctx context.Context, req *text, s rpcx.ServerStreamingServer[text]) error {
			res, err := h(ctx, req.GetValue())
			for word := range strings.FieldsSeq(res) {
				if err := s.Send(wrapperspb.String(word)); err != nil {
					return err
				}
			}
			return err
		}),
		rpcx.ClientStreamHandler(join, func(ctx context.Context, s rpcx.ClientStreamingServer[text]) (*text, error) {
			var words []string
			for m, err := range s.All() {
				if err != nil {
					return nil, err
				}
				words = append(words, m.GetValue())
			}
			return one(ctx, wrapperspb.String(strings.Join(words, " ")))
		}),
		rpcx.BidiStreamHandler(bidi, func(ctx context.Context, s rpcx.BidiStreamingServer[text, text]) error {
			for m, err := range s.All() {
				if err != nil {
					return err
				}
				res, err := h(ctx, m.GetValue())
				if err != nil {
					return err
				}
				if err := s.Send(wrapperspb.String(res)); err != nil {
					return err
				}
			}
			return nil
		}),
	)
}

// site is a server on a network in memory.
type site struct {
	*rpcx.Server
	*rpcxtest.Network
	observer *observer
}

// newSite serves h until the test ends.
func newSite(t *testing.T, h handler, opts ...rpcx.ServerOption) *site {
	t.Helper()
	s := &site{Network: rpcxtest.NewNetwork(), observer: &observer{}}
	s.Server = rpcx.NewServer(append([]rpcx.ServerOption{rpcxhttp.WithHTTP(), rpcx.WithObserver(s.observer), rpcx.WithLogger(slog.New(slog.DiscardHandler))}, opts...)...)
	h.register(s)
	l := s.Listener()
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Server.Close()
		if err := <-served; !errors.Is(err, rpcx.ErrServerClosed) {
			t.Errorf("Serve returned %v", err)
		}
	})
	return s
}

// observer notes what servers tell.
type observer struct {
	call.NopObserver
	mu     sync.Mutex
	ended  []string // "METHOD CODE" of calls
	opened []string // protocols of connections
	open   int      // calls and connections
}

func (o *observer) CallStarted(call.Info) { o.note(func() { o.open++ }) }
func (o *observer) CallEnded(i call.Info, r call.Result) {
	o.note(func() {
		o.open--
		o.ended = append(o.ended, i.Method.Name()+" "+status.CodeOf(r.Err).String())
	})
}
func (o *observer) ConnOpened(i call.ConnInfo) {
	o.note(func() { o.open++; o.opened = append(o.opened, i.Protocol) })
}
func (o *observer) ConnClosed(call.ConnInfo, error) { o.note(func() { o.open-- }) }

func (o *observer) note(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f()
}

// calls returns how the calls ended.
func (o *observer) calls() (ended string) {
	o.note(func() { ended = strings.Join(o.ended, ", ") })
	return ended
}
