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
	if beyond := o.room(m.size) - limit; beyond > 0 {
		return c.openSplit(p, o, m, beyond, limit, done, late)
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

// openSplit is openSingle for a message of which some does not fit OPEN, whose
// limit that is: at most beyond bytes, if anything.
func (c *Client) openSplit(p *pending, o *opening, m *message, beyond, limit int, done <-chan struct{}, late <-chan time.Time) error {
	// It is marshalled beforehand, so that nobody waits for that; unless nobody
	// would, and little is left for the frame behind it.
	large := c.inFlight.Load() > 0 || partSize(beyond+totalSize) > 0
	if large {
		if err := m.encodePooled(); err != nil {
			return err
		}
		defer m.free()
	}
	if err := c.reserveSlot(frame.HeaderSize+min(m.size, limit), done, late); err != nil {
		return err
	}
	w := &c.w
	mark, defined := len(w.buf), c.defined
	h := o.header(c)
	m.begin(&h)
	h.Flags |= frame.FlagMessage | frame.FlagMore | frame.FlagTotal
	buf := frame.AppendTotal(o.append(c, frame.Reserve(w.buf), &h), uint32(m.size))
	head := len(buf) - mark - frame.HeaderSize
	first := min(m.size-1, limit-head) // at least one byte is left for the frame that half-closes
	h.Length = uint32(head + first)
	var rest []byte
	if large {
		buf, rest = append(buf, m.encoded[:first]...), m.encoded[first:]
	} else {
		cut := len(buf) + first
		var err error
		if buf, err = m.append(buf); err != nil {
			c.withdraw(o, buf[:mark], defined)
			return err
		}
		last := restHeader(h.ID, len(buf)-cut, true)
		buf = insertHeader(buf, cut, &last)
	}
	h.Put(buf[mark:])
	w.buf = buf
	c.openedLocked(p, h.ID)
	if p.stream != nil {
		p.stream.sent = m.size
	}
	if rest == nil && p.stream == nil {
		w.unlockLead(c.inFlight.Load() > 1)
		return nil
	}
	return c.sendRestLocked(h.ID, rest, done, late)
}

// withdraw takes back an OPEN that could not be appended, to what was in the buffer
// before and how many methods had been defined, and unlocks c.w.
func (c *Client) withdraw(o *opening, buf []byte, defined uint16) {
	c.w.buf = buf
	o.undefine(c, defined)
	c.w.unlockAsync()
	c.ended()
}

// insertHeader makes the bytes of b from cut on, which are few, those of a frame
// of their own.
func insertHeader(b []byte, cut int, h *frame.Header) []byte {
	n := len(b) - cut
	b = h.Append(b) // for the room
	copy(b[len(b)-n:], b[cut:])
	h.Put(b[cut:])
	return b
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

// sendRestLocked sends the rest of a single message in DATA frames, the last of
// which half-closes, and unlocks c.w.
func (c *Client) sendRestLocked(id frame.StreamID, rest []byte, done <-chan struct{}, late <-chan time.Time) error {
	w := &c.w
	for len(rest) > 0 {
		part := rest[:min(len(rest), int(c.peer().MaxFrame))]
		rest = rest[len(part):]
		if size := partSize(len(part)); w.fullLocked(size, nil) != nil {
			w.unlockLead(false)
			if err := w.lockFor(size, done, late); err != nil {
				return err
			}
		}
		if c.calls.get(id) == nil { // it has ended already
			break
		}
		h := restHeader(id, len(part), len(rest) == 0)
		w.buf = append(h.Append(w.buf), part...)
	}
	w.unlockAsync()
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
