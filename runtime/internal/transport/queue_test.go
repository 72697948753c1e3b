package transport

import (
	"math/rand/v2"
	"testing"
)

// TestQueue: items come out in their order, however pushes and pops mix, and an
// empty queue holds at most one block, without messages.
func TestQueue(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var q queue
	pushed, popped := uint32(0), uint32(0)
	for round := range 200 {
		for range r.IntN(3 * blockItems) {
			pushed++
			q.push(item{data: []byte{1}, held: pushed})
		}
		n := r.IntN(3 * blockItems)
		if round%10 == 9 {
			n = int(pushed)
		}
		for range n {
			it, ok := q.pop()
			if !ok {
				break
			}
			if popped++; it.held != popped || len(it.data) != 1 {
				t.Fatalf("item %d after %d", it.held, popped-1)
			}
		}
		if q.empty() != (pushed == popped) {
			t.Fatalf("empty is %v after %d of %d items", q.empty(), popped, pushed)
		}
		if !q.empty() {
			continue
		}
		if len(q.full) > 0 || cap(q.last) > blockItems {
			t.Fatalf("an empty queue holds %d blocks and room for %d items", len(q.full), cap(q.last))
		}
		for _, it := range q.last[:cap(q.last)] {
			if it.data != nil {
				t.Fatal("an empty queue holds a message")
			}
		}
	}
	if popped == 0 || popped != pushed {
		t.Errorf("%d of %d items came out", popped, pushed)
	}
}
