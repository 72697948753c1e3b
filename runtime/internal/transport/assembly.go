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
	buf         []byte
	total       int // bytes of the whole message; 0 until the first part has arrived
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
// one. A fragment of a message that was cancelled is dropped. It is called
// without locks.
func (a *assembly) add(h *frame.Header, s *frame.Sections) (complete bool, err error) {
	a.mu.Lock()
	victims, err := a.addLocked(h, s)
	complete = a.complete
	a.mu.Unlock()
	giveUp(victims)
	return complete && err == nil, err
}

func (a *assembly) addLocked(h *frame.Header, s *frame.Sections) (victims []*assembly, err error) {
	more := h.Flags.Has(frame.FlagMore)
	if a.total == 0 {
		if !h.Flags.Has(frame.FlagTotal) {
			return nil, protocolErrorf("stream %d: the first part of a message without TOTAL", h.ID)
		}
		a.total, a.compression = int(s.Total), h.Compression
	} else if h.Flags.Has(frame.FlagTotal) {
		return nil, protocolErrorf("stream %d: TOTAL in the middle of a message", h.ID)
	}
	n := len(a.buf) + len(s.Message)
	if n > a.total || !more && n < a.total {
		return nil, protocolErrorf("stream %d: fragments of %d bytes where TOTAL said %d", h.ID, n, a.total)
	}
	if size := a.sizeFor(n); size > cap(a.buf) && !a.canceled {
		var ok bool
		if ok, victims = a.account.budget.reserve(a, int64(size-cap(a.buf))); !ok {
			return victims, a.givenUpLocked()
		}
		bigger := make([]byte, len(a.buf), size)
		copy(bigger, a.buf)
		a.buf = bigger
	}
	if a.canceled {
		return nil, a.givenUpLocked()
	}
	a.buf = append(a.buf, s.Message...)
	if !more && !a.account.budget.complete(a) {
		return victims, a.givenUpLocked()
	}
	a.complete = !more
	return victims, nil
}

// sizeFor returns how large the buffer is to be when n bytes have arrived.
func (a *assembly) sizeFor(n int) int {
	switch {
	case cap(a.buf) == 0:
		return min(a.total, max(firstPart, n))
	case n > cap(a.buf):
		return min(a.total, firstPart+2*n)
	}
	return cap(a.buf)
}

// givenUpLocked drops what has arrived and says why, if its call needs to know.
func (a *assembly) givenUpLocked() error {
	a.buf, a.canceled = nil, true
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
	a.canceled = true
	a.buf = nil
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
	buf := a.buf
	a.buf = nil
	return buf, a.compression
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
