package transport

import (
	"runtime"
	"sync"
	"testing"
)

func anything[T any](*T) bool { return true }

func TestKept(t *testing.T) {
	var k kept[[]byte]
	k.watched.Store(true) // no collection does anything
	small, large := make([]byte, 1), make([]byte, 10)
	if !k.give(&small) || !k.give(&large) {
		t.Fatal("not taken in")
	}
	if got := k.take(func(b *[]byte) bool { return len(*b) > 5 }); got != &large {
		t.Errorf("took %p, want the one that fits, %p", got, &large)
	}
	if got := k.take(func(b *[]byte) bool { return len(*b) > 5 }); got != nil {
		t.Errorf("took %p, which does not fit", got)
	}
	k.collected() // something was taken before it
	if got := k.take(anything); got != &small {
		t.Errorf("took %p, want the other one, %p", got, &small)
	}
	for range k.slots {
		if !k.give(new([]byte)) {
			t.Fatal("full too early")
		}
	}
	if k.give(&small) {
		t.Error("took in more than there is room for")
	}
}

// TestKeptIsDropped: what nobody takes is dropped by garbage collections.
func TestKeptIsDropped(t *testing.T) {
	var k kept[[64]byte]
	for range 2 { // and so is what is given in after that
		k.give(new([64]byte))
		for k.slots[0].Load() != nil {
			runtime.GC()
			runtime.Gosched()
		}
	}
}

// TestKeptByMany: nobody gets what another one has.
func TestKeptByMany(t *testing.T) {
	var k kept[[]int]
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for range 2000 {
				v := k.take(anything)
				if v == nil {
					v = new([]int)
				}
				*v = append(*v, i)
				if n := len(*v); (*v)[n-1] != i {
					t.Error("shared")
				}
				k.give(v)
				if i == 0 {
					k.collected()
				}
			}
		})
	}
	group.Wait()
}

func TestUncleared(t *testing.T) {
	for _, n := range []int{1, 7, 100, 1 << 16, 1<<16 + 1} {
		b := uncleared(n)
		if len(b) != 0 || cap(b) != n {
			t.Errorf("uncleared(%d) has length %d and capacity %d", n, len(b), cap(b))
		}
		for i := range n {
			b = append(b, byte(i))
		}
		for i := range n {
			if b[i] != byte(i) {
				t.Fatalf("byte %d of %d is %d", i, n, b[i])
			}
		}
	}
}
