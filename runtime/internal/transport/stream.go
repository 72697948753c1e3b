package transport

import (
	"fmt"
	"io"
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
// sends. Reader and receiver hand over batches: the reader appends to items,
// the receiver takes all of them at once into cur.
type stream struct {
	l  *link
	id frame.StreamID
	// takeHeader returns the headers that go with the first message, or nil.
	takeHeader func() metadata.MD
	// badMessage is the code for messages that cannot be decoded.
	badMessage status.Code

	// gone is closed when nothing more may be sent.
	gone     chan struct{}
	goneOnce sync.Once

	mu      sync.Mutex
	items   []item // complete messages that the receiver has not taken
	arena   []byte // where the small ones of items lie
	unread  int    // complete messages that have not been returned by recv, those in cur included
	asm     assembly
	asmHeld int64 // credit that fragments of asm hold
	held    int64 // credit of the connection that this stream holds
	window  int64 // what the peer may still send on this stream
	arrived int   // message bytes
	waiting bool  // the receiver waits for ready
	end     error // set once nothing more arrives: io.EOF or why
	aborted bool  // what is unread is discarded

	dropped atomic.Bool // as aborted, for the receiver to look at without the lock

	ready chan struct{} // capacity 1

	// Owned by the receiver.
	cur      []item
	curArena []byte
	pos      int
	eaten    int64 // credit of returned messages that has not been settled
	returned int   // messages returned since the last settling

	// Guarded by l.w.mu.
	credit  int64
	blocked waitlist
	sent    int // message bytes
}

// item is a complete message.
type item struct {
	data   []byte
	format format
	held   int64 // credit that it holds until it is returned
}

// arenaItem is the largest message that is copied into the arena.
const arenaItem = 4 << 10

func (s *stream) init(l *link, id frame.StreamID) {
	s.l, s.id = l, id
	s.gone, s.ready = make(chan struct{}), make(chan struct{}, 1)
	s.window = int64(l.cfg.Settings.StreamCredit)
	s.credit = int64(l.peer().StreamCredit)
}

// admit checks the message that h begins or continues. A breach that costs only
// the call is a *callBreach; code is that of one in an unknown compression.
func (s *stream) admit(h *frame.Header, sec *frame.Sections, code status.Code) error {
	continues := s.assembling()
	if err := s.l.checkFormat(h, continues, code); err != nil || continues {
		return err
	}
	return s.l.tooLarge(h, sec)
}

// push takes in the message part of a frame. Errors end the connection. It is
// called on the reading goroutine.
func (s *stream) push(h *frame.Header, sec *frame.Sections) error {
	s.mu.Lock()
	held := int64(0)
	if h.Flags.Has(frame.FlagCredited) {
		held = int64(h.Cost())
		s.window -= held
		if s.window < 0 {
			s.mu.Unlock()
			return &frame.Error{Code: frame.FlowControlError, Reason: fmt.Sprintf("credit of stream %d overdrawn by %d bytes", s.id, -s.window)}
		}
		if err := s.l.drawn(held); err != nil {
			s.mu.Unlock()
			return err
		}
	}
	if s.aborted || s.end != nil {
		s.mu.Unlock()
		s.l.release(held)
		return nil
	}
	s.l.flood.progressed()
	s.held += held
	s.arrived += len(sec.Message)
	var grant int64
	if more := h.Flags.Has(frame.FlagMore); more || s.asm.active() {
		complete, err := s.asm.add(h, sec)
		if err != nil {
			s.mu.Unlock()
			return err
		}
		s.asmHeld += held
		if complete {
			data, f := s.asm.take()
			s.items = append(s.items, item{data, f, s.asmHeld})
			s.asmHeld = 0
			s.unread++
		} else if s.unread == 0 {
			grant = s.settleAssemblyLocked()
		}
	} else {
		s.pushLocked(sec.Message, format{h.Codec, h.Compression}, held)
	}
	wake := s.waiting && len(s.items) > 0
	if wake {
		s.waiting = false
	}
	s.mu.Unlock()
	if wake {
		s.ready <- struct{}{}
	}
	if grant > 0 {
		s.grant(grant)
	}
	return nil
}

func (s *stream) pushLocked(msg []byte, f format, held int64) {
	var data []byte
	if len(msg) > arenaItem || s.l.cfg.Codec.Retains() {
		data = append(make([]byte, 0, len(msg)), msg...)
	} else {
		start := len(s.arena)
		s.arena = append(s.arena, msg...)
		data = s.arena[start:len(s.arena):len(s.arena)]
	}
	s.items = append(s.items, item{data, f, held})
	s.unread++
}

// assembling reports whether a message has arrived in part.
func (s *stream) assembling() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asm.active()
}

// deliver takes in a complete message that drew no credit.
func (s *stream) deliver(msg []byte, f format) {
	s.mu.Lock()
	s.items = append(s.items, item{msg, f, 0})
	s.unread++
	s.arrived += len(msg)
	wake := s.waiting
	s.waiting = false
	s.mu.Unlock()
	if wake {
		s.ready <- struct{}{}
	}
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

// settleAssemblyLocked lets the peer send on a message that is larger than its
// credit: while nothing complete is unread, fragments hold no credit.
func (s *stream) settleAssemblyLocked() int64 {
	n := s.asmHeld
	s.asmHeld = 0
	s.held -= n
	s.window += n
	return n
}

// grant gives the peer n bytes of credit, on the stream and the connection.
func (s *stream) grant(n int64) {
	if s.l.w.lock() == nil {
		s.l.w.buf = frame.AppendCredit(s.l.w.buf, s.id, uint32(n))
		s.l.w.unlockAsync()
	}
	s.l.release(n)
}

// recv fills msg with the next message. It returns io.EOF at the end.
func (s *stream) recv(msg any) error {
	if s.dropped.Load() {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.end
	}
	for s.pos == len(s.cur) {
		if err := s.refill(); err != nil {
			return err
		}
	}
	it := &s.cur[s.pos]
	s.pos++
	s.eaten += it.held
	s.returned++
	err := codec.Decode(s.l.cfg.Codec, it.data, msg)
	if err != nil {
		err = status.Errorf(s.badMessage, "message: %w", err)
	}
	it.data = nil
	if s.eaten >= int64(s.l.cfg.Settings.StreamCredit)/4 {
		s.settle()
	}
	return err
}

// refill takes over the messages that have arrived; it waits for the first.
func (s *stream) refill() error {
	s.settle()
	s.mu.Lock()
	for len(s.items) == 0 {
		if s.end != nil {
			err, held := s.end, s.held
			s.held = 0
			s.mu.Unlock()
			s.l.release(held)
			return err
		}
		s.waiting = true
		s.mu.Unlock()
		<-s.ready
		s.mu.Lock()
	}
	s.cur, s.items = s.items, s.cur[:0]
	s.curArena, s.arena = s.arena, s.curArena[:0]
	s.pos = 0
	s.mu.Unlock()
	return nil
}

// settle gives back the credit of the messages that recv has returned, once it
// is worth a frame or the peer may need it to go on.
func (s *stream) settle() {
	s.mu.Lock()
	s.unread -= s.returned
	s.returned = 0
	if s.aborted {
		s.eaten = 0
		s.cur, s.pos = nil, 0
		s.mu.Unlock()
		return
	}
	var n int64
	if s.eaten >= int64(s.l.cfg.Settings.StreamCredit)/4 {
		n, s.eaten = s.eaten, 0
		s.held -= n
		s.window += n
	}
	if s.unread == 0 && s.asmHeld > 0 {
		n += s.settleAssemblyLocked()
	}
	ended := s.end != nil
	s.mu.Unlock()
	switch {
	case n > 0 && ended:
		s.l.release(n)
	case n > 0:
		s.grant(n)
	}
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
	var held int64
	if s.end == nil {
		s.end = err
	}
	if discard && !s.aborted {
		s.aborted = true
		s.dropped.Store(true)
		s.end = err
		held, s.held = s.held, 0
		s.items, s.arena, s.asm = nil, nil, assembly{}
	}
	wake := s.waiting
	s.waiting = false
	s.mu.Unlock()
	if wake {
		s.ready <- struct{}{}
	}
	s.l.release(held)
}

// free gives back all credit that the stream still holds, after its last use.
func (s *stream) free() {
	s.mu.Lock()
	held := s.held
	s.held, s.aborted = 0, true
	if s.end == nil {
		s.end = io.EOF
	}
	s.mu.Unlock()
	s.leave()
	s.l.release(held)
}

// granted adds n bytes of credit from the peer.
func (s *stream) granted(n int64) error {
	s.l.w.mu.Lock()
	defer s.l.w.mu.Unlock()
	s.credit += n
	if s.credit > frame.MaxCredit {
		return &frame.Error{Code: frame.FlowControlError, Reason: fmt.Sprintf("credit of stream %d is %d, above %d", s.id, s.credit, int64(frame.MaxCredit))}
	}
	s.blocked.wake(1)
	return nil
}
