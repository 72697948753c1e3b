package transport

import (
	"bytes"
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

// TestKeep: copies share chunks that are no larger than what they may keep
// alive, and changing or growing one does not change another.
func TestKeep(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var chunk []byte
	var copies, want [][]byte
	held, kept := 0, 0
	for i := range 2000 {
		msg := bytes.Repeat([]byte{byte(i)}, r.IntN(300))
		if i%50 == 0 {
			msg = bytes.Repeat([]byte{byte(i)}, ownChunk-1+r.IntN(3))
		}
		before := cap(chunk) - len(chunk)
		var c []byte
		if chunk, c = keep(chunk, msg); !bytes.Equal(c, msg) || cap(c) != len(c) {
			t.Fatalf("copy of %d bytes: %d bytes, room for %d", len(msg), len(c), cap(c))
		}
		switch {
		case len(msg) >= ownChunk:
			held += len(msg)
		case before < len(msg):
			held += cap(chunk)
		}
		kept += len(msg)
		if cap(chunk) > maxChunk {
			t.Fatalf("a chunk of %d bytes", cap(chunk))
		}
		if held > 2*kept+maxChunk {
			t.Fatalf("%d bytes are held for %d", held, kept)
		}
		copies, want = append(copies, c), append(want, msg)
	}
	for i, c := range copies {
		if !bytes.Equal(c, want[i]) {
			t.Fatalf("copy %d has changed", i)
		}
		clear(c)
		_ = append(c, 0xff)
		clear(want[i])
	}
}
