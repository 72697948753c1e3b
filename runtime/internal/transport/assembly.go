package transport

import (
	"fmt"
	"sync"

	"github.com/rpcx-go/rpcx/runtime/codec"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// assembly is a message that arrives in fragments. It never holds more memory
// than firstPart and twice what has arrived, and is counted in its connection's
// receive budget until it is released.
//
// The reading goroutine adds to it; anybody may cancel it.
type assembly struct {
	account *account
	owner   exhausted
	id      frame.StreamID

	mu          sync.Mutex
	parts       [][]byte // what has arrived, while there may be no memory for the whole
	whole       []byte   // the message, in memory for all of it, once there may be
	arrived     int      // bytes
	total       int      // bytes of the whole message; 0 until the first part has arrived
	compression uint8
	complete    bool
	canceled    bool // nothing more is added

	// Guarded by the budget's lock.
	listed, released bool
	charged          int64
	older, younger   *assembly
	err              *status.Error // why it was given up for others
}

// firstPart is what may be allocated before anything has arrived.
const firstPart = 64 << 10

// assemble returns an assembly for the stream id, whose call owner ends if the
// message has to be given up.
func (l *link) assemble(owner exhausted, id frame.StreamID) *assembly {
	return &assembly{account: &l.budget, owner: owner, id: id}
}

// add adds a fragment and reports whether the message is complete. Errors are
// the peer's breach of protocol, or, as a *callBreach, that the message was
// given up for want of memory; other messages may have been given up for this
// one. A fragment of a message that was cancelled is dropped. What is missing of
// the fragment is read from d; s is of no use afterwards. It is called without
// locks, on the reading goroutine.
func (a *assembly) add(h *frame.Header, s *frame.Sections, d *reader) (complete bool, err error) {
	a.mu.Lock()
	victims, err := a.addLocked(h, s)
	direct := s.Missing > 0
	*s = frame.Sections{} // or it kept the buffer alive while this waits
	for {
		complete, canceled := a.complete, a.canceled
		a.mu.Unlock()
		giveUp(victims)
		if err != nil || canceled || !direct || d.missing == 0 {
			return complete && err == nil, err
		}
		if err := d.into(a); err != nil {
			return false, err
		}
		a.mu.Lock()
		if victims, err = nil, nil; d.missing > 0 {
			victims, err = a.reserveLocked(a.arrived, a.arrived+1)
		}
	}
}

func (a *assembly) addLocked(h *frame.Header, s *frame.Sections) (victims []*assembly, err error) {
	if a.canceled { // then it does not count what arrives
		return nil, a.givenUpLocked()
	}
	more := h.Flags.Has(frame.FlagMore)
	if a.total == 0 {
		if !h.Flags.Has(frame.FlagTotal) {
			return nil, protocolErrorf("stream %d: the first part of a message without TOTAL", h.ID)
		}
		a.total, a.compression = int(s.Total), h.Compression
	} else if h.Flags.Has(frame.FlagTotal) {
		return nil, protocolErrorf("stream %d: TOTAL in the middle of a message", h.ID)
	}
	n := a.arrived + s.MessageSize()
	if n > a.total || !more && n < a.total {
		return nil, protocolErrorf("stream %d: fragments of %d bytes where TOTAL said %d", h.ID, n, a.total)
	}
	n = a.arrived + len(s.Message)
	need := n
	if s.Missing > 0 {
		need++ // so that there is room to read into
	}
	if victims, err = a.reserveLocked(n, need); err != nil || a.canceled {
		return victims, err
	}
	a.appendLocked(s.Message)
	if !more && !a.account.budget.complete(a) {
		return victims, a.givenUpLocked()
	}
	a.complete = !more
	return victims, nil
}

// reserveLocked sees to it that the message has memory for need bytes, where n
// have arrived, unless it is canceled. It fails if the message was given up for
// want of memory.
func (a *assembly) reserveLocked(n, need int) (victims []*assembly, err error) {
	if a.canceled {
		return nil, a.givenUpLocked()
	}
	size, held := a.sizeFor(n, need), a.heldLocked()
	if size <= held {
		return nil, nil
	}
	ok, victims := a.account.budget.reserve(a, int64(size-held))
	if !ok {
		return victims, a.givenUpLocked()
	}
	a.growLocked(size - held)
	return victims, nil
}

// heldLocked returns how much memory the message has.
func (a *assembly) heldLocked() int {
	if a.whole != nil {
		return cap(a.whole)
	}
	n := 0
	for _, p := range a.parts {
		n += cap(p)
	}
	return n
}

// sizeFor returns how much memory the message is to have for need bytes when n have
// arrived: all of it as soon as it may, and else no more than these need.
func (a *assembly) sizeFor(n, need int) int {
	if a.total <= firstPart+2*n {
		return a.total
	}
	size := a.heldLocked()
	for size < need || size == 0 {
		size += nextPart(size, n)
	}
	return size
}

// nextPart returns how large the part behind the first held bytes is where n have
// arrived: a shared buffer if that is within what the message may hold.
func nextPart(held, n int) int {
	if held+fullBuffer <= firstPart+2*n {
		return fullBuffer
	}
	return firstPart
}

// growLocked adds n bytes of memory, as sizeFor says.
func (a *assembly) growLocked(n int) {
	if held := a.heldLocked(); held+n == a.total {
		a.whole = uncleared(a.total)
		for _, p := range a.parts {
			a.whole = append(a.whole, p...)
		}
		a.dropPartsLocked()
		return
	}
	for ; n >= fullBuffer; n -= fullBuffer {
		a.parts = append(a.parts, takeReadBuffer()[:0])
	}
	if n > 0 {
		a.parts = append(a.parts, make([]byte, 0, n))
	}
}

// appendLocked adds what has arrived, for which there is memory.
func (a *assembly) appendLocked(msg []byte) {
	a.arrived += len(msg)
	if a.whole != nil {
		a.whole = append(a.whole, msg...)
		return
	}
	for i := range a.parts {
		p := &a.parts[i]
		n := min(cap(*p)-len(*p), len(msg))
		*p = append(*p, msg[:n]...)
		msg = msg[n:]
	}
}

// dropPartsLocked gives the parts back.
func (a *assembly) dropPartsLocked() {
	for _, p := range a.parts {
		giveReadBuffer(p[:cap(p)])
	}
	a.parts = nil
}

// dropLocked drops what has arrived.
func (a *assembly) dropLocked() {
	a.dropPartsLocked()
	a.whole, a.canceled = nil, true
}

// givenUpLocked drops what has arrived and says why, if its call needs to know.
func (a *assembly) givenUpLocked() error {
	a.dropLocked()
	if why := a.account.budget.reason(a); why != nil {
		return &callBreach{why}
	}
	return nil
}

// cancel drops the message and returns the memory that it holds. It reports
// whether it was still incomplete, and so never will be complete; a is nil if
// none has begun to arrive.
func (a *assembly) cancel() (incomplete bool) {
	if a == nil {
		return false
	}
	a.mu.Lock()
	a.dropLocked()
	incomplete = !a.complete
	a.mu.Unlock()
	a.release()
	return incomplete
}

// release says that the message is no longer held here. It may be called more
// than once; a may be nil.
func (a *assembly) release() {
	if a != nil {
		a.account.budget.release(a)
	}
}

// take returns the complete message and how it is compressed.
func (a *assembly) take() ([]byte, uint8) {
	a.mu.Lock()
	defer a.mu.Unlock()
	whole := a.whole
	a.whole = nil
	return whole, a.compression
}

// checkFormat checks how the message that h begins or continues is encoded, in a
// call in the codec in. A compression that was not offered costs only the call, which ends with code.
func (l *link) checkFormat(h *frame.Header, in uint8, continues bool, code status.Code) error {
	switch {
	case continues && (h.Codec != 0 || h.Compression != 0):
		return protocolErrorf("stream %d: codec %d, compression %d on the continuation of a message", h.ID, h.Codec, h.Compression)
	case !continues && h.Codec != in:
		return protocolErrorf("stream %d: a message in codec %d in a call in codec %d", h.ID, h.Codec, in)
	case !l.cfg.Settings.AcceptsCompression(h.Compression):
		return &callBreach{status.New(code, notAccepted(h.Compression))}
	}
	return nil
}

// notAccepted says that a compression is not accepted, by its name if it has one.
func notAccepted(compression uint8) string {
	return fmt.Sprintf("compression %v is not accepted here (option WithAcceptedCompressions)", codec.CompressionID(compression))
}

func protocolErrorf(text string, args ...any) *frame.Error {
	return &frame.Error{Code: frame.ProtocolError, Reason: fmt.Sprintf(text, args...)}
}
