package rpcxtest

import (
	"slices"
	"sync"
)

// Recorder remembers what a fake was called with. Its zero value is ready for
// use and its methods may be called concurrently. It must not be copied.
type Recorder[T any] struct {
	mu    sync.Mutex
	calls []T
}

// Record remembers one call.
func (r *Recorder[T]) Record(call T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, call)
}

// Calls returns what has been recorded, in order, in a slice of the caller's
// own. It is nil if there is nothing.
func (r *Recorder[T]) Calls() []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

// Count returns how many calls have been recorded.
func (r *Recorder[T]) Count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.calls)
}

// Reset forgets what has been recorded.
func (r *Recorder[T]) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = nil
}
