package faults_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/faults"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
)

// mustSucceed makes the call over a connection with the steps; nothing that
// they do is an excuse.
func mustSucceed(t *testing.T, o faults.Order, at end, steps []rpcxtest.Step, opts ...rpcx.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o.Patient = true
		w := newWorld(faulty(at, true, steps...), opts...)
		_ = w.Agent.Do(t.Context(), o)
		w.Close()
		report(t, w, fmt.Sprintf("%v, at the %v, %v", o, at, steps))
	})
}

// TestByteByByte hands over the bytes of both directions one by one.
func TestByteByByte(t *testing.T) {
	for _, o := range append(orders(), largeOrders()...) {
		t.Run(fmt.Sprintf("%v/%d", o.Kind, o.SendSize), func(t *testing.T) {
			for _, at := range []end{atClient, atServer} {
				mustSucceed(t, o, at, []rpcxtest.Step{
					{In: rpcxtest.Inbound, Do: rpcxtest.Split(1)},
					{In: rpcxtest.Outbound, Do: rpcxtest.Split(1)},
				}, small()...)
			}
		})
	}
}

func largeOrders() (all []faults.Order) {
	for _, o := range orders() {
		all = append(all, large(o))
	}
	return all
}

// TestTwoParts has each direction arrive in two parts, the second one later,
// cut at every byte.
func TestTwoParts(t *testing.T) {
	step := 7
	if whole {
		step = 1
	}
	for _, o := range orders() {
		t.Run(o.Kind.String(), func(t *testing.T) {
			t.Parallel()
			twoParts(t, o, step, 4)
		})
	}
}

// TestTwoPartsOfLargeMessages does the same at the edges of all frames of large messages.
func TestTwoPartsOfLargeMessages(t *testing.T) {
	step := 70_000
	if whole {
		step = 509
	}
	for _, o := range largeOrders() {
		t.Run(o.Kind.String(), func(t *testing.T) {
			t.Parallel()
			twoParts(t, o, step, 2, small()...)
		})
	}
}

func twoParts(t *testing.T, o faults.Order, step, near int, opts ...rpcx.Option) {
	runs := 0
	for dir, bytes := range record(t, o, opts...) {
		in := rpcxtest.Direction(dir)
		for i, after := range offsets(bytes, step, 0, near) {
			for _, pause := range []time.Duration{0, 20 * time.Millisecond} {
				if pause == 0 && !whole && o.SendSize > 1_000 {
					continue
				}
				at := end(i%2 == 1)
				steps := []rpcxtest.Step{{In: at.direction(in == rpcxtest.Outbound), After: after, Do: rpcxtest.Delay(pause)}}
				mustSucceed(t, o, at, steps, opts...)
				if runs++; t.Failed() {
					return
				}
			}
		}
	}
	t.Logf("%d runs", runs)
}

// TestFlippedHeaders inverts each bit of each frame's header: it may cost the
// connection and its call, and nothing else.
func TestFlippedHeaders(t *testing.T) {
	for _, o := range orders() {
		t.Run(o.Kind.String(), func(t *testing.T) {
			t.Parallel()
			flip(t, o, func(recorded []byte) (bits []int64) {
				for i, at := range faults.HeaderOffsets(recorded) {
					for bit := range int64(faults.HeaderSize * 8) {
						if whole || (int(bit)+i)%5 == 0 {
							bits = append(bits, at*8+bit)
						}
					}
				}
				return bits
			})
		})
	}
}

// TestFlippedBits inverts bits anywhere where frames carry checksums: no wrong
// byte reaches anybody.
func TestFlippedBits(t *testing.T) {
	for _, o := range orders() {
		if o.Kind.MayRepeat() {
			continue // they are sent early, before checksums are agreed upon
		}
		t.Run(o.Kind.String(), func(t *testing.T) {
			t.Parallel()
			flip(t, o, func(recorded []byte) (bits []int64) {
				// SETTINGS has no checksum.
				first := faults.HeaderOffsets(recorded)[1]
				for bit := first * 8; bit < int64(len(recorded))*8; bit++ {
					if whole || bit%37 == 0 {
						bits = append(bits, bit)
					}
				}
				return bits
			}, rpcx.WithChecksums())
		})
	}
}

func flip(t *testing.T, o faults.Order, choose func(recorded []byte) []int64, opts ...rpcx.Option) {
	runs := 0
	for dir, bytes := range record(t, o, opts...) {
		in := rpcxtest.Direction(dir)
		for _, bit := range choose(bytes) {
			at := end(bit%2 == 1)
			step := rpcxtest.Step{In: at.direction(in == rpcxtest.Outbound), After: bit / 8, Do: rpcxtest.FlipBit(int(bit % 8))}
			cutOnce(t, o, at, bit%3 == 0, step, opts...)
			if runs++; t.Failed() {
				return
			}
		}
	}
	t.Logf("%d runs", runs)
}
