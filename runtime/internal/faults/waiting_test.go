package faults_test

import (
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/faults"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
)

// lingering is an observer that takes its time where the end of calls is told,
// so that all else goes on meanwhile.
type lingering struct {
	call.NopObserver
	pause time.Duration
}

func (l lingering) CallEnded(i call.Info, _ call.Result) {
	if i.Side == call.Client {
		time.Sleep(l.pause)
	}
}

// TestEndWhileCallsWait ends a connection while a write is slow and calls wait
// behind it. The write returns while the calls are told of the end: those that
// were told that they never ran must not be written after all.
func TestEndWhileCallsWait(t *testing.T) {
	const ms = time.Millisecond
	for _, cut := range cuts[:2] {
		t.Run(cut.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := rpcxtest.NewNetwork()
				network.WrapDial = func(c *rpcxtest.Conn) net.Conn {
					f := rpcxtest.NewFault(c)
					time.AfterFunc(50*ms, func() {
						f.Add(rpcxtest.Step{In: rpcxtest.Outbound, Do: rpcxtest.Delay(20 * ms)},
							rpcxtest.Step{In: rpcxtest.Inbound, Do: cut.action}) // when the first answer comes, after 60 ms
					})
					return f
				}
				w := newWorld(network, rpcx.WithObserver(lingering{pause: 15 * ms}))
				var all sync.WaitGroup
				for i := range 12 {
					all.Go(func() {
						o := faults.Order{ID: uint64(i + 1), Kind: faults.Kind(i) % faults.Kinds, Sends: 2, Answers: 2, Work: 60 * ms, Timeout: time.Second}
						if i > 0 {
							time.Sleep(50*ms + time.Duration(i)*ms/2)
						}
						_ = w.Agent.Do(t.Context(), o)
					})
				}
				all.Wait()
				w.Close()
				report(t, w, cut.name)
			})
		})
	}
}
