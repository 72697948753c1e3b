package transport

import (
	"fmt"
	"testing"

	"github.com/rpcx-go/rpcx/runtime/internal/frame"
)

// TestAssemblyMemory: whatever the sizes of message and parts, what a message
// holds stays within the bound, is what is counted for it, and is the message in
// the end. One that is cancelled on the way holds nothing any more.
func TestAssemblyMemory(t *testing.T) {
	for _, total := range []int{1, 100, 64 << 10, 64<<10 + 10, 128 << 10, 200_000, 256<<10 + 1, 1 << 20, 3_000_001} {
		for _, part := range []int{1 << 10, 30_000, 65_532, 100_000, 300_000, 1 << 20} {
			for _, cancel := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d by %d, cancel %v", total, part, cancel), func(t *testing.T) {
					assembleBy(t, long(total), part, cancel)
				})
			}
		}
	}
}

func assembleBy(t *testing.T, msg string, part int, cancel bool) {
	b := NewBudget(1 << 30)
	a := &assembly{account: &account{budget: b}}
	for n := 0; n < len(msg); {
		s := frame.Sections{Message: []byte(msg[n:min(n+part, len(msg))])}
		h := frame.Header{}
		if n == 0 {
			h.Flags, s.Total = frame.FlagTotal, uint32(len(msg))
		}
		if n += len(s.Message); n < len(msg) {
			h.Flags |= frame.FlagMore
		}
		complete, err := a.add(&h, &s, nil)
		if err != nil || complete != (n == len(msg)) {
			t.Fatalf("after %d bytes: complete is %v, %v", n, complete, err)
		}
		held := a.heldLocked()
		if held > firstPart+2*n {
			t.Fatalf("holds %d bytes after %d", held, n)
		}
		if got := b.Used(); got != int64(held) {
			t.Fatalf("%d bytes are counted, %d held", got, held)
		}
		if cancel && n > len(msg)/2 {
			break
		}
	}
	if cancel {
		a.cancel()
		if held := a.heldLocked(); held != 0 {
			t.Errorf("holds %d bytes after the end", held)
		}
	} else {
		got, _ := a.take()
		if string(got) != msg {
			t.Error("the message has changed")
		}
		if cap(got) > 2*len(got) {
			t.Errorf("%d bytes are in memory for %d", len(got), cap(got))
		}
		a.release()
	}
	if got := b.Used(); got != 0 {
		t.Errorf("%d bytes are counted after the end", got)
	}
}
