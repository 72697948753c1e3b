package transport

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/rpcx-go/rpcx/runtime/codec"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// stream carries the messages of one call that streams, on either side.
//
// The connection's reader pushes what arrives; one goroutine receives, and one
// sends. Reader and receiver hand over batches: the reader appends to the inbox,
// the receiver takes all of it at once.
//
// Credit that a frame drew is held until its message has been received. The
// connection's share goes back soon, as other streams may wait for it (see
// received); the stream's own when it is worth a frame.
type stream struct {
	l     *link
	id    frame.StreamID
	owner exhausted // the side of the connection that it is on
	// takeHeader returns the headers that go with the first message, or nil.
	takeHeader func() metadata.MD
	// badMessage is the code for messages that cannot be decoded.
	badMessage status.Code
	codec      uint8 // of all its messages
	format     codec.Codec

	// gone is closed when nothing more may be sent.
	gone     chan struct{}
	goneOnce sync.Once

	held    atomic.Int64 // credit of the connection that this stream holds
	taking  atomic.Bool  // the receiver has taken messages that recv has not returned
	partial atomic.Bool  // a message has arrived in part and holds credit
	dropped atomic.Bool  // as aborted
	limit   atomic.Int64 // the stream's window: what the peer may have outstanding; it grows

	mu      sync.Mutex
	inbox   queue       // complete messages that the receiver has not taken
	chunk   []byte      // where the last small ones lie, and the next
	begun   int         // from where on chunk is a run that is not in the inbox yet
	asm     *assembly   // the message that arrives in parts, if one does
	asmHeld int64       // credit that fragments of asm hold
	parts   int64       // credit of fragments that hold none any more, not granted again
	large   []*assembly // complete, and not taken
	window  int64       // what the peer may still send on this stream
	grown   int64       // by how much that has by growTo
	arrived int         // message bytes
	growth  growth
	dry     dryness
	waiting bool  // the receiver waits for ready
	end     error // set once nothing more arrives: io.EOF or why
	aborted bool  // what is unread is discarded
	told    bool  // recv has returned end

	ready chan struct{} // capacity 1

	// Owned by the receiver.
	taken queue
	run   run   // the rest of the run that was taken last
	eaten int64 // credit of the stream that has not been granted again
	back  int64 // credit of the connection that has not been given back
	lazy  int64 // how much of it need not be at once

	// Guarded by l.w.mu.
	credit  int64
	blocked waitlist
	sent    int // message bytes
}

func (s *stream) init(l *link, owner exhausted, id frame.StreamID, in uint8) {
	s.l, s.owner, s.id, s.codec, s.format = l, owner, id, in, l.codec(in)
	s.gone, s.ready = make(chan struct{}), make(chan struct{}, 1)
	s.window = int64(l.cfg.Settings.StreamCredit)
	s.limit.Store(s.window)
	s.credit = int64(l.peer().StreamCredit)
}

// admit checks the message that h begins or continues. A breach that costs only
// the call is a *callBreach; code is that of one in an unknown compression.
func (s *stream) admit(h *frame.Header, sec *frame.Sections, code status.Code) error {
	continues := s.assembling()
	if err := s.l.checkFormat(h, s.codec, continues, code); err != nil || continues {
		return err
	}
	return s.l.tooLarge(h, sec)
}

// push takes in the message part of a frame. Errors end the connection, but for
// a *callBreach, which says that there is no memory for the message. It is
// called on the reading goroutine.
func (s *stream) push(h *frame.Header, sec *frame.Sections) error {
	s.mu.Lock()
	held := int64(0)
	if h.Flags.Has(frame.FlagCredited) {
		held = int64(h.Cost())
		if err := s.drawLocked(held); err != nil {
			s.mu.Unlock()
			return err
		}
	}
	if s.aborted || s.end != nil {
		s.mu.Unlock()
		s.l.release(held)
		return s.l.excuse(held)
	}
	s.l.flood.progressed()
	s.held.Add(held)
	s.usedLocked()
	s.arrived += sec.MessageSize()
	if h.Flags.Has(frame.FlagMore) || s.asm != nil {
		a := s.partLocked(held, h.Flags.Has(frame.FlagMore))
		s.mu.Unlock()
		if h.Flags.Has(frame.FlagTotal) && held > 0 {
			s.growFor(int64(sec.Total))
		}
		if err := s.addPart(a, h, sec); err != nil {
			return err
		}
	} else {
		msg := append(make([]byte, 0, len(sec.Message)), sec.Message...)
		s.queueLocked(item{data: msg, held: uint32(held), compression: h.Compression})
		wake := s.wakeLocked()
		s.mu.Unlock()
		s.wake(wake)
	}
	s.growIfDry()
	return s.l.countUnread(held)
}

// partLocked returns the message that a frame begins or continues, whose part
// of it holds so much credit and is not the last if there are more.
func (s *stream) partLocked(held int64, more bool) *assembly {
	if s.asm == nil {
		s.asm = s.l.assemble(s.owner, s.id)
	}
	s.asmHeld += held
	s.partial.Store(more) // before taking is looked at: see recv
	return s.asm
}

// addPart adds a part to a, and queues that if it is complete.
func (s *stream) addPart(a *assembly, h *frame.Header, sec *frame.Sections) error {
	complete, err := a.add(h, sec, s.l.r)
	if err != nil {
		return err
	}
	var settled, grant int64
	s.mu.Lock()
	switch {
	case s.asm != a: // the stream has ended meanwhile
	case complete:
		data, compression := a.take()
		s.large = append(s.large, a)
		s.queueLocked(item{data: data, asm: a, held: uint32(s.asmHeld), compression: compression})
		s.asm, s.asmHeld = nil, 0
	case s.allReceivedLocked():
		settled, grant = s.settlePartLocked()
	}
	wake := s.wakeLocked()
	s.mu.Unlock()
	s.wake(wake)
	s.grant(grant, s.dropHold(settled), true)
	return nil
}

func (s *stream) drawLocked(n int64) error {
	if s.aborted {
		return s.l.drawn(n)
	}
	if s.window -= n; s.window < 0 {
		return &frame.Error{Code: frame.FlowControlError, Reason: fmt.Sprintf("credit of stream %d overdrawn by %d bytes, the window is %d (option WithStreamWindow)", s.id, -s.window, s.limit.Load())}
	}
	return s.l.drawn(n)
}

// queueLocked queues a message that has memory of its own.
func (s *stream) queueLocked(it item) {
	s.endRunLocked()
	s.inbox.push(it)
}

// emptyLocked reports whether the receiver has taken all that has arrived.
func (s *stream) emptyLocked() bool { return s.inbox.empty() && s.begun == len(s.chunk) }

// allReceivedLocked reports whether recv has returned all complete messages.
func (s *stream) allReceivedLocked() bool { return s.emptyLocked() && !s.taking.Load() }

// wakeLocked reports whether the receiver waits and has something to receive.
func (s *stream) wakeLocked() bool {
	wake := s.waiting && (s.end != nil || !s.emptyLocked())
	if wake {
		s.waiting = false
	}
	return wake
}

func (s *stream) wake(receiver bool) {
	if receiver {
		s.ready <- struct{}{}
	}
}

// assembling reports whether a message has arrived in part.
func (s *stream) assembling() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asm != nil
}

// deliver takes in a complete message that drew no credit.
func (s *stream) deliver(it item) {
	s.mu.Lock()
	s.large = append(s.large, it.asm)
	s.queueLocked(it)
	s.arrived += len(it.data)
	wake := s.wakeLocked()
	s.mu.Unlock()
	s.wake(wake)
}

// moved returns how many message bytes were sent and have arrived.
func (s *stream) moved() (sent, arrived int) {
	s.l.w.mu.Lock()
	sent = s.sent
	s.l.w.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	return sent, s.arrived
}

// unhold takes n bytes out of what the stream holds of the connection's credit
// and gives them back, unless an abort has done so already.
func (s *stream) unhold(n int64) { s.l.appendCredit(0, s.dropHold(n)) }

// dropHold is unhold, except that it returns what the connection is to grant now.
func (s *stream) dropHold(n int64) (grant int64) {
	for n > 0 {
		held := s.held.Load()
		if held < n {
			return 0
		}
		if s.held.CompareAndSwap(held, held-n) {
			return s.l.owe(n)
		}
	}
	return 0
}

// settlePartLocked lets the peer send on a message that is larger than its
// credit: while nothing complete is unread, fragments hold no credit. It
// returns what the stream does not hold any more, and what it is to grant.
func (s *stream) settlePartLocked() (settled, grant int64) {
	settled, s.asmHeld = s.asmHeld, 0
	s.parts += settled
	// Together with eaten this is less than a quarter of the window.
	limit := s.limit.Load()
	if limit < 2*int64(s.l.cfg.Settings.StreamCredit) || s.parts >= limit/8 {
		grant, s.parts = s.parts, 0
		s.window += grant
	}
	return settled, grant
}

// grant gives the peer n bytes of the stream's credit, and conn of the
// connection's: at once, or soon, with what else is sent.
func (s *stream) grant(n, conn int64, atOnce bool) {
	w := &s.l.w
	if n+conn <= 0 || w.lock() != nil {
		return
	}
	if n > 0 && atOnce { // then what the connection owes may go along
		owed := s.l.owed.Swap(0)
		s.l.window.Add(owed)
		conn += owed
	}
	if conn > 0 {
		w.buf = frame.AppendCredit(w.buf, 0, uint32(conn))
	}
	if n > 0 {
		w.buf = frame.AppendCredit(w.buf, s.id, uint32(n))
		s.l.probeLocked(s, n)
	}
	if atOnce {
		w.unlockQuiet()
	} else {
		w.unlockAsync()
	}
}

// recv fills msg with the next message. It returns io.EOF at the end.
func (s *stream) recv(msg any) error {
	if s.dropped.Load() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.told = true
		return s.end
	}
	it, ok := s.next()
	for !ok {
		if err := s.refill(); err != nil {
			return err
		}
		it, ok = s.next()
	}
	if it.asm != nil {
		s.forget(it.asm)
	}
	s.received(int64(it.held))
	// Whoever refers to a small message keeps no more than its chunk alive.
	if err := s.l.decode(s.format, it.compression, it.data, true, msg); err != nil {
		return undecodable(err, s.badMessage, "message")
	}
	return nil
}

// forget says that recv returns the message that came as a.
func (s *stream) forget(a *assembly) {
	s.mu.Lock()
	if i := slices.Index(s.large, a); i >= 0 {
		s.large = slices.Delete(s.large, i, i+1)
	}
	s.mu.Unlock()
	a.release()
}

// refill takes over the messages that have arrived; it waits for the first.
func (s *stream) refill() error {
	s.mu.Lock()
	for s.emptyLocked() {
		if s.end != nil {
			defer s.mu.Unlock()
			s.told = true
			return s.end
		}
		s.waiting = true
		s.driedUpLocked()
		s.mu.Unlock()
		<-s.ready
		s.mu.Lock()
	}
	s.endRunLocked()
	s.taken, s.inbox = s.inbox, s.taken
	s.taking.Store(true)
	s.mu.Unlock()
	s.lazy = s.l.lazy()
	return nil
}

// settle grants the stream's credit of what recv has returned, and that of a
// message's parts if nothing else is unread.
func (s *stream) settle() {
	s.mu.Lock()
	var n, settled, parts int64
	if s.end == nil {
		if s.eaten >= int64(s.l.cfg.Settings.StreamCredit)/4 {
			n, s.eaten = s.eaten, 0
			s.window += n
		}
		if s.allReceivedLocked() {
			settled, parts = s.settlePartLocked()
		}
	}
	s.mu.Unlock()
	s.grant(n+parts, s.dropHold(settled), false)
}

// finish says that nothing more arrives: err is io.EOF at the clean end.
// Messages that have arrived can still be received. The first end stays.
func (s *stream) finish(err error) { s.stop(err, false) }

// abort ends the stream at once, both ways, and discards what is unread.
func (s *stream) abort(err error) {
	s.stop(err, true)
	s.leave()
}

// leave has sends fail from now on.
func (s *stream) leave() { s.goneOnce.Do(func() { close(s.gone) }) }

// finished reports whether nothing more arrives.
func (s *stream) finished() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end != nil
}

func (s *stream) stop(err error, discard bool) {
	s.mu.Lock()
	if s.end == nil {
		s.end = err
		s.dry.endedLocked(s)
		s.l.unmeasured.streams.Add(int32(-s.grown))
	}
	var held int64
	var unread []*assembly
	if discard && !s.aborted {
		s.aborted = true
		s.dropped.Store(true)
		if !s.told { // what recv has said once it goes on saying
			s.end = err
		}
		s.l.excused.Add(max(s.window, 0))
		s.window = 0
		held = s.held.Swap(0)
		s.inbox, s.chunk, s.begun = queue{}, nil, 0
		unread, s.large = s.large, nil
	}
	asm, part := s.asm, s.asmHeld
	s.asm, s.asmHeld = nil, 0
	wake := s.wakeLocked()
	s.mu.Unlock()
	s.wake(wake)
	asm.cancel()
	for _, a := range unread {
		a.release()
	}
	s.l.release(held)
	s.unhold(part)
}

// free gives back all credit that the stream still holds, after its last use.
func (s *stream) free() { s.abort(io.EOF) }

// granted adds n bytes of credit from the peer.
func (s *stream) granted(n int64) error {
	s.l.w.mu.Lock()
	defer s.l.w.mu.Unlock()
	s.credit += n
	if s.credit > frame.MaxCredit {
		return &frame.Error{Code: frame.FlowControlError, Reason: fmt.Sprintf("credit of stream %d is %d, above the limit of %d (fixed)", s.id, s.credit, int64(frame.MaxCredit))}
	}
	s.blocked.wake(1)
	return nil
}
