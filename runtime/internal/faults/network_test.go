package faults_test

import (
	"net"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/faults"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
)

// slow is a connection on which every 4 KiB take half a millisecond, either way.
func slow(c *rpcxtest.Conn) net.Conn {
	const pause = 500 * time.Microsecond
	return rpcxtest.NewFault(c,
		rpcxtest.Step{In: rpcxtest.Outbound, Every: 4 << 10, Do: rpcxtest.Delay(pause)},
		rpcxtest.Step{In: rpcxtest.Inbound, Every: 4 << 10, Do: rpcxtest.Delay(pause)})
}

// ledgerOf keeps the books of the connection that is dialed last.
func ledgerOf(last **faults.Ledger) func(*rpcxtest.Conn) net.Conn {
	return func(c *rpcxtest.Conn) net.Conn {
		*last = faults.NewLedger(c)
		return *last
	}
}
