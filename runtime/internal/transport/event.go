package transport

import "sync/atomic"

// event is something that happens once and that others may wait for. The zero
// value is ready; its channel is made when somebody first asks for it. It may be
// used concurrently.
type event struct {
	ch atomic.Pointer[chan struct{}] // nil: it has not happened, and nobody waits
}

// past is the channel of all events that have happened.
var past = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// happen says that it has happened, now or before.
func (e *event) happen() {
	if c := e.ch.Swap(&past); c != nil && c != &past {
		close(*c)
	}
}

// happened reports whether it has happened.
func (e *event) happened() bool { return e.ch.Load() == &past }

// done returns what is closed when it happens.
func (e *event) done() <-chan struct{} {
	if c := e.ch.Load(); c != nil {
		return *c
	}
	if c := make(chan struct{}); e.ch.CompareAndSwap(nil, &c) {
		return c
	}
	return *e.ch.Load() // somebody was faster
}
