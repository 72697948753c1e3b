package transport

import (
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/metadata"
)

// opening is what an OPEN frame says beside its message.
type opening struct {
	method   *call.Method
	deadline time.Time
	metadata metadata.MD
}

// room returns an upper bound of the payload of an OPEN with a message of size bytes.
func (o *opening) room(size int) int {
	n := size + len(o.method.WireName()) + 2
	if len(o.metadata) > 0 {
		n += o.metadata.Size() + 4
	}
	return n
}

// header returns the frame's header, without length. c.w is locked.
func (o *opening) header(c *Client) frame.Header {
	h := frame.Header{Type: frame.TypeOpen, Codec: uint8(c.cfg.Codec.ID()), ID: c.nextID}
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

// append appends name and metadata and completes h. c.w is locked.
func (o *opening) append(c *Client, b []byte, h *frame.Header) []byte {
	var named bool
	h.Code, named = c.methodID(o.method)
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

// openedLocked gives p the id of the OPEN that was appended.
func (c *Client) openedLocked(p *pending, id frame.StreamID) {
	c.nextID = id + 2
	p.id, p.epoch = id, c.w.batches
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
		if c.draining.Load() {
			c.w.unlockAsync()
			return &ConnError{c.addr(), ErrDraining}
		}
		if c.inFlight.Add(1) <= int64(c.peer().MaxStreams) && (queued || c.slots.empty()) {
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
		err := c.w.waitLocked(&c.slots, queued, done, late)
		c.slotWaiters.Add(-1)
		if err != nil {
			return err
		}
		c.w.unlockAsync()
	}
}
