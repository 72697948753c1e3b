// Package pool counts buffers of pools that were taken and not given back yet,
// for tests. In a program that does not ask for the count it costs a look at a
// variable.
package pool

import "sync/atomic"

var (
	counting bool
	out      atomic.Int64
)

// Count has buffers counted from now on, and returns what tells how many are out.
// It is called before anything uses a pool, as in TestMain.
func Count() (outstanding func() int64) {
	counting = true
	return out.Load
}

// Took says that a buffer was taken from a pool.
func Took() {
	if counting {
		out.Add(1)
	}
}

// Gave says that a buffer was given back, or left to the garbage collector
// because it has grown too large to be kept.
func Gave() {
	if counting {
		out.Add(-1)
	}
}
