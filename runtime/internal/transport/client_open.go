package transport

import (
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// opening is what an OPEN frame says beside its message.
type opening struct {
	method   *call.Method
	deadline time.Time
	metadata metadata.MD
	class    frame.Class
	route    uint64
	routed   bool
}

// classOf returns c as frames carry it.
func classOf(c call.Class) frame.Class { return frame.MakeClass(c.Priority, c.Lane, c.Attempt) }

// room returns an upper bound of the payload of an OPEN with a message of size bytes.
func (o *opening) room(size int) int {
	n := size + len(o.method.WireName()) + 2
	if o.routed {
		n += frame.RouteSize
	}
	if len(o.metadata) > 0 {
		n += o.metadata.Size() + 4
	}
	return n
}

// header returns the frame's header, without length. c.w is locked.
func (o *opening) header(c *Client) frame.Header {
	h := frame.Header{Type: frame.TypeOpen, Codec: uint8(c.cfg.Codec.ID()), Class: o.class, ID: c.nextID}
	if !o.deadline.IsZero() {
		h.Arg = frame.DeadlineArg(time.Until(o.deadline))
	}
	if o.method.Kind().CallerStreams() {
		h.Flags |= frame.FlagCallerStreams
	}
	if o.method.Kind().CalleeStreams() {
		h.Flags |= frame.FlagCalleeStreams
	}
	return h
}

// append appends route, name and metadata and completes h. c.w is locked.
func (o *opening) append(c *Client, b []byte, h *frame.Header) []byte {
	var named bool
	h.Code, named = c.methodID(o.method)
	if o.routed {
		h.Flags |= frame.FlagRoute
		b = frame.AppendRoute(b, o.route)
	}
	if named {
		h.Flags |= frame.FlagName
		b = frame.AppendName(b, o.method.WireName())
	}
	if len(o.metadata) > 0 {
		h.Flags |= frame.FlagHeaders
		b = frame.AppendMetadata(b, o.metadata)
	}
	return b
}

// methodID returns the method's id on this connection, and whether the frame
// must carry the name. c.w is locked, so that ids are given in the order of the
// queue.
func (c *Client) methodID(m *call.Method) (id uint16, named bool) {
	i := int(m.Index())
	if i < len(c.methods) && c.methods[i] != 0 {
		return c.methods[i], false
	}
	if uint32(c.defined) >= c.peer().MaxMethods {
		return 0, true
	}
	if i >= len(c.methods) {
		c.methods = append(c.methods, make([]uint16, i+1-len(c.methods))...)
	}
	c.defined++
	c.methods[i] = c.defined
	return c.defined, true
}

// undefine takes back the definition of an OPEN that was not sent. c.w is locked.
func (o *opening) undefine(c *Client, defined uint16) {
	if c.defined != defined {
		c.defined = defined
		c.methods[o.method.Index()] = 0
	}
}

// openSingle sends OPEN with the call's single message, and the rest of it if it
// does not fit one frame. If it fails, p.id tells whether the peer may have
// heard of the call.
func (c *Client) openSingle(p *pending, o *opening, m *message, done <-chan struct{}, late <-chan time.Time) error {
	limit := int(c.peer().MaxFrame)
	if whole := o.room(m.size) <= limit; !whole || m.referred(&c.w) {
		return c.openLarge(p, o, m, whole, limit, done, late)
	}
	if err := c.reserveSlot(frame.HeaderSize+m.size, done, late); err != nil {
		return err
	}
	w := &c.w
	mark, defined := len(w.buf), c.defined
	h := o.header(c)
	m.begin(&h)
	buf := o.append(c, frame.Reserve(w.buf), &h)
	h.Flags |= frame.FlagMessage | frame.FlagHalfClose
	h.Length = uint32(len(buf) - mark - frame.HeaderSize + m.size)
	buf, err := m.append(buf)
	if err != nil {
		c.withdraw(o, buf[:mark], defined)
		return err
	}
	h.Put(buf[mark:])
	w.buf = buf
	c.openedLocked(p, h.ID)
	if p.stream != nil {
		p.stream.sent = m.size
		w.unlockAsync()
		return nil
	}
	w.unlockLead(c.inFlight.Load() > 1)
	return nil
}

// openLarge is openSingle for a message that is referred to, or does not fit OPEN,
// whose limit that is, as a whole. It is marshalled beforehand, so that nobody
// waits for that.
func (c *Client) openLarge(p *pending, o *opening, m *message, whole bool, limit int, done <-chan struct{}, late <-chan time.Time) error {
	if err := m.encodePooled(); err != nil {
		return err
	}
	defer m.free()
	if err := c.reserveSlot(frame.HeaderSize+min(m.size, limit), done, late); err != nil {
		return err
	}
	w := &c.w
	mark := len(w.buf)
	h := o.header(c)
	m.begin(&h)
	buf := o.append(c, frame.Reserve(w.buf), &h)
	h.Flags |= frame.FlagMessage
	first := m.size
	if whole {
		h.Flags |= frame.FlagHalfClose
	} else {
		h.Flags |= frame.FlagMore | frame.FlagTotal
		buf = frame.AppendTotal(buf, uint32(m.size))
		// At least one byte is left for the frame that half-closes.
		first = min(m.size-1, limit-(len(buf)-mark-frame.HeaderSize))
	}
	h.Length = uint32(len(buf) - mark - frame.HeaderSize + first)
	h.Put(buf[mark:])
	w.buf = buf
	w.appendPart(m, m.encoded[:first])
	c.openedLocked(p, h.ID)
	if p.stream != nil {
		p.stream.sent = m.size
	} else if whole {
		w.unlockLead(c.inFlight.Load() > 1)
		return nil
	}
	return c.sendRestLocked(p, m, first, done, late)
}

// withdraw takes back an OPEN that could not be appended, to what was in the buffer
// before and how many methods had been defined, and unlocks c.w.
func (c *Client) withdraw(o *opening, buf []byte, defined uint16) {
	c.w.buf = buf
	o.undefine(c, defined)
	c.w.unlockAsync()
	c.ended()
}

// restHeader returns the header of a part of n bytes of a single message that is
// not its first.
func restHeader(id frame.StreamID, n int, last bool) frame.Header {
	h := frame.Header{Type: frame.TypeData, Flags: frame.FlagMessage | frame.FlagMore, ID: id, Length: uint32(n)}
	if last {
		h.Flags ^= frame.FlagMore | frame.FlagHalfClose
	}
	return h
}

// sendRestLocked sends a single message, if there is more of it than the bytes that
// were sent, in DATA frames, the last of which half-closes, and unlocks c.w.
func (c *Client) sendRestLocked(p *pending, m *message, sent int, done <-chan struct{}, late <-chan time.Time) error {
	w := &c.w
	for sent < m.size {
		rest := m.encoded[sent:]
		part := rest[:min(len(rest), int(c.peer().MaxFrame))]
		sent += len(part)
		if size := partSize(len(part)); w.fullLocked(size, nil) != nil {
			w.unlockLead(false)
			if err := w.lockFor(size, done, late); err != nil {
				return err
			}
		}
		if c.calls.get(p.id) == nil { // it has ended already
			break
		}
		h := restHeader(p.id, len(part), sent == m.size)
		w.buf = h.Append(w.buf)
		w.appendPart(m, part)
	}
	if p.stream == nil && c.inFlight.Load() == 1 {
		w.unlockLead(false)
	} else {
		w.unlockAsync() // others may join the batch
	}
	return nil
}

// openedLocked gives p the id of the OPEN that was appended.
func (c *Client) openedLocked(p *pending, id frame.StreamID) {
	c.nextID = id + 2
	p.id, p.epoch = id, c.w.batches
	if p.stream != nil {
		p.stream.init(&c.link, c, id, uint8(c.cfg.Codec.ID()))
		p.stream.badMessage = status.Internal
	}
	c.calls.put(id, p)
	if p.stream != nil {
		c.callBack()
	}
}

// reserveSlot locks the writer for an OPEN of n bytes and counts the call,
// waiting while as many calls are in flight as the peer lets in. If it fails,
// the writer is unlocked.
func (c *Client) reserveSlot(n int, done <-chan struct{}, late <-chan time.Time) error {
	for queued := false; ; queued = true {
		if err := c.w.lockFor(n, done, late); err != nil {
			if queued { // let the next one have the slot
				c.w.mu.Lock()
				c.slots.wake(1)
				c.w.mu.Unlock()
			}
			return err
		}
		// It is counted before draining is looked at, so that the connection is not
		// left in between.
		n := c.inFlight.Add(1)
		if c.draining.Load() {
			c.w.unlockAsync()
			c.ended()
			return &ConnError{c.addr(), ErrDraining}
		}
		if n <= int64(c.peer().MaxStreams) && (queued || c.slots.empty()) {
			return nil
		}
		c.inFlight.Add(-1)
		c.slotWaiters.Add(1)
		if c.inFlight.Load() < int64(c.peer().MaxStreams) && (queued || c.slots.empty()) {
			// A call ended before it could see that this one waits.
			c.slotWaiters.Add(-1)
			c.w.unlockAsync()
			continue
		}
		c.w.passLocked()
		err := c.w.waitLocked(&c.slots, queued, done, late)
		c.slotWaiters.Add(-1)
		if err != nil {
			return inQueue(err)
		}
		c.w.unlockAsync()
	}
}
