package transport

import (
	"fmt"
	"sync"

	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// DefaultBudget is the limit of the budget that connections without one of
// their own share.
const DefaultBudget = 256 << 20

// processBudget is what the connections of a process share by default.
var processBudget = NewBudget(DefaultBudget)

// Budget bounds what messages hold while they are received, over all
// connections that share it: those that have arrived in part, large ones that
// have not been decoded, and what streams have received and nobody has taken.
// Single messages that arrive in one frame are not counted, so that they cost
// nothing here, nor are the first freeUnread bytes that the streams of a
// connection leave unread. Its methods may be called concurrently.
//
// When it is used up, the call of the youngest message that has arrived in part
// ends with RESOURCE_EXHAUSTED, whichever connection it is on: those that have
// come far are let finish.
type Budget struct {
	limit int64

	mu       sync.Mutex
	used     int64
	youngest *assembly // of those that have arrived in part; linked to older ones
}

// NewBudget returns a budget of so many bytes.
func NewBudget(bytes int64) *Budget { return &Budget{limit: bytes} }

// Used returns how many bytes are held.
func (b *Budget) Used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// tight reports whether more than half of the budget is used.
func (b *Budget) tight() bool { return b.Used() > b.limit/2 }

// account is what one connection holds of a budget. The budget's lock guards it.
type account struct {
	budget *Budget
	used   int64
	closed bool // the connection is over and counts no more
}

// Share is what others than connections of this package hold of a Budget.
type Share struct{ account }

// Share returns a share that holds nothing yet; nil is that of the process.
func (b *Budget) Share() *Share {
	if b == nil {
		b = processBudget
	}
	return &Share{account{budget: b}}
}

// Take takes n bytes. Where there is no room, the youngest message that has
// arrived in part makes it; if there is none, Take fails.
func (s *Share) Take(n int64) *status.Error { return s.take(n) }

// Give gives n bytes back.
func (s *Share) Give(n int64) { s.give(n) }

// exhausted is what a Budget asks of the two roles of a connection.
type exhausted interface {
	// exhausted ends the call of a message that was given up, if it has not
	// ended. It is called without locks, on any goroutine, and does not wait.
	exhausted(id frame.StreamID, err *status.Error)
}

// close returns what the connection holds: it is over, and what it has left
// unread is the application's.
func (a *account) close() {
	b := a.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= a.used
	a.used, a.closed = 0, true
}

func (a *account) addLocked(n int64) {
	if !a.closed {
		a.used += n
		a.budget.used += n
	}
}

// give returns n bytes.
func (a *account) give(n int64) {
	a.budget.mu.Lock()
	defer a.budget.mu.Unlock()
	a.addLocked(-n)
}

// take takes n bytes for messages that are whole. Where there is no room, the
// youngest message that has arrived in part makes it; if there is none, take
// fails with the error for the call of the message that just came.
func (a *account) take(n int64) *status.Error {
	b := a.budget
	b.mu.Lock()
	a.addLocked(n)
	why := b.excessLocked()
	victims := b.makeRoomLocked(why)
	fits := b.used <= b.limit
	if !fits {
		a.addLocked(-n)
	}
	b.mu.Unlock()
	giveUp(victims)
	if fits {
		return nil
	}
	return why
}

// reserve takes n bytes more for m, which is one that has arrived in part, and
// has it make room for others from now on. It reports whether m may go on; if
// not, m holds nothing any more. The caller gives up the victims, without locks.
func (b *Budget) reserve(m *assembly, n int64) (ok bool, victims []*assembly) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if m.released {
		return false, nil
	}
	if !m.listed {
		m.listed = true
		if m.older = b.youngest; m.older != nil {
			m.older.younger = m
		}
		b.youngest = m
	}
	m.charged += n
	m.account.addLocked(n)
	victims = b.makeRoomLocked(b.excessLocked())
	if m.released { // then it was the last to make room
		victims = victims[:len(victims)-1]
	}
	return !m.released, victims
}

// makeRoomLocked releases what the youngest messages hold while the budget is
// overdrawn, and returns them.
func (b *Budget) makeRoomLocked(why *status.Error) (victims []*assembly) {
	for b.used > b.limit && b.youngest != nil {
		v := b.youngest
		b.releaseLocked(v)
		v.err = why
		victims = append(victims, v)
	}
	return victims
}

// complete has m, which has arrived as a whole, make no room for others any
// more. It fails if m had to before.
func (b *Budget) complete(m *assembly) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unlistLocked(m)
	return !m.released
}

// release returns what m holds. It may be called more than once.
func (b *Budget) release(m *assembly) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.releaseLocked(m)
}

func (b *Budget) releaseLocked(m *assembly) {
	b.unlistLocked(m)
	m.account.addLocked(-m.charged)
	m.charged, m.released = 0, true
}

func (b *Budget) unlistLocked(m *assembly) {
	if !m.listed {
		return
	}
	m.listed = false
	if m.older != nil {
		m.older.younger = m.younger
	}
	if m.younger != nil {
		m.younger.older = m.older
	} else {
		b.youngest = m.older
	}
	m.older, m.younger = nil, nil
}

// excessLocked returns the error of messages that are given up now, or nil if
// there need be none.
func (b *Budget) excessLocked() *status.Error {
	if b.used <= b.limit {
		return nil
	}
	return status.New(status.ResourceExhausted, fmt.Sprintf(
		"messages that are being received would hold %d bytes, above the limit of %d for all together: the youngest is given up (option WithReceiveBudget)", b.used, b.limit))
}

// reason returns why m had to make room, or nil if it had not.
func (b *Budget) reason(m *assembly) *status.Error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return m.err
}

// giveUp ends the calls of messages that had to make room.
func giveUp(victims []*assembly) {
	for _, v := range victims {
		v.cancel()
		v.owner.exhausted(v.id, v.err)
	}
}
