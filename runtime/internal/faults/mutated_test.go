//go:build !race

package faults_test

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// TestMutatedMessages changes messages while they are marshalled, as no program
// may: their own calls may fail, their neighbours' may not.
func TestMutatedMessages(t *testing.T) {
	echo := rpcx.NewMethod[raw, raw](rpcx.MethodSpec{Service: "faults.v1.Mutated", Name: "Echo"})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(rpcxtest.NewNetwork())
		w.Server().Register(rpcx.UnaryHandler(echo, echoRaw))
		beside(t, w, func(r *rand.Rand) {
			long, short := make([]byte, 3_000), make([]byte, 1)
			m := wrapperspb.Bytes(long)
			done := make(chan struct{})
			go func() {
				defer close(done)
				for range 200 + r.IntN(2_000) {
					m.Value = short
					m.Value = long
				}
			}()
			_, err := rpcx.CallUnary(t.Context(), w.Conn, echo, m)
			<-done
			if code := status.CodeOf(err); code != status.OK && code != status.Internal && code != status.InvalidArgument {
				t.Errorf("a mutated call ended with %v", err)
			}
		})
	})
}
