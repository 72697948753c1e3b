package transport

import (
	"fmt"

	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// frame handles a frame of a stream, or GOAWAY. Of frames of streams that have
// ended nothing but the header is looked at.
func (c *Client) frame(h *frame.Header, payload []byte) error {
	sec := c.sections
	switch h.Type {
	case frame.TypeGoAway:
		return c.goAway(frame.ParseGoAway(h, payload))
	case frame.TypeData:
		if h.Flags == small {
			if ok, err := c.run(h, payload); ok {
				return err
			}
		}
		if c.calls.get(h.ID) == nil {
			return c.stray(h)
		}
		if h.Flags.Has(frame.FlagHalfClose) {
			return protocolErrorf("HALF_CLOSE from a server on stream %d", h.ID)
		}
		if err := frame.ParseSections(h, payload, sec); err != nil {
			return err
		}
		return c.data(h, sec)
	case frame.TypeClose:
		p := c.calls.take(h.ID)
		if p == nil {
			return c.stray(h)
		}
		err := frame.ParseSections(h, payload, sec)
		if err == nil {
			if !c.served.Load() {
				c.served.Store(true)
			}
			err = c.closed(p, h, sec)
		}
		if err != nil {
			c.calls.put(h.ID, p) // it ends with the connection
		}
		return err
	}
	return protocolErrorf("%v from a server", h.Type)
}

// stray drops a frame of a stream that has ended. One of a stream that was
// never opened is a breach.
func (c *Client) stray(h *frame.Header) error {
	c.w.mu.Lock()
	next := c.nextID
	c.w.mu.Unlock()
	if h.ID&1 == 0 || h.ID >= next {
		return protocolErrorf("%v for stream %d, which was not opened", h.Type, h.ID)
	}
	return c.late(h)
}

func (c *Client) streamCredit(h *frame.Header) error {
	p := c.calls.get(h.ID)
	if p == nil {
		return c.stray(h)
	}
	if s := p.stream; s != nil && s.method.Kind().CallerStreams() {
		return s.granted(int64(h.Arg))
	}
	return nil
}

func (c *Client) batchEnd() (relieved bool) {
	*c.sections = frame.Sections{}
	lone := len(c.answers) == 1 && c.inFlight.Load() == 1
	c.signalAnswered()
	return c.relieved(lone)
}

// run takes in a small message of a stream and those behind it, and reports whether
// it did: it leaves what is not as usual to data.
func (c *Client) run(h *frame.Header, payload []byte) (ok bool, err error) {
	var s *ClientStream
	c.calls.with(h.ID, func(p *pending) { s = p.stream })
	if s == nil || !s.method.Kind().CalleeStreams() {
		return false, nil
	}
	ok, err = s.pushRun(h, payload)
	if !ok {
		return false, nil
	}
	s.p.head = true
	s.openHead()
	if over := breachOf(err); over != nil {
		s.reject(over)
		return true, nil
	}
	return true, err
}

// data takes in a DATA frame: headers, a stream's message or a part of a unary
// call's answer. The table's lock keeps a call that is given up meanwhile from
// being used for another one.
func (c *Client) data(h *frame.Header, sec *frame.Sections) error {
	var s *ClientStream
	var asm *assembly
	var err error
	found := c.calls.with(h.ID, func(p *pending) {
		if s = p.stream; s == nil {
			asm, err = c.unaryPart(p, h, sec)
		}
	})
	switch {
	case !found:
		return c.stray(h)
	case s != nil:
		return s.data(h, sec)
	case asm != nil:
		_, err = asm.add(h, sec, c.r)
	}
	if over := breachOf(err); over != nil {
		if p := c.calls.take(h.ID); p != nil {
			c.cancelFrame(h.ID, over.Code())
			p.result.err = over
			c.signal(p)
		}
		return nil
	}
	return err
}

// headers takes in the response headers that h carries, if any.
func (c *Client) headers(p *pending, h *frame.Header, sec *frame.Sections) error {
	if h.Flags.Has(frame.FlagHeaders) {
		if p.head {
			return protocolErrorf("stream %d: HEADERS twice or after a message", h.ID)
		}
		p.head = true
		var err error
		p.result.headers, err = c.responseMetadata(sec.Headers)
		return err
	}
	p.head = p.head || h.Flags.Has(frame.FlagMessage)
	return nil
}

// unaryPart takes in a DATA frame of a unary call. It returns where the part of
// the answer that the frame carries, if any, is to be added.
func (c *Client) unaryPart(p *pending, h *frame.Header, sec *frame.Sections) (*assembly, error) {
	if h.Flags.Has(frame.FlagCredited) {
		return nil, protocolErrorf("stream %d: CREDITED on a single message", h.ID)
	}
	if err := c.headers(p, h, sec); err != nil {
		return nil, err
	}
	if !h.Flags.Has(frame.FlagMessage) {
		return nil, c.idle()
	}
	if !h.Flags.Has(frame.FlagMore) {
		return nil, protocolErrorf("stream %d: the single answer ends in DATA, not in CLOSE", h.ID)
	}
	c.flood.progressed()
	if err := c.checkFormat(h, uint8(c.cfg.Codec.ID()), p.asm != nil, status.Internal); err != nil {
		return nil, err
	}
	if p.asm == nil {
		if err := c.tooLarge(h, sec); err != nil {
			return nil, err
		}
		p.asm = c.assemble(c, h.ID)
	}
	return p.asm, nil
}

// exhausted ends the call whose answer was given up for want of memory.
func (c *Client) exhausted(id frame.StreamID, err *status.Error) {
	p := c.calls.take(id)
	if p == nil {
		return
	}
	c.cancelFrame(id, err.Code())
	if p.stream != nil {
		c.ended()
		p.stream.over(err)
		return
	}
	p.result.err = err
	c.signal(p)
}

// callBreach is a breach that costs only its call, such as a message or
// metadata above this side's limit.
type callBreach struct{ err *status.Error }

func (e *callBreach) Error() string { return e.err.Error() }

// breachOf returns what a breach costs the call, nil if err is none that only
// the call pays for.
func breachOf(err error) *status.Error {
	if b, ok := err.(*callBreach); ok {
		return b.err
	}
	return nil
}

// connectionBreach returns err unless only the call pays for it.
func connectionBreach(err error) error {
	if breachOf(err) != nil {
		return nil
	}
	return err
}

// tooLarge checks the message that h begins against this side's limit.
func (l *link) tooLarge(h *frame.Header, sec *frame.Sections) error {
	size := sec.MessageSize()
	if h.Flags.Has(frame.FlagTotal) {
		size = int(sec.Total)
	}
	if limit := int(l.cfg.Settings.MaxMessage); size > limit {
		return &callBreach{status.New(status.ResourceExhausted,
			fmt.Sprintf("received message of %d bytes is above the limit of %d (option WithMaxMessageSize)", size, limit))}
	}
	return nil
}

// closed handles CLOSE for p, which has been taken out of the table.
func (c *Client) closed(p *pending, h *frame.Header, sec *frame.Sections) error {
	c.flood.progressed()
	r := &p.result
	err := c.headers(p, h, sec)
	if err == nil && h.Flags.Has(frame.FlagTrailers) {
		r.trailers, err = c.responseMetadata(sec.Trailers)
	}
	if over := breachOf(err); over != nil {
		r.err = over
	} else if err != nil {
		return err
	}
	if h.Code != 0 { // then that stands, whatever the metadata
		if r.err, err = closeError(h, sec); err != nil {
			return err
		}
	}
	if p.stream != nil {
		if err := p.stream.closed(h, sec, r); err != nil {
			return err
		}
		c.ended()
		return nil
	}
	if h.Flags.Has(frame.FlagMessage) {
		if err := c.answer(p, h, sec); err != nil {
			return err
		}
	} else if h.Code == 0 { // whatever the metadata
		return protocolErrorf("CLOSE of unary stream %d is OK and has no message", h.ID)
	}
	c.signalLater(p)
	return nil
}

// answer copies the message of a unary call, or its last part, out of the read buffer.
func (c *Client) answer(p *pending, h *frame.Header, sec *frame.Sections) error {
	r := &p.result
	if err := c.checkFormat(h, uint8(c.cfg.Codec.ID()), p.asm != nil, status.Internal); err != nil {
		r.err = breachOf(err)
		return connectionBreach(err)
	}
	if p.asm != nil {
		if _, err := p.asm.add(h, sec, c.r); err != nil {
			r.err = breachOf(err)
			return connectionBreach(err)
		}
		r.msg, r.compression = p.asm.take()
		return nil
	}
	if err := c.tooLarge(h, sec); err != nil {
		r.err = breachOf(err)
		return nil
	}
	r.msg, r.compression = append(make([]byte, 0, len(sec.Message)), sec.Message...), h.Compression
	return nil
}

// responseMetadata decodes a block of the response. One that breaks the rules
// ends its call, one that cannot be taken apart the connection.
func (c *Client) responseMetadata(block []byte) (metadata.MD, error) {
	err := frame.CheckMetadata(block, int(c.cfg.Settings.MaxMetadata))
	if err == nil {
		return frame.ParseMetadata(block)
	}
	own, ok := err.(*frame.CallError)
	if !ok {
		return nil, err
	}
	code := own.Code
	if code != status.ResourceExhausted {
		code = status.Internal
	}
	return nil, &callBreach{status.New(code, "response metadata: "+own.Reason)}
}

// closeError returns the error that a CLOSE carries.
func closeError(h *frame.Header, sec *frame.Sections) (*status.Error, error) {
	msg, details := "", []status.Detail(nil)
	if h.Flags.Has(frame.FlagDetail) {
		var err error
		if msg, details, err = frame.ParseDetail(sec.Detail); err != nil {
			return nil, err
		}
	}
	e := status.New(status.Code(h.Code), msg)
	if len(details) > 0 {
		e = e.WithRawDetails(details...)
	}
	if h.Flags.Has(frame.FlagNotRun) {
		e = e.WithNotRun()
	}
	switch wait, never := frame.ArgPushBack(h.Arg); {
	case never:
		e = e.WithDoNotRetry()
	case wait > 0:
		e = e.WithRetryAfter(wait)
	}
	return e, nil
}
