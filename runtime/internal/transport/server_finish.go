package transport

import (
	"context"
	"fmt"

	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// Finish implements dispatch.Wire: it sends the end of the call, unless nobody
// waits for it.
func (c *serverCall) Finish(res any, err *status.Error, header, trailer metadata.MD) (end *status.Error, sent, received int) {
	defer c.finished()
	defer c.returned()
	if !c.used.Swap(true) { // nobody asked for the request
		c.msg = nil
	}
	received = int(c.received)
	c.asm().release() // if it was not decoded
	if c.stream != nil {
		c.stream.free()
		sent, received = c.stream.moved()
	}
	if c.s.calls.take(c.id) == nil { // cancelled, or the connection is gone
		if err == nil {
			err = status.New(status.Canceled, "the caller had given up").WithCause(context.Canceled)
		}
		return err, sent, received
	}
	if err == nil {
		var size int
		size, err = c.succeed(res, header, trailer)
		sent += size
	}
	if err != nil {
		if c.headerSent { // with the part of the answer that was sent
			header = nil
		}
		c.reply(func(w *writer) { w.buf = appendClose(w.buf, c.id, header, trailer, err) })
	}
	return err, sent, received
}

// reply appends a last frame and has it written.
func (c *serverCall) reply(append func(*writer)) {
	w := &c.s.w
	if w.lockFor(0, nil, nil) == nil {
		c.returned()
		append(w)
		c.unlock(w)
	}
}

// unlock unlocks w after an append and sees to it that it is written. Replies
// of handlers that ran on the reading goroutine wait for the end of the batch
// that it reads, or until they are many.
func (c *serverCall) unlock(w *writer) {
	if c.inline && w.waitsLocked() < inlineBatch && w.bulk == 0 {
		w.unlockLater()
		return
	}
	w.unlockLead(c.others())
}

// inlineBatch is how many bytes of replies wait for the end of a batch.
const inlineBatch = 64 << 10

// others reports whether other calls run on the connection, so that waiting a
// moment for their replies is worth it.
func (c *serverCall) others() bool { return c.s.running.Load() > 0 }

// succeed sends the end of a call that succeeded, with its single message if
// there is one. If it fails, nothing has been sent.
func (c *serverCall) succeed(res any, header, trailer metadata.MD) (int, *status.Error) {
	var msg message
	switch {
	case c.stream == nil:
		if err := msg.prepare(&c.s.link, c.s.codec(c.codec), res); err != nil {
			return 0, status.FromError(err)
		}
	case !c.Method().Kind().CalleeStreams():
		if c.extra.single == nil {
			return 0, status.New(status.Internal, fmt.Sprintf("handler of %s sent no response", c.Method().FullName()))
		}
		msg = *c.extra.single
	default:
		c.reply(func(w *writer) { w.buf = appendClose(w.buf, c.id, header, trailer, nil) })
		return 0, nil
	}
	if closeRoom(header, trailer)+msg.size <= int(c.s.peer().MaxFrame) {
		return msg.size, c.succeedWhole(&msg, header, trailer)
	}
	return msg.size, c.succeedLarge(&msg, header, trailer)
}

// succeedWhole sends CLOSE with the message in it.
func (c *serverCall) succeedWhole(m *message, header, trailer metadata.MD) *status.Error {
	w := &c.s.w
	if m.referred(w) {
		if err := m.encodePooled(); err != nil {
			return status.FromError(err)
		}
		defer m.free()
	}
	if w.lockFor(frame.HeaderSize+m.size, nil, nil) != nil {
		return nil // nobody waits any more
	}
	c.returned()
	mark := len(w.buf)
	h := closeHeader(c.id, header, trailer)
	h.Flags |= frame.FlagMessage
	m.begin(&h)
	buf := frame.Reserve(w.buf)
	if header != nil || trailer != nil {
		buf = appendMetadata(buf, header, trailer)
	}
	h.Length = uint32(len(buf) - mark - frame.HeaderSize + m.size)
	h.Put(buf[mark:])
	w.buf = buf
	if err := w.appendMessage(m); err != nil {
		w.buf = w.buf[:mark]
		w.unlockAsync()
		return status.FromError(err)
	}
	c.unlock(w)
	return nil
}

// partHeader returns the header of a part of m, which is not its last.
func partHeader(id frame.StreamID, m *message, first bool, header metadata.MD) frame.Header {
	h := frame.Header{Type: frame.TypeData, Flags: frame.FlagMessage | frame.FlagMore, ID: id}
	if first {
		h.Flags |= frame.FlagTotal
		m.begin(&h)
		if header != nil {
			h.Flags |= frame.FlagHeaders
		}
	}
	return h
}

// succeedLarge sends a message that does not fit one frame: DATA frames, and
// CLOSE with the last part. It is marshalled beforehand, so that nobody waits
// for that.
func (c *serverCall) succeedLarge(m *message, header, trailer metadata.MD) *status.Error {
	w, limit, locked := &c.s.w, int(c.s.peer().MaxFrame), false
	if err := m.encodePooled(); err != nil {
		return status.FromError(err)
	}
	defer m.free()
	data := m.encoded
	// It can be cancelled until the last part has been sent.
	c.s.calls.put(c.id, c)
	defer c.s.calls.take(c.id)
	for first := true; len(data) > 0; first = false {
		h := partHeader(c.id, m, first, header)
		room := limit
		if first {
			room -= totalSize
			if header != nil {
				c.headerSent = true
				room -= header.Size() + 4
			}
		} else if len(data)+closeRoom(nil, trailer) <= limit {
			h = closeHeader(c.id, nil, trailer)
			h.Flags |= frame.FlagMessage
		}
		part := data[:min(len(data), room)]
		if h.Type == frame.TypeData && len(part) == len(data) {
			part = part[:len(part)/2] // the rest goes with the trailers
		}
		data = data[len(part):]
		var err error
		if size := partSize(len(part)); !locked {
			err = w.lockFor(size, c.Done(), nil)
		} else if w.fullLocked(size, nil) != nil {
			w.unlockLead(c.others())
			err = w.lockFor(size, c.Done(), nil)
		}
		locked = true
		if c.s.calls.get(c.id) == nil { // cancelled, or the connection is gone
			if err == nil {
				w.unlockAsync()
			}
			return nil
		}
		if err == errCanceled {
			return status.New(status.DeadlineExceeded, "the deadline passed while the answer was sent")
		}
		if err != nil {
			return nil
		}
		if h.Type == frame.TypeClose {
			c.returned()
		}
		mark := len(w.buf)
		w.buf = h.Append(w.buf)
		switch {
		case first && header != nil:
			w.buf = frame.AppendMetadata(w.buf, header)
		case h.Type == frame.TypeClose && trailer != nil:
			w.buf = frame.AppendMetadata(w.buf, trailer)
		}
		if first {
			w.buf = frame.AppendTotal(w.buf, uint32(m.size))
		}
		h.Length = uint32(len(w.buf) - mark - frame.HeaderSize + len(part))
		h.Put(w.buf[mark:])
		w.appendPart(m, part)
	}
	if c.others() {
		w.unlockAsync() // their replies may join the batch
	} else {
		c.unlock(w)
	}
	return nil
}

// closeRoom returns an upper bound of what precedes the message in a CLOSE.
func closeRoom(header, trailer metadata.MD) int {
	n := 0
	for _, md := range [...]metadata.MD{header, trailer} {
		if md != nil {
			n += md.Size() + 4
		}
	}
	return n
}

func closeHeader(id frame.StreamID, header, trailer metadata.MD) frame.Header {
	h := frame.Header{Type: frame.TypeClose, ID: id}
	if header != nil {
		h.Flags |= frame.FlagHeaders
	}
	if trailer != nil {
		h.Flags |= frame.FlagTrailers
	}
	return h
}

func appendMetadata(b []byte, header, trailer metadata.MD) []byte {
	if header != nil {
		b = frame.AppendMetadata(b, header)
	}
	if trailer != nil {
		b = frame.AppendMetadata(b, trailer)
	}
	return b
}

// appendClose appends a CLOSE without a message; e is nil for success.
func appendClose(b []byte, id frame.StreamID, header, trailer metadata.MD, e *status.Error) []byte {
	mark := len(b)
	h := closeHeader(id, header, trailer)
	b = appendMetadata(h.Append(b), header, trailer)
	if e != nil {
		h.Code = uint16(e.Code())
		h.Arg = frame.StatusPushBack(e)
		if e.NotRun() {
			h.Flags |= frame.FlagNotRun
		}
		if e.Message() != "" || len(e.Details()) > 0 {
			h.Flags |= frame.FlagDetail
			b, _ = frame.AppendDetail(b, e)
		}
	}
	h.Length = uint32(len(b) - mark - frame.HeaderSize)
	h.Put(b[mark:])
	return b
}
