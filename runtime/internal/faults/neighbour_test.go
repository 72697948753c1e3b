package faults_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/runtime/protoiface"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/internal/faults"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// bad is a message that cannot be marshalled, as its value says. It looks like
// a StringValue whose owner does not keep still.
type bad struct{ *wrapperspb.StringValue }

func newBad(how string) *bad { return &bad{wrapperspb.String(how)} }

func (b *bad) ProtoReflect() protoreflect.Message {
	if b.StringValue == nil {
		b.StringValue = new(wrapperspb.StringValue)
	}
	return badReflect{b.StringValue.ProtoReflect(), b.GetValue()}
}

type badReflect struct {
	protoreflect.Message
	how string
}

// The ways in which a message can be bad.
var badWays = []string{"grows", "shrinks", "size panics", "panics", "panics behind a part", "fails", "\xff is not UTF-8"}

func (b badReflect) ProtoMethods() *protoiface.Methods {
	if len(b.how) > 1 && b.how[0] == 0xff {
		return b.Message.ProtoMethods()
	}
	return &protoiface.Methods{Size: b.size, Marshal: b.marshal}
}

func (b badReflect) size(protoiface.SizeInput) protoiface.SizeOutput {
	if b.how == "size panics" {
		panic("no size")
	}
	return protoiface.SizeOutput{Size: 300}
}

func (b badReflect) marshal(in protoiface.MarshalInput) (out protoiface.MarshalOutput, err error) {
	n := 300
	switch b.how {
	case "grows":
		n = 100_000
	case "shrinks":
		n = 10
	case "panics":
		panic("no bytes")
	case "fails":
		err = errors.New("no bytes")
	}
	out.Buf = in.Buf
	for range n {
		out.Buf = append(out.Buf, 0xAA)
	}
	if b.how == "panics behind a part" {
		panic("no more bytes")
	}
	return out, err
}

var (
	badRequest = rpcx.NewMethod[bad, text](rpcx.MethodSpec{Service: "faults.v1.Bad", Name: "Request"})
	badAnswer  = rpcx.NewMethod[text, bad](rpcx.MethodSpec{Service: "faults.v1.Bad", Name: "Answer"})
	badInline  = rpcx.NewMethod[text, bad](rpcx.MethodSpec{Service: "faults.v1.Bad", Name: "Inline", NonBlocking: true})
	badStream  = rpcx.NewMethod[bad, bad](rpcx.MethodSpec{Service: "faults.v1.Bad", Name: "Stream", Kind: rpcx.BidiStream})
	badHandler = rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: "faults.v1.Bad", Name: "Handler"})
)

func registerBad(srv rpcx.Registrar) {
	answer := func(_ context.Context, req *text) (*bad, error) { return newBad(badWays[len(req.GetValue())]), nil }
	srv.Register(
		rpcx.UnaryHandler(badRequest, func(context.Context, *bad) (*text, error) { return wrapperspb.String("?"), nil }),
		rpcx.UnaryHandler(badAnswer, answer),
		rpcx.UnaryHandler(badInline, answer),
		rpcx.BidiStreamHandler(badStream, func(_ context.Context, s rpcx.BidiStreamingServer[bad, bad]) error {
			return s.Send(newBad(badWays[rand.IntN(len(badWays))]))
		}),
		rpcx.UnaryHandler(badHandler, func(_ context.Context, req *text) (*text, error) {
			if req.GetValue() == "leave" {
				runtime.Goexit()
			}
			panic(req.GetValue())
		}),
	)
}

// callBadly makes a call that must fail, for which no other one may pay.
func callBadly(ctx context.Context, conn rpcx.Caller, r *rand.Rand) (err error) {
	way := r.IntN(len(badWays))
	pick := wrapperspb.String("1234567"[:way])
	switch r.IntN(6) {
	case 0:
		_, err = rpcx.CallUnary(ctx, conn, badRequest, newBad(badWays[way]))
	case 1:
		_, err = rpcx.CallUnary(ctx, conn, badAnswer, pick)
	case 2:
		_, err = rpcx.CallUnary(ctx, conn, badInline, pick)
	case 3:
		_, err = rpcx.CallUnary(ctx, conn, badHandler, wrapperspb.String("leave"))
	case 4:
		_, err = rpcx.CallUnary(ctx, conn, badHandler, wrapperspb.String("panic"))
	default:
		var s rpcx.BidiStreamingClient[bad, bad]
		if s, err = rpcx.CallBidiStream(ctx, conn, badStream); err != nil {
			return err
		}
		defer s.Close()
		if err = s.Send(newBad(badWays[way])); err == nil || err == io.EOF {
			_, err = s.Recv()
		}
	}
	return err
}

// TestBadNeighbours makes calls whose messages cannot be marshalled and whose
// handlers panic beside others on the same connection.
func TestBadNeighbours(t *testing.T) {
	for name, opts := range map[string][]rpcx.Option{
		"plain": nil, "checksums": {rpcx.WithChecksums()}, "compression": {rpcx.WithCompression("s2", 50)},
	} {
		opts = append(opts, rpcx.WithLogger(slog.New(slog.DiscardHandler))) // of panics
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { badNeighbours(t, newWorld(rpcxtest.NewNetwork(), opts...)) })
		})
		t.Run(name+" over TCP", func(t *testing.T) { badNeighbours(t, realWorld(opts...)) })
	}
}

func badNeighbours(t *testing.T, w *faults.World) {
	registerBad(w.Server())
	beside(t, w, func(r *rand.Rand) {
		if err := callBadly(t.Context(), w.Conn, r); status.CodeOf(err) != status.Internal {
			t.Errorf("a bad call ended with %v", err)
		}
	})
}

// beside has do called again and again while good calls are made, none of which
// may fail, all over one connection.
func beside(t *testing.T, w *faults.World, do func(*rand.Rand)) {
	var all sync.WaitGroup
	calls := howMany(100, 3_000)
	for c := range 4 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(c), 10))
			for range calls {
				do(r)
			}
		})
	}
	for c := range 12 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(c), 11))
			for i := range calls {
				_ = w.Agent.Do(t.Context(), faults.Order{
					ID: uint64(i*12 + c + 1), Kind: faults.Kind(r.IntN(int(faults.Kinds))), Sends: 3, Answers: 3,
					SendSize: r.IntN(2_000), AnswerSize: r.IntN(2_000), Timeout: time.Minute, Patient: true,
				})
			}
		})
	}
	all.Wait()
	w.Close()
	report(t, w, "good calls beside bad ones")
}

type raw = wrapperspb.BytesValue

func echoRaw(_ context.Context, req *raw) (*raw, error) { return req, nil }
