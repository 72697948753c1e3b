package fanout

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/rpcx-go/rpcx/runtime/internal/leaktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(leaktest.Buffers(m)) }
