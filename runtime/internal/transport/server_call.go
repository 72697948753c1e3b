package transport

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/dispatch"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// serverCall is one call that arrived on a connection. It implements
// dispatch.Wire.
type serverCall struct {
	dispatch.Call
	s      *Server
	id     frame.StreamID
	stream *stream // nil for unary calls
	extra  *callExtra
	msg    []byte // the single request, in its own buffer unless the handler runs inline

	received    uint32
	used        atomic.Bool // msg is being decoded, or the call is over
	codec       uint8       // of all its messages
	compression uint8
	own         bool // nobody else uses msg
	closed      bool // the caller has half-closed; of the reading goroutine
	freed       bool // the slot is free again
	// headerSent is set when the headers went out with a part of the answer.
	headerSent bool
	inline     bool // the handler runs on the reading goroutine
}

// callExtra is what most unary calls do without. Who does not stream and has sent
// neither metadata nor a large request has none of it.
type callExtra struct {
	// asm is the single request if it comes in parts.
	asm *assembly
	// head is the caller's metadata, nil if there is none.
	head   *requestHead
	single *message // the single answer of a client-streaming call, encoded
}

// asm returns the single request if it comes in parts, or nil.
func (c *serverCall) asm() *assembly {
	if c.extra == nil {
		return nil
	}
	return c.extra.asm
}

// requestHead is metadata that is decoded when it is first asked for.
type requestHead struct {
	block []byte
	once  sync.Once
	md    metadata.MD
}

func (s *Server) newCall(h *frame.Header, sec *frame.Sections, m *dispatch.Method, timeout time.Duration) *serverCall {
	c := &serverCall{s: s, id: h.ID, codec: h.Codec, closed: h.Flags.Has(frame.FlagHalfClose)}
	s.flood.progressed()
	c.Init(s.callOrigin(), m, c, s.r.now, timeout)
	c.SetClass(call.Class{Priority: h.Class.Priority(), Lane: h.Class.Lane(), Attempt: h.Class.Attempt()})
	if len(sec.Headers) > 0 || m.Unary == nil || h.Flags.Has(frame.FlagMore) {
		c.extra = new(callExtra)
	}
	if len(sec.Headers) > 0 {
		c.extra.head = &requestHead{block: append([]byte(nil), sec.Headers...)}
	}
	if m.Unary == nil {
		c.stream = new(stream)
		c.stream.init(&s.link, s, h.ID, h.Codec)
		c.stream.takeHeader = c.TakeHeader
		c.stream.badMessage = status.InvalidArgument
	} else {
		s.unary.came(s.received.Load())
	}
	if h.Flags.Has(frame.FlagMore) {
		c.extra.asm = s.assemble(s, h.ID)
	}
	s.running.Add(1)
	s.unfinished.Add(1)
	s.calls.put(h.ID, c)
	return c
}

// originAge is for how long calls share an origin. Their deadlines are computed from
// what the clock said when it was made, and the clock may be set.
const originAge = time.Minute

// callOrigin returns the origin of a call that has come with the last read.
func (s *Server) callOrigin() *dispatch.Origin {
	if s.origin == nil || s.r.now.Sub(s.origin.Since) > originAge {
		s.origin = &dispatch.Origin{Base: s.base, Peer: s.remotePeer, Since: s.r.now}
	}
	return s.origin
}

// start dispatches the call if its single request is there or its caller
// streams; otherwise the rest of the request is still to come.
func (c *serverCall) start(h *frame.Header, sec *frame.Sections) error {
	switch {
	case h.Flags.Has(frame.FlagMore):
		_, err := c.asm().add(h, sec, c.s.r)
		return c.partial(err)
	case c.stream == nil:
		c.compression = h.Compression
		c.request(sec.Message)
	case h.Flags.Has(frame.FlagMessage):
		if err := c.stream.push(h, sec); err != nil {
			return err
		}
	}
	if c.closed && c.stream != nil {
		c.stream.finish(io.EOF)
	}
	c.dispatch()
	return nil
}

// request keeps the single request of a unary call. A handler that runs on
// this goroutine reads it where it lies.
func (c *serverCall) request(msg []byte) {
	c.received = uint32(len(msg))
	c.inline = c.Method().Handler.Method.NonBlocking()
	if c.inline {
		c.msg = msg
		return
	}
	c.msg, c.own = append(make([]byte, 0, len(msg)), msg...), true
}

// part takes in a part of a single request.
func (c *serverCall) part(h *frame.Header, sec *frame.Sections) error {
	if err := c.s.checkFormat(h, c.codec, true, status.Unimplemented); err != nil {
		return err
	}
	if more := h.Flags.Has(frame.FlagMore); more == c.closed {
		return protocolErrorf("stream %d: HALF_CLOSE is %v on a part of a single request of which more is %v", c.id, c.closed, more)
	}
	complete, err := c.asm().add(h, sec, c.s.r)
	if err != nil || !complete {
		return c.partial(err)
	}
	msg, compression := c.asm().take()
	if c.stream == nil {
		c.received, c.msg, c.compression, c.own = uint32(len(msg)), msg, compression, true
	} else {
		c.stream.deliver(item{data: msg, compression: compression, asm: c.asm()})
		c.stream.finish(io.EOF)
	}
	c.dispatch()
	return nil
}

// partial ends the call if its request, which is not complete, was given up with
// err, and otherwise returns err.
func (c *serverCall) partial(err error) error {
	over := breachOf(err)
	if over == nil {
		return err
	}
	if c.s.calls.take(c.id) == nil {
		return nil
	}
	return c.exhausted(over, c.s.w.lockControl)
}

// exhausted ends the call, which has been taken out of the table, because a
// message of it was given up for want of memory.
func (c *serverCall) exhausted(err *status.Error, lock func() error) error {
	e := err
	if c.asm() != nil {
		e = err.WithNotRun() // it was the request
	}
	if err := lock(); err != nil {
		c.gone(context.Canceled)
		return err
	}
	c.s.w.buf = appendClose(c.s.w.buf, c.id, c.TakeHeader(), nil, e)
	c.s.w.unlockAsync()
	c.Cancel(context.Canceled)
	if c.stream != nil {
		c.stream.abort(e)
	}
	c.undispatched()
	return nil
}

// exhausted ends the call of a message that was given up for want of memory.
func (s *Server) exhausted(id frame.StreamID, err *status.Error) {
	if c := s.calls.take(id); c != nil {
		_ = c.exhausted(err, s.w.lock) // it fails if the connection is over
	}
}

func (c *serverCall) dispatch() {
	s := c.s
	s.inline = s.inline || c.inline // its end is flushed with the batch, a refusal, too
	if !s.d.Admit(&c.Call) {
		return
	}
	if c.inline {
		s.d.Run(&c.Call)
		return
	}
	if s.queue == nil {
		s.queue = s.d.NewQueue()
	}
	s.queue.Push(&c.Call)
}

// message takes in a message of a caller that streams, or its half-close.
func (c *serverCall) message(h *frame.Header, sec *frame.Sections) error {
	if h.Flags.Has(frame.FlagMessage) {
		err := c.stream.admit(h, sec, status.Unimplemented)
		if connectionBreach(err) != nil {
			return err
		}
		if err != nil {
			if err := c.stop(breachOf(err)); err != nil {
				return err
			}
			return c.s.late(h)
		}
		err = c.stream.push(h, sec)
		if over := breachOf(err); over != nil {
			return c.stop(over)
		}
		if err != nil {
			return err
		}
	}
	if c.closed {
		if c.stream.assembling() {
			return protocolErrorf("HALF_CLOSE within a message of stream %d", c.id)
		}
		c.stream.finish(io.EOF)
	}
	return nil
}

// stop ends a call whose handler runs, because of a message of its stream.
func (c *serverCall) stop(err *status.Error) error {
	if c.s.calls.take(c.id) != nil {
		if e := c.s.w.lockControl(); e != nil {
			return e
		}
		c.s.w.buf = appendClose(c.s.w.buf, c.id, c.TakeHeader(), nil, err)
		c.s.w.unlockAsync()
		c.stream.abort(err)
		c.Cancel(context.Canceled)
	}
	return nil
}

// canceled handles the caller's CANCEL.
func (c *serverCall) canceled(code status.Code) {
	if code == status.DeadlineExceeded {
		c.gone(context.DeadlineExceeded)
	} else {
		c.gone(context.Canceled)
	}
}

// gone ends the call without an answer: nobody waits for it. The handler may
// still run; one whose request never became complete never will.
func (c *serverCall) gone(err error) {
	c.Cancel(err)
	if c.stream != nil {
		c.stream.abort(status.FromError(err))
	}
	c.undispatched()
}

// undispatched ends a call whose request has not become complete, so that its
// handler never runs.
func (c *serverCall) undispatched() {
	if c.asm().cancel() {
		c.returned()
		c.finished()
	}
}

// returned frees the call's slot, once: its handler has returned, and its end is
// about to be queued, so that a caller who has seen it finds the slot free.
func (c *serverCall) returned() {
	if !c.freed {
		c.freed = true
		c.s.running.Add(-1)
	}
}

// finished says that nothing more is sent for the call.
func (c *serverCall) finished() {
	if c.s.unfinished.Add(-1) > 0 {
		return
	}
	if allDone := c.s.allDone.Load(); allDone != nil {
		select {
		case *allDone <- struct{}{}:
		default:
		}
	}
}

// DecodeRequest implements dispatch.Wire.
func (c *serverCall) DecodeRequest(msg any) error {
	if c.stream != nil {
		return c.stream.recv(msg)
	}
	if c.used.Swap(true) {
		return errUsed()
	}
	err := c.s.decode(c.s.codec(c.codec), c.compression, c.msg, c.own, msg)
	c.msg = nil
	c.asm().release()
	if err != nil {
		return undecodable(err, status.InvalidArgument, "request")
	}
	return nil
}

// errUsed is not inlined, so that the frame of DecodeRequest stays small.
//
//go:noinline
func errUsed() error {
	return status.New(status.Internal, "the call is over, or its request has been decoded")
}

// RequestHeader implements dispatch.Wire.
func (c *serverCall) RequestHeader() metadata.MD {
	if c.extra == nil || c.extra.head == nil {
		return nil
	}
	head := c.extra.head
	head.once.Do(func() {
		head.md, _ = frame.ParseMetadata(head.block) // it has been checked
		head.block = nil
	})
	return head.md
}

// Send implements call.ServerStream.
func (c *serverCall) Send(msg any) error {
	if c.stream == nil || !c.Method().Kind().CalleeStreams() {
		return c.answer(msg)
	}
	err := c.stream.send(msg)
	if err == io.EOF {
		if err := c.Err(); err != nil {
			return status.FromError(err)
		}
		return status.New(status.Unavailable, "the connection is gone")
	}
	return err
}

// answer keeps the single answer until the call ends.
func (c *serverCall) answer(msg any) error {
	m := new(message)
	err := m.prepare(&c.s.link, c.s.codec(c.codec), msg)
	if err == nil {
		err = m.encode() // it may be changed once this returns
	}
	if err == nil {
		c.extra.single = m
	}
	return err
}

// Recv implements call.ServerStream.
func (c *serverCall) Recv(msg any) error { return c.stream.recv(msg) }

var _ dispatch.Wire = (*serverCall)(nil)

// SendHeader implements dispatch.Wire.
func (c *serverCall) SendHeader() error {
	if err := c.s.w.lockFor(0, nil, nil); err != nil {
		return unavailable(err, false)
	}
	if md, unsent := c.TakeUnsent(); unsent {
		appendHeaders(&c.s.w, c.id, md)
	}
	c.s.w.unlockAsync()
	return nil
}

// appendHeaders appends a DATA frame that carries response headers.
func appendHeaders(w *writer, id frame.StreamID, md metadata.MD) {
	mark := len(w.buf)
	h := frame.Header{Type: frame.TypeData, Flags: frame.FlagHeaders, ID: id}
	w.buf = frame.AppendMetadata(h.Append(w.buf), md)
	h.Length = uint32(len(w.buf) - mark - frame.HeaderSize)
	h.Put(w.buf[mark:])
}
