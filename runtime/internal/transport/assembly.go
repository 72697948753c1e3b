package transport

import (
	"fmt"

	"github.com/rpcx-go/rpcx/runtime/codec"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// assembly is a message that arrives in fragments. It never holds more memory
// than firstPart and twice what has arrived.
type assembly struct {
	buf         []byte
	total       int // bytes of the whole message; 0: none is being assembled
	compression uint8
}

// firstPart is what may be allocated before anything has arrived.
const firstPart = 64 << 10

func (a *assembly) active() bool { return a.total > 0 }

// add adds a fragment and reports whether the message is complete. Errors are
// the peer's breach of protocol.
func (a *assembly) add(h *frame.Header, s *frame.Sections) (complete bool, err error) {
	more := h.Flags.Has(frame.FlagMore)
	if !a.active() {
		if !h.Flags.Has(frame.FlagTotal) {
			return false, protocolErrorf("stream %d: the first part of a message without TOTAL", h.ID)
		}
		a.total, a.compression = int(s.Total), h.Compression
		a.buf = make([]byte, 0, min(a.total, max(firstPart, len(s.Message))))
	} else if h.Flags.Has(frame.FlagTotal) {
		return false, protocolErrorf("stream %d: TOTAL in the middle of a message", h.ID)
	}
	n := len(a.buf) + len(s.Message)
	if n > a.total || !more && n < a.total {
		return false, protocolErrorf("stream %d: fragments of %d bytes where TOTAL said %d", h.ID, n, a.total)
	}
	if n > cap(a.buf) {
		bigger := make([]byte, len(a.buf), min(a.total, firstPart+2*n))
		copy(bigger, a.buf)
		a.buf = bigger
	}
	a.buf = append(a.buf, s.Message...)
	return !more, nil
}

// checkFormat checks how the message that h begins or continues is encoded. A
// compression that was not offered costs only the call, which ends with code.
func (l *link) checkFormat(h *frame.Header, continues bool, code status.Code) error {
	switch {
	case continues && (h.Codec != 0 || h.Compression != 0):
		return protocolErrorf("stream %d: codec %d, compression %d on the continuation of a message", h.ID, h.Codec, h.Compression)
	case !continues && h.Codec != uint8(l.cfg.Codec.ID()):
		return protocolErrorf("stream %d: a message in codec %d in a call in codec %d", h.ID, h.Codec, l.cfg.Codec.ID())
	case !l.cfg.Settings.AcceptsCompression(h.Compression):
		return &callBreach{status.New(code, notAccepted(h.Compression))}
	}
	return nil
}

// notAccepted says that a compression is not accepted, by its name if it has one.
func notAccepted(compression uint8) string {
	return fmt.Sprintf("compression %v is not accepted here (option WithAcceptedCompressions)", codec.CompressionID(compression))
}

// take returns the complete message, how it is compressed, and makes room for
// the next one.
func (a *assembly) take() ([]byte, uint8) {
	buf, compression := a.buf, a.compression
	*a = assembly{}
	return buf, compression
}

func protocolErrorf(text string, args ...any) *frame.Error {
	return &frame.Error{Code: frame.ProtocolError, Reason: fmt.Sprintf(text, args...)}
}
