package peers

import (
	"time"

	"github.com/rpcx-go/rpcx/bench/workload"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
)

// rpcx with brief polling on at both ends.
func init() {
	polling := rpcx.WithBusyPoll(100 * time.Microsecond)
	workload.Register(workload.Peer{
		Name:  "rpcx-poll",
		Order: orderRPCX,
		Kinds: []workload.Kind{workload.Unary},
		Fits:  func(c workload.Cell) bool { return c.Bytes < 64<<10 },
		Serve: func(lis workload.Listener) error { return serveRPCXWith(lis, polling) },
		Dial:  func(to workload.Target) (workload.Client, error) { return dialRPCX(to, polling) },
	})
}
