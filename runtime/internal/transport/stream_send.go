package transport

import (
	"io"

	"github.com/rpcx-go/rpcx/runtime/codec"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/metadata"
)

// send sends one message, waiting for credit. It returns io.EOF if the stream
// has ended.
func (s *stream) send(v any) error {
	size, err := codec.Size(s.format, v)
	if err != nil {
		return err
	}
	m := message{codec: s.format, value: v, size: size}
	if l := s.l; size > int(l.peer().MaxMessage) || l.cfg.Compressor != nil && size >= l.cfg.CompressFrom {
		if err = m.sized(l, s.format, v, size); err != nil {
			return err
		}
	}
	if s.takeHeader != nil {
		header := s.takeHeader()
		s.takeHeader = nil // they are sent once
		if header != nil {
			if err := s.sendHeader(header); err != nil {
				return err
			}
		}
	}
	if m.size > s.maxPart() || m.referred(&s.l.w) {
		return s.sendParts(&m)
	}
	return s.sendWhole(&m)
}

// maxPart is how many bytes of a message go into one frame: a quarter of the
// credit, so that the credit that a receiver has not yet given back is always
// enough for one more.
func (s *stream) maxPart() int {
	peer := s.l.peer()
	quarter := min(peer.StreamCredit, peer.ConnCredit)/4 - frame.HeaderSize
	return int(min(peer.MaxFrame, quarter) - totalSize)
}

// totalSize is the size of a TOTAL section.
const totalSize = 4

func (s *stream) sendWhole(m *message) error {
	w := &s.l.w
	if err := s.reserve(frame.HeaderSize+m.size, frame.HeaderSize+m.size); err != nil {
		return err
	}
	w.buf = roomFor(w.buf, frame.HeaderSize+m.size)
	mark := len(w.buf)
	h := frame.Header{Type: frame.TypeData, Flags: small, ID: s.id, Length: uint32(m.size)}
	m.begin(&h)
	w.buf = h.Append(w.buf)
	if err := w.appendMessage(m); err != nil {
		w.buf = w.buf[:mark]
		s.unreserveLocked(frame.HeaderSize + m.size)
		w.unlockAsync()
		return err
	}
	s.sent += m.size
	w.unlockAsync()
	return nil
}

// sendParts sends a message that is larger than a frame or the credit, or that is
// not to be copied. It is marshalled beforehand, so that nobody waits for that.
func (s *stream) sendParts(m *message) error {
	if err := m.encodePooled(); err != nil {
		return err
	}
	defer m.free()
	w, locked := &s.l.w, false
	for rest, first := m.encoded, true; len(rest) > 0; first = false {
		h := frame.Header{Type: frame.TypeData, Flags: frame.FlagMessage | frame.FlagCredited, ID: s.id}
		part := rest[:min(len(rest), s.maxPart())]
		rest = rest[len(part):]
		h.Length = uint32(len(part))
		if first {
			m.begin(&h)
		}
		if len(rest) > 0 {
			h.Flags |= frame.FlagMore
		}
		total := first && len(rest) > 0
		if total {
			h.Flags |= frame.FlagTotal
			h.Length += totalSize
		}
		cost, size := frame.HeaderSize+int(h.Length), partSize(len(part))
		if locked && (s.over() || s.takeLocked(cost, size, nil) != nil) {
			w.unlockQuiet()
			locked = false
		}
		if !locked {
			if err := s.reserve(cost, size); err != nil {
				return err
			}
			locked = true
		}
		w.buf = h.Append(w.buf)
		if total {
			w.buf = frame.AppendTotal(w.buf, uint32(m.size))
		}
		w.appendPart(m, part)
		s.sent += len(part)
	}
	w.unlockQuiet()
	return nil
}

// sendHeader sends the headers in a frame of their own.
func (s *stream) sendHeader(md metadata.MD) error {
	w := &s.l.w
	if err := w.lockFor(0, s.gone, nil); err != nil {
		return s.sendError(err)
	}
	mark := len(w.buf)
	h := frame.Header{Type: frame.TypeData, Flags: frame.FlagHeaders, ID: s.id}
	w.buf = frame.AppendMetadata(h.Append(w.buf), md)
	h.Length = uint32(len(w.buf) - mark - frame.HeaderSize)
	h.Put(w.buf[mark:])
	w.unlockAsync()
	return nil
}

// closeSend half-closes.
func (s *stream) closeSend() error {
	w := &s.l.w
	if err := w.lockFor(0, s.gone, nil); err != nil {
		return s.sendError(err)
	}
	if s.over() {
		w.unlockAsync()
		return io.EOF
	}
	h := frame.Header{Type: frame.TypeData, Flags: frame.FlagHalfClose, ID: s.id}
	w.buf = h.Append(w.buf)
	w.unlockAsync()
	return nil
}

// reserve locks the writer for a frame that counts as size bytes there, and draws
// n bytes of credit for it, waiting for both. If it fails, the writer is unlocked.
func (s *stream) reserve(n, size int) error {
	w := &s.l.w
	if err := w.lock(); err != nil {
		return s.sendError(err)
	}
	var from *waitlist
	for {
		if s.over() {
			w.leaveLocked(from, &s.blocked)
			w.unlockAsync()
			return io.EOF
		}
		list := s.takeLocked(n, size, from)
		if list == nil && from == &s.l.waiting {
			s.l.beginTurnLocked(s, int64(n))
			return nil
		}
		w.leaveLocked(from, list)
		if list == nil {
			return nil
		}
		s.l.endTurnLocked(s)
		if err := w.waitLocked(list, from != nil, s.gone, nil); err != nil {
			return s.sendError(err)
		}
		from = list
	}
}

// takeLocked draws n bytes of credit and takes room for a frame of size bytes. If
// it cannot have both now, it has neither, and returns where to wait; from is
// where the sender has waited, or nil.
func (s *stream) takeLocked(n, size int, from *waitlist) *waitlist {
	l := s.l
	if s.credit < int64(n) {
		return &s.blocked
	}
	if l.credit < int64(n) || from == nil && !l.waiting.empty() && !l.inTurnLocked(s, int64(n)) {
		return &l.waiting
	}
	if list := l.w.fullLocked(size, from); list != nil {
		return list
	}
	s.credit -= int64(n)
	l.credit -= int64(n)
	if l.turn != nil {
		l.turn.left -= int64(n) // whoever draws it
	}
	l.progress.Add(1)
	return nil
}

// unreserveLocked gives back the credit of a frame that was not sent.
func (s *stream) unreserveLocked(n int) {
	s.credit += int64(n)
	s.l.credit += int64(n)
	s.l.endTurnLocked(s)
	s.l.waiting.wake(1)
}

func (s *stream) over() bool {
	select {
	case <-s.gone:
		return true
	default:
		return false
	}
}

// sendError is what a failed send returns: io.EOF, as the reason is for the
// receiving side to tell.
func (s *stream) sendError(error) error { return io.EOF }
