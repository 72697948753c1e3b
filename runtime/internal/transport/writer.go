package transport

import (
	"io"
	"net"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/frame"
)

// The writer's marks, in bytes of frames that wait to be written.
const (
	// highWater is where senders wait until the buffer has been taken.
	highWater = 512 << 10
	// bulkSize is from where a frame counts as bulk: of those only one waits at a time.
	bulkSize = 16 << 10
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
// writes, others append to the next batch. Before it takes a batch, the one who
// writes yields its processor once if other calls are in flight, so that
// callers that are ready to run add their frames to it; that is worth more than
// anything else the writer does (see docs/performance.md).
//
// Frames larger than bulkSize wait for their turn, so that at most one of them
// stands before a small frame in each batch.
//
// No sender ever blocks in a system call: the attempt of unlockLead does not
// block, and what the socket does not take is left to a goroutine.
type writer struct {
	nc    net.Conn
	raw   syscall.RawConn // nil if the connection has no descriptor to write to directly
	stall time.Duration   // how long one write may make no progress; 0: for ever
	tasks *sync.WaitGroup // counts the goroutines that write
	fail  func(error)     // told, once, that writing failed; called without the lock

	mu       sync.Mutex
	buf      []byte // whole frames that nobody has taken yet; nil while idle
	batches  uint64 // how many times buf has been taken
	flushing bool   // somebody writes, or is about to
	turn     bool   // a bulk sender has its turn, until its frame has been taken
	bulk     bool   // buf holds its frame
	control  int    // control replies in buf
	sums     bool   // frames get a checksum when they are taken
	unsummed int    // bytes at the front of buf that were appended before that
	err      error  // why nothing can be sent any more
	sealed   error  // why nothing can be appended any more; what waits is still sent
	room     waitlist
	turns    waitlist
	idle     waitlist // waits until everything has been written

	attempt attempt // owned by whoever is flushing
}

func (w *writer) init(nc net.Conn, stall time.Duration, tasks *sync.WaitGroup, fail func(error)) {
	w.nc, w.stall, w.tasks, w.fail = nc, stall, tasks, fail
	w.raw = rawConn(nc)
	w.attempt.init()
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
	if w.buf == nil {
		w.buf = takeBuffer()
	}
}

// lockFor locks w for appending a frame of size bytes, after waiting until
// there is room for it. It returns done or late as soon as one of these is
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
	if len(w.buf) > highWater || from == nil && !w.room.empty() {
		return &w.room
	}
	if size > bulkSize {
		if from != &w.turns && (w.turn || !w.turns.empty()) {
			return &w.turns
		}
		w.turn, w.bulk = true, true
	}
	return nil
}

// leaveLocked says that a sender which has waited in from goes on to wait in
// to, or, if that is nil, to append.
func (w *writer) leaveLocked(from, to *waitlist) {
	switch {
	case from == nil || from == to:
	case from != &w.turns:
		from.wake(1) // this one needs it no more, or not yet
	case to != nil:
		w.nextTurnLocked()
	}
}

// nextTurnLocked gives the next bulk sender its turn, which nobody can take
// from it.
func (w *writer) nextTurnLocked() {
	w.turn = !w.turns.empty()
	w.turns.wake(1)
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
		case list != &w.turns:
			list.wake(1) // the next one may have waited for this one only
		case !waiting:
			w.nextTurnLocked()
		}
		w.mu.Unlock()
		return err
	}
	w.prepareLocked()
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

// unlockLead unlocks w and, unless somebody writes already, writes. It is for
// senders that have nothing to do until an answer comes. yield says that other
// calls are in flight.
func (w *writer) unlockLead(yield bool) {
	if w.flushing || len(w.buf) == 0 {
		w.mu.Unlock()
		return
	}
	w.flushing = true
	if w.raw == nil {
		w.handOverLocked(nil)
		w.mu.Unlock()
		return
	}
	w.mu.Unlock()
	w.lead(yield)
}

// unlockAsync unlocks w and, unless somebody writes already, has a goroutine
// write. It is for senders that have more to send.
func (w *writer) unlockAsync() {
	if w.flushing || len(w.buf) == 0 {
		w.mu.Unlock()
		return
	}
	w.flushing = true
	w.handOverLocked(nil)
	w.mu.Unlock()
}

// unlockLater unlocks w. The caller promises to call flush soon.
func (w *writer) unlockLater() { w.mu.Unlock() }

// flush writes what waits unless somebody writes already.
func (w *writer) flush() {
	w.mu.Lock()
	if w.err != nil {
		w.mu.Unlock()
		return
	}
	w.unlockLead(false)
}

// take takes the batch, or ends the flushing if there is none.
func (w *writer) take() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.buf) == 0 || w.err != nil {
		w.flushing = false
		giveBuffer(w.buf)
		w.buf = nil
		w.wakeLocked()
		w.idle.wakeAll()
		return nil
	}
	out := w.buf
	w.buf = nil
	if w.sums {
		out = w.summedLocked(out)
	}
	w.batches++
	w.wakeLocked()
	return out
}

// sum has every frame that is appended from now on carry a checksum.
func (w *writer) sum() {
	w.mu.Lock()
	w.sums, w.unsummed = true, len(w.buf)
	w.mu.Unlock()
}

// summedLocked returns the frames of batch with their checksums.
func (w *writer) summedLocked(batch []byte) []byte {
	out := append(takeBuffer(), batch[:w.unsummed]...)
	for rest := batch[w.unsummed:]; len(rest) > 0; {
		n := frameSize(rest)
		mark := len(out)
		out = frame.AppendChecksum(append(out, rest[:n]...), mark)
		rest = rest[n:]
	}
	w.unsummed = 0
	giveBuffer(batch)
	return out
}

// wakeLocked lets in those who waited for the batch to be taken: bulk senders
// one at a time, in their order, the others as many as can be expected to fit.
func (w *writer) wakeLocked() {
	w.control = 0
	if w.bulk {
		w.bulk = false
		w.nextTurnLocked()
	}
	w.room.wake(64)
}

// lead writes batches until there are none, the socket is full, or it has done
// its share.
func (w *writer) lead(yield bool) {
	for round := 0; ; round++ {
		if round == leaderRounds {
			w.handOver(nil)
			return
		}
		if yield {
			runtime.Gosched()
		}
		out := w.take()
		if out == nil {
			return
		}
		n, err := w.attempt.write(w.raw, out)
		switch {
		case err != nil:
			w.fail(err)
			return
		case n < len(out):
			w.handOver(out[n:])
			return
		}
		giveBuffer(out)
	}
}

// handOver has a goroutine write rest and whatever waits, unless writing is over.
func (w *writer) handOver(rest []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.handOverLocked(rest)
	}
}

// handOverLocked starts the goroutine under the lock, where writing is not over
// yet, so that whoever ended it and waits for the goroutines knows of this one.
func (w *writer) handOverLocked(rest []byte) {
	w.tasks.Add(1)
	go func() {
		defer w.tasks.Done()
		w.background(rest)
	}()
}

// background writes rest and then batches until there are none, blocking.
func (w *writer) background(rest []byte) {
	for {
		if rest == nil {
			runtime.Gosched()
			if rest = w.take(); rest == nil {
				return
			}
		}
		if err := w.writeAll(rest); err != nil {
			w.fail(err)
			return
		}
		giveBuffer(rest)
		rest = nil
	}
}

// writeAll writes b, blocking. It fails if the peer takes nothing for the
// duration of stall.
func (w *writer) writeAll(b []byte) error {
	for len(b) > 0 {
		if w.stall > 0 {
			if err := w.nc.SetWriteDeadline(time.Now().Add(w.stall)); err != nil {
				return err
			}
		}
		n, err := w.nc.Write(b[:min(len(b), 64<<10)])
		b = b[n:]
		if err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() && n > 0 {
				continue
			}
			return err
		}
		if n == 0 {
			return io.ErrShortWrite
		}
	}
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
	w.turns.wakeAll()
	w.room.wakeAll()
	w.idle.wakeAll()
}

// drain waits until everything has been written, writing has failed, or late.
func (w *writer) drain(late <-chan time.Time) {
	w.mu.Lock()
	for w.err == nil && (w.flushing || len(w.buf) > 0) {
		if w.waitLocked(&w.idle, false, nil, late) != nil {
			return
		}
	}
	w.mu.Unlock()
}
