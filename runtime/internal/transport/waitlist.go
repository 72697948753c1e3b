package transport

// waitlist is a queue of goroutines that wait for something that a lock
// guards. The lock's holder calls its methods.
type waitlist struct {
	waiters []*waiter
}

type waiter struct {
	ready chan struct{} // closed when it is this one's turn
}

func (l *waitlist) empty() bool { return len(l.waiters) == 0 }

// add queues a waiter: at the front if it has waited before, else at the end.
func (l *waitlist) add(front bool) *waiter {
	w := &waiter{make(chan struct{})}
	if front {
		l.waiters = append([]*waiter{w}, l.waiters...)
	} else {
		l.waiters = append(l.waiters, w)
	}
	return w
}

// remove takes w out and reports whether it was still waiting.
func (l *waitlist) remove(w *waiter) bool {
	for i, x := range l.waiters {
		if x == w {
			l.waiters = append(l.waiters[:i], l.waiters[i+1:]...)
			return true
		}
	}
	return false
}

// wake lets the first n go on.
func (l *waitlist) wake(n int) {
	n = min(n, len(l.waiters))
	for i := range n {
		close(l.waiters[i].ready)
		l.waiters[i] = nil
	}
	l.waiters = l.waiters[n:]
}

func (l *waitlist) wakeAll() { l.wake(len(l.waiters)) }
