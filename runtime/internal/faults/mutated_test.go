//go:build !race

package faults_test

import (
	"context"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// TestMutatedMessages changes messages while they are marshalled, as no program
// may, on both sides, in unary calls and in streams: their own calls may fail,
// their neighbours' may not.
func TestMutatedMessages(t *testing.T) {
	good := rpcx.NewMethod[raw, raw](rpcx.MethodSpec{Service: "faults.v1.Mutated", Name: "Good"})
	answer := rpcx.NewMethod[raw, raw](rpcx.MethodSpec{Service: "faults.v1.Mutated", Name: "Answer"})
	stream := rpcx.NewMethod[raw, raw](rpcx.MethodSpec{Service: "faults.v1.Mutated", Name: "Stream", Kind: rpcx.BidiStream})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(rpcxtest.NewNetwork())
		w.Server().Register(
			rpcx.UnaryHandler(good, echoRaw),
			rpcx.UnaryHandler(answer, func(context.Context, *raw) (*raw, error) { return restless(200, nil), nil }),
			rpcx.BidiStreamHandler(stream, func(_ context.Context, s rpcx.BidiStreamingServer[raw, raw]) error {
				for {
					if _, err := s.Recv(); err != nil {
						return err
					}
					if err := s.Send(restless(200, nil)); err != nil {
						return err
					}
				}
			}),
		)
		beside(t, w, func(r *rand.Rand) {
			var changing sync.WaitGroup
			defer changing.Wait()
			m := restless(200+r.IntN(2_000), &changing)
			var err error
			switch r.IntN(3) {
			case 0:
				_, err = rpcx.CallUnary(t.Context(), w.Conn, good, m)
			case 1:
				_, err = rpcx.CallUnary(t.Context(), w.Conn, answer, wrapperspb.Bytes(nil))
			default:
				err = streamMutated(t.Context(), w.Conn, stream, m)
			}
			if code := status.CodeOf(err); code != status.OK && code != status.Internal && code != status.InvalidArgument {
				t.Errorf("a mutated call ended with %v", err)
			}
		})
	})
}

// restless returns a message that changes so many times from now on.
func restless(times int, changing *sync.WaitGroup) *raw {
	long, short := make([]byte, 3_000), make([]byte, 1)
	m := wrapperspb.Bytes(long)
	if changing == nil {
		changing = new(sync.WaitGroup)
	}
	changing.Go(func() {
		for range times {
			m.Value = short
			m.Value = long
		}
	})
	return m
}

func streamMutated(ctx context.Context, conn rpcx.Caller, method rpcx.Method[raw, raw], m *raw) error {
	s, err := rpcx.CallBidiStream(ctx, conn, method)
	if err != nil {
		return err
	}
	defer s.Close()
	for range 3 {
		if err := s.Send(m); err != nil && err != io.EOF {
			return err
		}
		if _, err := s.Recv(); err != nil {
			return err
		}
	}
	return nil
}
