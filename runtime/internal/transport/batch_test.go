package transport

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestBatchRest: whatever has been written of a batch, its pieces are the rest.
func TestBatchRest(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		b := batch{refs: new(references)}
		var all []byte
		for range r.IntN(5) {
			for range r.IntN(3) {
				b.buf, all = append(b.buf, byte(len(all))), append(all, byte(len(all)))
			}
			data := make([]byte, r.IntN(4))
			for i := range data {
				data[i] = byte(len(all) + i)
			}
			b.refs.parts, all = append(b.refs.parts, part{at: len(b.buf), data: data}), append(all, data...)
			b.refs.size += len(data)
		}
		b.buf, all = append(b.buf, 'x'), append(all, 'x')
		for b.sent = range len(all) + 1 {
			pieces := b.appendRest(nil)
			if got := bytes.Join(pieces, nil); !bytes.Equal(got, all[b.sent:]) || b.rest() != len(got) {
				t.Fatalf("%d of %v have been written: the rest is %v, %d bytes", b.sent, all, got, b.rest())
			}
			for _, p := range pieces {
				if len(p) == 0 {
					t.Fatalf("a piece is empty: %v", pieces)
				}
			}
		}
	}
}
