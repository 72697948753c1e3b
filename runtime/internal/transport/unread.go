package transport

// What streams have received and nobody has taken is counted in the receive
// budget by connection, as it is the connection's credit that bounds it: the
// first freeUnread bytes are not, the rest is in steps of unreadStep, so that
// few messages go to the budget's lock.
//
// charged is what is counted. The reading goroutine raises it when more than
// freeUnread beyond it is unread; whoever takes messages lowers it once half a
// step more than necessary is free, and all of it when little is unread.
const (
	freeUnread = 64 << 10
	unreadStep = 64 << 10
)

// unread returns how many bytes of the connection's credit streams hold. It may
// be too high while another goroutine grants credit; that one looks again.
func (l *link) unread() int64 {
	return l.limit.Load() - l.window.Load() - l.owed.Load()
}

// countUnread counts a frame of a stream that arrived and drew held bytes. It
// fails, with a *callBreach, if the budget has no room for it. It is called on
// the reading goroutine, without locks.
func (l *link) countUnread(held int64) error {
	if held == 0 || l.unread() <= l.charged.Load()+freeUnread {
		return nil
	}
	for {
		charged := l.charged.Load()
		want := unreadCharge(l.unread())
		if want <= charged {
			return nil
		}
		if err := l.budget.take(want - charged); err != nil {
			return &callBreach{err}
		}
		if l.charged.CompareAndSwap(charged, want) {
			l.uncountUnread() // what was taken meanwhile was not counted then
			return nil
		}
		l.budget.give(want - charged)
	}
}

// uncountUnread returns to the budget what is counted and no longer unread.
func (l *link) uncountUnread() {
	for {
		charged, unread := l.charged.Load(), l.unread()
		if charged == 0 || unread > charged+freeUnread-unreadStep*3/2 {
			return
		}
		want := unreadCharge(unread)
		if want >= charged {
			return
		}
		if l.charged.CompareAndSwap(charged, want) {
			l.budget.give(charged - want)
			return
		}
	}
}

// unreadCharge returns what is to be counted of so many unread bytes.
func unreadCharge(unread int64) int64 {
	over := max(unread-freeUnread, 0)
	return (over + unreadStep - 1) / unreadStep * unreadStep
}
