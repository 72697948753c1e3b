package main

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rpcx-go/rpcx/runtime/internal/leaktest"
)

func TestMain(m *testing.M) {
	serveIfChild()
	goleak.VerifyTestMain(leaktest.Buffers(m))
}

// TestKill: of the calls only those fail that are in flight to a server which is
// killed, and none of them is said not to have run and did.
func TestKill(t *testing.T) {
	calls, killed, v, err := killOne(size{callers: 16, calls: 1000, mean: time.Millisecond})
	if err != nil {
		t.Error(err)
	}
	after := 0
	for _, o := range calls {
		if o.err == nil && o.start.After(killed) {
			after++
		}
	}
	if after == 0 || v.failed > v.calls/4 {
		t.Errorf("%d calls, %d failed; %d succeeded after the kill", v.calls, v.failed, after)
	}
}

// TestRolling: no call fails while three servers restart.
func TestRolling(t *testing.T) {
	if v, err := rolling(size{callers: 16, calls: 300, mean: time.Millisecond}); err != nil || v.calls < 1200 {
		t.Errorf("%d calls: %v", v.calls, err)
	}
}
