package transport

import (
	"runtime"
	"sync/atomic"
)

// kept is a few large buffers that garbage collections leave alone. Those of a
// sync.Pool are gone after two of them, and where large messages are sent
// collections come every few milliseconds, so that buffers would be made and
// cleared time and again. They are dropped once nobody has taken any from one
// collection to the next. It is safe for concurrent use.
type kept[T any] struct {
	slots   [64]atomic.Pointer[T] // nil where there is none
	taken   atomic.Bool           // since the last collection
	watched atomic.Bool
}

// take takes out one that fits, nil if there is none.
func (k *kept[T]) take(fits func(*T) bool) *T {
	for i := range k.slots {
		if k.slots[i].Load() == nil {
			continue
		}
		v := k.slots[i].Swap(nil)
		if v == nil {
			continue
		}
		if fits(v) {
			if !k.taken.Load() {
				k.taken.Store(true)
			}
			return v
		}
		k.slots[i].CompareAndSwap(nil, v)
	}
	return nil
}

// give takes v in, unless there are enough.
func (k *kept[T]) give(v *T) bool {
	for i := range k.slots {
		if k.slots[i].Load() == nil && k.slots[i].CompareAndSwap(nil, v) {
			if !k.watched.Load() && !k.watched.Swap(true) {
				k.watch()
			}
			return true
		}
	}
	return false
}

// watch has collected be called after the next garbage collection.
func (k *kept[T]) watch() {
	// A pointer: what holds none may share memory with something that lives on.
	runtime.AddCleanup(new(*byte), (*kept[T]).collected, k)
}

// collected drops everything if nobody has taken anything since it was called last.
func (k *kept[T]) collected() {
	if k.taken.Swap(false) {
		k.watch()
		return
	}
	k.watched.Store(false) // before slots are emptied: whoever gives then watches again
	for i := range k.slots {
		k.slots[i].Store(nil)
	}
}
