package transport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/frame"
)

// unlockLead unlocks w and, unless somebody writes already, writes. It is for
// senders that have nothing to do until an answer comes. yield says that other
// calls are in flight.
func (w *writer) unlockLead(yield bool) {
	if w.flushing || len(w.buf) == 0 {
		w.passLocked()
		w.mu.Unlock()
		return
	}
	w.flushing = true
	if w.raw == nil {
		w.handOverLocked(batch{})
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
		w.passLocked()
		w.mu.Unlock()
		return
	}
	w.flushing = true
	w.handOverLocked(batch{})
	w.mu.Unlock()
}

// unlockQuiet is unlockLead where nobody sends small frames, and unlockAsync where
// somebody does, as those may join the batch then.
func (w *writer) unlockQuiet() {
	if w.quietLocked() {
		w.unlockLead(false)
	} else {
		w.unlockAsync()
	}
}

// unlockLater unlocks w. The caller promises to call flush soon.
func (w *writer) unlockLater() { w.mu.Unlock() }

// flush writes what waits unless somebody writes already. yield says that others are
// about to append.
func (w *writer) flush(yield bool) {
	w.mu.Lock()
	if w.err != nil {
		w.mu.Unlock()
		return
	}
	w.unlockLead(yield)
}

// take takes the batch, or ends the flushing if there is none. With yield it lets
// others add to a small one first. done is the batch before, if it has been
// written, whose memory the writer keeps as long as it is busy.
func (w *writer) take(yield bool, done batch) batch {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keepLocked(done)
	if yield && w.waitsLocked() < worthWriting && w.err == nil {
		w.mu.Unlock()
		runtime.Gosched()
		w.mu.Lock()
	}
	if len(w.buf) == 0 || w.err != nil {
		w.flushing = false
		w.giveLocked()
		w.wakeLocked()
		w.idle.wakeAll()
		return batch{}
	}
	out := batch{buf: w.buf, refs: w.refs}
	w.buf, w.refs = nil, nil
	if w.sums {
		out.buf = w.summedLocked(out.buf)
	}
	w.batches++
	w.wakeLocked()
	return out
}

// keepLocked keeps the memory of a batch that has been written for the next one, if it
// may, and else gives it back.
func (w *writer) keepLocked(done batch) {
	if w.err != nil {
		done.free()
		return
	}
	if done.refs != nil {
		done.refs.release()
		w.spareRefs = done.refs
	}
	if w.spare == nil && cap(done.buf) <= keepBuffer {
		w.spare = done.buf[:0]
	} else {
		giveBuffer(done.buf)
	}
}

// giveLocked gives the buffers back.
func (w *writer) giveLocked() {
	w.dropLocked()
	giveBuffer(w.buf)
	giveBuffer(w.spare)
	w.buf, w.spare, w.spareRefs = nil, nil, nil
}

// sum has every frame that is appended from now on carry a checksum.
func (w *writer) sum() {
	w.mu.Lock()
	w.sums, w.unsummed = true, len(w.buf)
	w.mu.Unlock()
}

// refer has parts of large messages not be copied from now on, where that can be.
func (w *writer) refer() {
	w.refers.Store(vectored && w.raw != nil)
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
	if w.mostTurns = 1; w.swift && w.batches > w.small {
		w.mostTurns = bulkTurns
	}
	n := w.bulk
	w.bulk = 0
	w.giveTurnsLocked(n)
	w.room.wake(64)
	if w.next != nil {
		w.next.wake(1)
		w.next = nil
	}
}

// worthWriting is how many bytes are worth a write, whatever else may come.
const worthWriting = 64 << 10

// lead writes batches until there are none, the socket is full, or it has done
// its share. It yields before the first one only: whoever appends while it writes
// has had its turn.
func (w *writer) lead(yield bool) {
	var out batch
	for round := 0; ; round++ {
		if round == leaderRounds {
			out.free()
			w.handOver(batch{})
			return
		}
		if out = w.take(yield && round == 0, out); out.buf == nil {
			return
		}
		err := w.try(&out)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			w.handOver(out) // the deadline is that of an earlier write: a goroutine sets a new one
			return
		case err != nil:
			out.free()
			w.fail(err)
			return
		case !w.swift:
			w.handOver(out)
			return
		}
	}
}

// handOver has a goroutine write rest and whatever waits, unless writing is over.
func (w *writer) handOver(rest batch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		rest.free()
		return
	}
	w.handOverLocked(rest)
}

// handOverLocked starts the goroutine under the lock, where writing is not over
// yet, so that whoever ended it and waits for the goroutines knows of this one.
func (w *writer) handOverLocked(rest batch) {
	w.tasks.Add(1)
	go func() {
		defer w.tasks.Done()
		w.background(rest)
	}()
}

// background writes rest and then batches until there are none, blocking.
func (w *writer) background(rest batch) {
	err := w.writeAll(&rest)
	for err == nil {
		if rest = w.take(true, rest); rest.buf == nil {
			return
		}
		// The deadline may be that of an earlier write.
		if err = w.try(&rest); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			err = w.writeAll(&rest)
		}
	}
	rest.free()
	w.fail(err)
}

// try writes what the connection takes of b at once, and notes whether that was all.
// It is nothing where that cannot be told.
func (w *writer) try(b *batch) error {
	if w.raw == nil {
		return nil
	}
	n, err := writeSome(w.raw, b)
	b.sent += n
	w.swift = b.rest() == 0
	return err
}

// writeAll writes the rest of b, blocking. It fails if the peer takes nothing for
// the duration of stall.
func (w *writer) writeAll(b *batch) error {
	for b.rest() > 0 {
		if w.stall > 0 {
			if err := w.nc.SetWriteDeadline(time.Now().Add(w.stall)); err != nil {
				return err
			}
		}
		n, err := w.write(b)
		b.sent += n
		if err != nil {
			timeout, ok := err.(net.Error)
			switch stalled := ok && timeout.Timeout(); {
			case stalled && n > 0:
				continue
			case stalled:
				err = fmt.Errorf("the peer takes nothing for %v (option WithWriteStall): %w", w.stall, err)
			}
			return err
		}
		if n == 0 {
			return io.ErrShortWrite
		}
	}
	return nil
}

// write writes of the rest of b what it may at a time, blocking.
func (w *writer) write(b *batch) (int, error) {
	if b.refs != nil {
		pieces := net.Buffers(b.appendRest(nil))
		n, err := pieces.WriteTo(w.nc)
		return int(n), err
	}
	rest := b.buf[b.sent:]
	if w.raw == nil {
		rest = rest[:min(len(rest), safePiece)]
	}
	return w.nc.Write(rest)
}

// safePiece is how much is written at a time where a write that has run out of
// time cannot be continued, as on TLS: the peer must take so much in that time.
const safePiece = 64 << 10

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
