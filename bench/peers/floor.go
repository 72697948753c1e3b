package peers

import (
	_ "github.com/rpcx-go/rpcx/bench/floor"
	"github.com/rpcx-go/rpcx/bench/floor/harness"
	"github.com/rpcx-go/rpcx/bench/workload"
)

// Floors are lower limits written by hand: frames, batching writers and a codec
// with nothing around them, or with the bookkeeping of a runtime.
func init() {
	for name, kinds := range map[string][]workload.Kind{
		// A runtime's bookkeeping and a goroutine per call.
		"mux-rt-go-leadbigy-rd": {workload.Unary},
		// The same with handlers in the goroutine that reads.
		"mux-rt-inline-leadbigy-rd": {workload.Unary},
		// The first, which polls briefly before it parks.
		"mux-rt-go-leadbigy-rdb": {workload.Unary},
		// Streams with pooled messages, a queue and a goroutine that writes.
		"stream-vtu-q-loopy": {workload.ServerStream, workload.Bidi},
		// A goroutine per connection, which has a buffer only while it reads.
		"floor-connlazy": {workload.Idle},
	} {
		f := harness.Peers[name]
		workload.Register(workload.Peer{
			Name:   name,
			Order:  orderFloors,
			Floor:  true,
			Kinds:  kinds,
			Listen: f.Serve,
			Dial:   func(to workload.Target) (workload.Client, error) { return &floorClient{floor: f, to: to}, nil },
		})
	}
}

// floorClient connects when it is asked for its first caller, as a floor wants
// to know how many there will be.
type floorClient struct {
	floor   harness.Peer
	to      workload.Target
	callers int // made so far
	next    func(w int) harness.CallFunc
	stays   any // connections
}

// Close does nothing: connections of floors last as long as the process.
func (*floorClient) Close() error { return nil }

func (c *floorClient) NewCaller(cell workload.Cell) (_ workload.Caller, err error) {
	o := harness.Opts{Addr: c.to.Addr, Conc: cell.Callers, Size: cell.Bytes, Kind: string(cell.Method())}
	if cell.Kind == workload.Idle {
		return func() (err error) {
			c.stays, err = c.floor.Conns(o, 1)
			return err
		}, nil
	}
	if c.next == nil {
		if cell.Method() == workload.Unary {
			c.next, err = c.floor.Dial(o)
		} else {
			c.next, err = c.floor.Stream(o, cell.MessagesPerCall())
		}
		if err != nil {
			return nil, err
		}
	}
	c.callers++
	return workload.Caller(c.next(c.callers - 1)), nil
}
