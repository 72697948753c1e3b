package transport

import (
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/frame"
)

// The writer's marks, in bytes of frames that wait to be written.
const (
	// highWater is where senders wait until the buffer has been taken.
	highWater = 512 << 10
	// bulkSize is from where a frame counts as bulk: of those only one waits at a
	// time, or bulkTurns where nobody minds.
	bulkSize  = 16 << 10
	bulkTurns = 8
	// smallPause is for how many batches after a small frame bulk frames go singly.
	smallPause = 16
	// maxControl is how many control replies may wait before the connection stops reading.
	maxControl = 100
	// leaderRounds is how many batches a sender writes for others before a
	// goroutine takes over.
	leaderRounds = 8
)

// writer gathers the frames of all senders in one buffer and writes it in as
// few system calls as it can.
//
// A sender locks, appends whole frames to buf, and unlocks with one of the
// unlock methods, which see to it that somebody writes. While one goroutine
// writes, others append to the next batch. Before it takes the first, the one who
// writes yields its processor once if other calls are in flight, so that
// callers that are ready to run add their frames to it; that is worth more than
// anything else the writer does (see docs/performance.md).
//
// Parts of large messages are not copied where the connection can write from several
// places at once: batches refer to the memory that they were marshalled into.
//
// Frames larger than bulkSize wait for their turn, so that at most one of them
// stands before a small frame in each batch. There are more turns while the
// connection takes batches as a whole, so that the frames of one would not
// wait here for long, and nobody has sent a small frame lately.
//
// No sender ever blocks in a system call: what unlockLead writes does not
// block, and what the socket does not take is left to a goroutine.
type writer struct {
	nc    net.Conn
	raw   syscall.RawConn // nil if the connection has no descriptor to write to directly
	stall time.Duration   // how long one write may make no progress; 0: for ever
	tasks *sync.WaitGroup // counts the goroutines that write
	fail  func(error)     // told, once, that writing failed; called without the lock

	mu   sync.Mutex
	buf  []byte      // whole frames that nobody has taken yet; nil while idle
	refs *references // what of them buf does not hold; nil if there is nothing
	// What belonged to batches that have been written, for the next one; nil while idle.
	spare     []byte
	spareRefs *references
	batches   uint64 // how many times buf has been taken
	small     uint64 // until which batch bulk frames go singly
	often     uint64 // until which batch small frames are held to come often
	turns     int32  // how many bulk senders have their turn, until their frames have been taken
	bulk      int32  // how many of their frames buf holds
	// mostTurns is how many may have their turn: 1 or bulkTurns.
	mostTurns int32
	control   int32 // control replies in buf
	unsummed  int   // bytes at the front of buf that were appended before sums was set
	err       error // why nothing can be sent any more
	sealed    error // why nothing can be appended any more; what waits is still sent
	room      waitlist
	queue     waitlist  // bulk senders that wait for their turn
	next      *waitlist // the first in it is woken when buf is taken; nil: nobody
	idle      waitlist  // waits until everything has been written
	flushing  bool      // somebody writes, or is about to
	sums      bool      // frames get a checksum when they are taken
	// swift says that the connection took the last batch at once. Of whoever is flushing.
	swift bool
	// refers says that parts of large messages need not be copied.
	refers atomic.Bool
}

func (w *writer) init(nc net.Conn, raw syscall.RawConn, stall time.Duration, tasks *sync.WaitGroup, fail func(error)) {
	w.nc, w.raw, w.stall, w.tasks, w.fail = nc, raw, stall, tasks, fail
	w.mostTurns = 1
}

// lock locks w for appending. It fails, unlocked, if the connection is over.
func (w *writer) lock() error {
	w.mu.Lock()
	if err := w.overLocked(); err != nil {
		w.mu.Unlock()
		return err
	}
	w.prepareLocked()
	return nil
}

// overLocked returns why nothing can be appended any more, or nil.
func (w *writer) overLocked() error {
	if w.err != nil {
		return w.err
	}
	return w.sealed
}

func (w *writer) prepareLocked() {
	if w.buf != nil {
		return
	}
	if w.buf, w.spare = w.spare, nil; w.buf == nil {
		w.buf = takeBuffer()
	}
}

// partSize returns as how large the frame of a part of n bytes of a large message
// counts: small ones, which end such messages, are not waited for.
func partSize(n int) int {
	if n+frame.HeaderSize <= bulkSize {
		return 0
	}
	return n + frame.HeaderSize
}

// waitsLocked returns how many bytes nobody has taken yet.
func (w *writer) waitsLocked() int { return len(w.buf) + w.refs.total() }

// appendPart appends data, a part of m, behind the header in buf: by reference where
// that can be and is worth it, which keeps m's encoding alive, and else as a copy. w is
// locked.
func (w *writer) appendPart(m *message, data []byte) {
	if !w.refers.Load() || len(data) < leastReferred {
		w.buf = append(w.buf, data...)
		return
	}
	if m.in != nil {
		m.in.refs.Add(1)
	}
	if w.refs == nil {
		if w.refs, w.spareRefs = w.spareRefs, nil; w.refs == nil {
			w.refs = new(references)
		}
	}
	w.refs.parts = append(w.refs.parts, part{len(w.buf), data, m.in})
	w.refs.size += len(data)
}

// appendMessage is appendPart with all of m. If it fails, nothing is appended.
func (w *writer) appendMessage(m *message) (err error) {
	if m.encoded != nil {
		w.appendPart(m, m.encoded)
		return nil
	}
	w.buf, err = m.append(w.buf)
	return err
}

// dropLocked drops what nobody has taken yet.
func (w *writer) dropLocked() {
	w.refs.release()
	w.buf, w.refs, w.unsummed = w.buf[:0], nil, 0
}

// lockFor locks w for appending a frame of size bytes, 0 for one that is nobody's
// message, after waiting until there is room for it. It returns done or late as soon as one of these is
// closed or ready, and the writer's error if the connection ends.
func (w *writer) lockFor(size int, done <-chan struct{}, late <-chan time.Time) error {
	if err := w.lock(); err != nil {
		return err
	}
	var from *waitlist
	for {
		list := w.fullLocked(size, from)
		w.leaveLocked(from, list)
		if list == nil {
			return nil
		}
		if err := w.waitLocked(list, from != nil, done, late); err != nil {
			return err
		}
		from = list
	}
}

// fullLocked returns where a sender of size bytes must wait, or nil if there is
// room for it now, which it then has. from is where it has waited, or nil.
func (w *writer) fullLocked(size int, from *waitlist) *waitlist {
	if w.waitsLocked() > highWater || from == nil && !w.room.empty() {
		return &w.room
	}
	if size > bulkSize {
		if from != &w.queue {
			if w.turns >= w.mostTurns || !w.queue.empty() {
				return &w.queue
			}
			w.turns++
		}
		w.bulk++
	} else if size > 0 {
		if w.batches < w.small {
			w.often = w.batches + smallPause
		}
		w.small, w.mostTurns = w.batches+smallPause, 1
	}
	return nil
}

// quiet reports whether at most one small frame has been sent lately.
func (w *writer) quiet() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.quietLocked()
}

func (w *writer) quietLocked() bool { return w.batches >= w.often }

// leaveLocked says that a sender which has waited in from goes on to wait in
// to, or, if that is nil, to append.
func (w *writer) leaveLocked(from, to *waitlist) {
	switch {
	case from == nil || from == to:
	case from != &w.queue:
		from.wake(1) // this one needs it no more, or not yet
	case to != nil:
		w.giveTurnsLocked(1)
	}
}

// giveTurnsLocked takes n turns back and gives those that are free to the bulk
// senders that wait, from whom nobody can take them.
func (w *writer) giveTurnsLocked(n int32) {
	for w.turns -= n; w.turns < w.mostTurns && !w.queue.empty(); w.turns++ {
		w.queue.wake(1)
	}
}

// passLocked gives turns on whose owners have appended nothing: no batch will be
// taken that does it.
func (w *writer) passLocked() {
	if w.bulk > 0 && !w.flushing && len(w.buf) == 0 {
		n := w.bulk
		w.bulk = 0
		w.giveTurnsLocked(n)
	}
}

// waitLocked waits in list with w unlocked, and returns with w locked, or
// unlocked if it fails.
func (w *writer) waitLocked(list *waitlist, first bool, done <-chan struct{}, late <-chan time.Time) error {
	turn := list.add(first)
	w.mu.Unlock()
	var err error
	select {
	case <-turn.ready:
	case <-done:
		err = errCanceled
	case <-late:
		err = errLate
	}
	w.mu.Lock()
	if over := w.overLocked(); over != nil && list != &w.idle {
		err = over
	}
	if err != nil {
		waiting := list.remove(turn)
		switch {
		case list != &w.queue:
			list.wake(1) // the next one may have waited for this one only
		case !waiting:
			w.giveTurnsLocked(1)
		}
		w.mu.Unlock()
		return err
	}
	if w.err == nil {
		w.prepareLocked()
	}
	return nil
}

// lockControl locks w for appending a reply that the peer caused. It waits
// while too many of them wait already, which stops reading.
func (w *writer) lockControl() error {
	if err := w.lock(); err != nil {
		return err
	}
	for w.control >= maxControl {
		if err := w.waitLocked(&w.room, true, nil, nil); err != nil {
			return err
		}
	}
	w.control++
	return nil
}

// close has all senders fail with err, from now on and those that wait. It may
// be called more than once; the first error stays.
func (w *writer) close(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
	w.flushing = false
	w.giveLocked()
	w.queue.wakeAll()
	w.room.wakeAll()
	w.idle.wakeAll()
}
