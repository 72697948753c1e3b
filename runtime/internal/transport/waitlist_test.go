package transport

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestWaitlist compares a waitlist with a slice, over random programs.
func TestWaitlist(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		var l waitlist
		var model, gone []*waiter
		for range 100 {
			switch op := rnd.IntN(4); {
			case op == 0:
				model = append(model, l.add(false))
			case op == 1:
				model = append([]*waiter{l.add(true)}, model...)
			case op == 2 && len(model) > 0:
				i := rnd.IntN(len(model))
				if !l.remove(model[i]) {
					t.Fatalf("seed %d: waiter %d of %d was not there", seed, i, len(model))
				}
				model = slices.Delete(model, i, i+1)
			default:
				n := min(rnd.IntN(3), len(model))
				l.wake(n)
				for _, w := range model[:n] {
					<-w.ready
				}
				gone = append(gone, model[:n]...)
				model = model[n:]
			}
			if l.empty() != (len(model) == 0) {
				t.Fatalf("seed %d: empty is %v with %d waiting", seed, l.empty(), len(model))
			}
			for _, w := range model {
				select {
				case <-w.ready:
					t.Fatalf("seed %d: somebody was woken out of turn", seed)
				default:
				}
			}
			for _, w := range gone {
				if l.remove(w) {
					t.Fatalf("seed %d: one that was woken waits", seed)
				}
			}
		}
		l.wakeAll()
		for _, w := range model {
			<-w.ready
		}
		if !l.empty() {
			t.Fatalf("seed %d: somebody waits after all were woken", seed)
		}
	}
}
