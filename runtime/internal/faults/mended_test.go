package faults_test

import (
	"fmt"
	"net"
	"testing"
	"testing/synctest"

	"github.com/rpcx-go/rpcx/runtime/internal/faults"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// TestMendedHeaders inverts each bit of each frame's header and mends the check
// byte, as somebody would who means it. Such a frame may say anything: its call
// ends in time all the same, once, with a type, and nothing stays behind.
func TestMendedHeaders(t *testing.T) {
	for _, o := range orders() {
		t.Run(o.Kind.String(), func(t *testing.T) {
			t.Parallel()
			recorded := record(t, o)
			for dir, bytes := range recorded {
				for n := range faults.HeaderOffsets(bytes) {
					for bit := range (faults.HeaderSize - 1) * 8 {
						if whole || (bit+n)%5 == 0 {
							mend(t, o, rpcxtest.Direction(dir), n, bit)
						}
					}
				}
			}
		})
	}
}

// mend makes the call while a bit of the header of the n-th frame of a direction
// is inverted.
func mend(t *testing.T, o faults.Order, dir rpcxtest.Direction, n, bit int) {
	synctest.Test(t, func(t *testing.T) {
		network := rpcxtest.NewNetwork()
		network.WrapDial = func(c *rpcxtest.Conn) net.Conn {
			count := 0
			rewrite := func(f faults.Frame) []faults.Frame {
				if count++; count == n+1 {
					f.Flip(bit)
				}
				return []faults.Frame{f}
			}
			if dir == rpcxtest.Outbound {
				return faults.Middle(c, rewrite, nil)
			}
			return faults.Middle(c, nil, rewrite)
		}
		w := newWorld(network)
		err := w.Agent.Do(t.Context(), o)
		w.Close()
		synctest.Wait()
		if !w.Journal.Told() {
			t.Errorf("%v, bit %d of frame %d, %v: observers were not told of an end", o, bit, n, dir)
		}
		if err != nil && status.CodeOf(err) == status.Unknown && !said(dir, bit) {
			t.Errorf("%v, bit %d of frame %d, %v: %v", o, bit, n, dir, err)
		}
		if took := w.Journal.Took(o.ID); took > o.Timeout+w.Journal.Slack {
			t.Errorf("%v, bit %d of frame %d, %v: ended after %v\n%s", o, bit, n, dir, took, w.Journal.Trace())
		}
	})
}

// said reports whether the bit may make the server's status UNKNOWN.
func said(dir rpcxtest.Direction, bit int) bool {
	const code = 20
	return dir == rpcxtest.Inbound && bit/8 == code
}

// TestNothingStays breaks connections again and again; what they held must go.
func TestNothingStays(t *testing.T) {
	round := func() {
		for _, o := range largeOrders() {
			for i, cut := range cuts {
				for at := range int64(20) {
					cutOnce(t, o, end(i%2 == 0), true, rpcxtest.Step{In: end(i%2 == 0).direction(at%2 == 0), After: at * 5_003, Do: cut.action}, small()...)
				}
			}
		}
	}
	round()
	before := heap()
	for range howMany(1, 10) {
		round()
	}
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("the heap grew by %s", fmt.Sprint(grown>>10, " KiB"))
	}
}
