package sim

import (
	"flag"
	"testing"

	"go.uber.org/goleak"

	"github.com/rpcx-go/rpcx/runtime/internal/leaktest"
)

var (
	schedules = flag.Int("schedules", 60, "how many schedules run")
	seed      = flag.Uint64("seed", 1, "of the first schedule")
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(leaktest.Buffers(m)) }

// TestSchedules runs schedules whose promises must hold.
func TestSchedules(t *testing.T) {
	calls, good := 0, 0
	for i := range uint64(*schedules) {
		res := Run(t, *seed+i, nil)
		calls, good = calls+res.Calls, good+res.Good
		if len(res.Wrong) > 0 {
			t.Fatal(res)
		}
	}
	t.Logf("%d schedules, %d calls, %d of them succeeded", *schedules, calls, good)
}
