package transport

// waitlist is a queue of goroutines that wait for something that a lock
// guards. The lock's holder calls its methods.
type waitlist struct {
	last *waiter // whose next is the first: a ring; nil if nobody waits
}

type waiter struct {
	ready chan struct{} // closed when it is this one's turn
	next  *waiter
}

func (l *waitlist) empty() bool { return l.last == nil }

// add queues a waiter: at the front if it has waited before, else at the end.
func (l *waitlist) add(front bool) *waiter {
	w := &waiter{ready: make(chan struct{})}
	if l.last == nil {
		w.next, l.last = w, w
		return w
	}
	w.next, l.last.next = l.last.next, w
	if !front {
		l.last = w
	}
	return w
}

// remove takes w out and reports whether it was still waiting.
func (l *waitlist) remove(w *waiter) bool {
	if l.last == nil {
		return false
	}
	for before := l.last; ; before = before.next {
		if before.next == w {
			l.unlink(before)
			return true
		}
		if before.next == l.last {
			return false
		}
	}
}

// unlink takes out the waiter behind before and returns it.
func (l *waitlist) unlink(before *waiter) *waiter {
	w := before.next
	before.next, w.next = w.next, nil
	switch w {
	case before:
		l.last = nil
	case l.last:
		l.last = before
	}
	return w
}

// wake lets the first n go on.
func (l *waitlist) wake(n int) {
	for ; n > 0 && l.last != nil; n-- {
		close(l.unlink(l.last).ready)
	}
}

func (l *waitlist) wakeAll() {
	for l.last != nil {
		l.wake(1)
	}
}
