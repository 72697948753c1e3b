package transport

import (
	"encoding/binary"

	"github.com/rpcx-go/rpcx/runtime/internal/frame"
)

// Small messages of a stream that arrive one after the other are handed over in
// runs: they lie side by side in a chunk, each behind its length, so that what is
// done for each of them is little more than a copy.

// Sizes of chunks. What refers to a message keeps its chunk alive, and so at most
// maxChunk bytes that are not its own.
const (
	maxChunk = 8 << 10
	// ownChunk is from where a message has memory of its own, so that no more than
	// a quarter of a chunk is left over.
	ownChunk = maxChunk / 4
	// runLength is the size of the length before a message.
	runLength = 4
)

// mostRun is how many bytes of credit the frames draw that are taken in under one
// lock, so that the receiver can begin with them.
const mostRun = 16 << 10

// run is messages, each behind its length in runLength bytes.
type run []byte

// next takes out the first message, if there is one. It may be kept and changed.
func (r *run) next() (msg []byte, ok bool) {
	b := *r
	if len(b) < runLength {
		return nil, false
	}
	end := runLength + int(binary.LittleEndian.Uint32(b))
	if *r = b[end:]; end == len(b) {
		*r = nil // or it kept the chunk alive
	}
	return b[runLength:end:end], true
}

// keep copies msg behind the run that ends chunk, if there is room, and reports
// whether there is.
func keep(chunk, msg []byte) (longer []byte, ok bool) {
	if cap(chunk)-len(chunk) < runLength+len(msg) {
		return chunk, false
	}
	chunk = binary.LittleEndian.AppendUint32(chunk, uint32(len(msg)))
	return append(chunk, msg...), true
}

// newChunk returns the chunk behind one that is full, for a message of n bytes.
// Chunks grow with what has come, so that a stream of few messages holds little.
func newChunk(full []byte, n int) []byte {
	return make([]byte, 0, min(maxChunk, max(runLength+n, 2*cap(full))))
}

// keepLocked copies a message out of the read buffer, behind the run.
func (s *stream) keepLocked(msg []byte) {
	chunk, ok := keep(s.chunk, msg)
	if !ok {
		s.endRunLocked()
		chunk, _ = keep(newChunk(s.chunk, len(msg)), msg)
		s.begun = 0
	}
	s.chunk = chunk
}

// endRunLocked queues the run. What comes next begins another one.
func (s *stream) endRunLocked() {
	if end := len(s.chunk); s.begun < end {
		s.inbox.push(item{data: s.chunk[s.begun:end:end], run: true})
		s.begun = end
	}
}

// small are the flags of the frames of small messages.
const small = frame.FlagMessage | frame.FlagCredited

// pushRun takes in the small message that is the payload of the frame that was
// received last, and those behind it as long as their frames differ in nothing
// but length. It does nothing and returns false if there is anything to it that
// push has to look at. Errors are as those of push.
func (s *stream) pushRun(h *frame.Header, payload []byte) (ok bool, err error) {
	if h.Flags != small || h.Codec != s.codec || h.Compression != 0 {
		return false, nil
	}
	l := s.l
	most := int(min(ownChunk-1, l.cfg.Settings.MaxMessage))
	like := l.r.like(h)
	s.mu.Lock()
	if s.end != nil || s.aborted || s.asm != nil {
		s.mu.Unlock()
		return false, nil
	}
	// Nobody else draws on the windows, and they are looked at before each message.
	left := min(s.window, l.window.Load())
	var held int64
	arrived := 0
	for more := true; more && held < mostRun; {
		cost := int64(frame.HeaderSize + len(payload))
		if len(payload) > most || held+cost > left {
			break
		}
		if held > 0 {
			l.r.passed(payload)
		}
		s.keepLocked(payload)
		held += cost
		arrived += len(payload)
		payload, more = l.r.follows(like)
	}
	if held == 0 {
		s.mu.Unlock()
		return false, nil
	}
	s.window -= held
	s.usedLocked()
	l.window.Add(-held)
	s.held.Add(held)
	s.arrived += arrived
	wake := s.wakeLocked()
	s.mu.Unlock()
	l.flood.progressed()
	s.wake(wake)
	s.growIfDry()
	return true, l.countUnread(held)
}

// next returns the next of the messages that the receiver has taken.
func (s *stream) next() (it item, ok bool) {
	msg, ok := s.run.next()
	if !ok {
		if it, ok = s.taken.pop(); !it.run {
			return it, ok
		}
		s.run = it.data
		msg, _ = s.run.next()
	}
	return item{data: msg, held: uint32(frame.HeaderSize + len(msg))}, true
}

// lazyCredit is how many bytes of the connection's credit a receiver may owe while
// it has more messages to take.
const lazyCredit = 4 << 10

// lazy returns how much of the connection's credit a receiver may owe that has
// just taken messages. What receivers owe is less than they held when they took
// them, so that together they never owe more than half of the window, and the
// peer always has enough for one more frame.
func (l *link) lazy() int64 {
	if l.window.Load() < l.limit.Load()/2 || l.charged.Load() > 0 && l.budget.budget.tight() {
		return 0
	}
	return lazyCredit
}

// received says that recv returns a message that held so much credit.
func (s *stream) received(held int64) {
	s.back += held
	s.eaten += held
	last := len(s.run) == 0 && s.taken.empty()
	if last {
		s.taking.Store(false)
	}
	if last || s.back > s.lazy {
		s.unhold(s.back)
		s.back = 0
	}
	// A part that arrived while this message was unread holds credit that the
	// peer may need to send the rest.
	if last && s.partial.Load() || s.eaten >= int64(s.l.cfg.Settings.StreamCredit)/4 {
		s.settle()
	}
}

// like returns the header of the frame that next has just returned as it was
// received. It is valid as long as the payload.
func (d *reader) like(h *frame.Header) []byte {
	begin := d.r - int(h.Length) - frame.HeaderSize
	if h.Flags.Has(frame.FlagChecksum) {
		begin -= frame.ChecksumSize
	}
	return d.buf[begin : begin+frame.HeaderSize]
}

// follows returns the payload of the frame that is next if that has been received
// as a whole and its header differs from the one in like, which has no checksum,
// in nothing but length. It stays the next one until passed.
func (d *reader) follows(like []byte) (payload []byte, ok bool) {
	b := d.buf[d.r:d.w]
	if len(b) < frame.HeaderSize {
		return nil, false
	}
	n, ok := frame.Alike(like, b)
	if !ok || len(b)-frame.HeaderSize < n {
		return nil, false
	}
	end := frame.HeaderSize + n
	return b[frame.HeaderSize:end:end], true
}

// passed goes on behind the frame whose payload follows has returned.
func (d *reader) passed(payload []byte) { d.r += frame.HeaderSize + len(payload) }
