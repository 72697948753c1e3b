package faults_test

import (
	"fmt"
	"os"
	"runtime/debug"
	"testing"

	"github.com/rpcx-go/rpcx/runtime/internal/faults"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest"
)

// TestCutsAtEveryByte breaks the connection of a unary call and one of each
// kind of stream, with a message of 70 KB each way, at every byte of both
// directions, by FIN, RST and stall. At which end, and whether the connections
// behind it break as well, takes turns from byte to byte.
//
// FAULTS_PART=i/n has it do the i-th of n parts of that, one process each: a
// part wants one processor (-cpu 1), as bubbles on several wait for each other.
func TestCutsAtEveryByte(t *testing.T) {
	part, parts := int64(1), int64(1)
	if s := os.Getenv("FAULTS_PART"); s != "" {
		if _, err := fmt.Sscanf(s, "%d/%d", &part, &parts); err != nil {
			t.Fatalf("FAULTS_PART=%s: %v", s, err)
		}
	}
	step := int64(2_003)
	if whole {
		step = 1
	}
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // most of the time would go there
	for _, o := range orders() {
		if o.Kind.MayRepeat() {
			continue
		}
		o = large(o)
		o.Sends, o.Answers = 1, 1
		t.Run(o.Kind.String(), func(t *testing.T) {
			runs := 0
			for dir, bytes := range record(t, o, small()...) {
				for after := (part - 1) * step; after <= int64(len(bytes)); after += step * parts {
					for c, cut := range cuts {
						turn := after/step/parts + int64(c)
						cutAt(t, o, dir == int(rpcxtest.Outbound), end(turn%2 == 1), turn%4 >= 2, after, cut.action)
						runs++
					}
					if t.Failed() {
						return
					}
				}
			}
			t.Logf("%d runs", runs)
		})
	}
}

func cutAt(t *testing.T, o faults.Order, sent bool, at end, every bool, after int64, action rpcxtest.Action) {
	cutOnce(t, o, at, every, rpcxtest.Step{In: at.direction(sent), After: after, Do: action}, small()...)
}
