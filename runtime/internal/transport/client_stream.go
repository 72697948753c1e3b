package transport

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// ClientStream is the caller's side of a call that streams. It implements
// call.ClientStream.
type ClientStream struct {
	stream
	c      *Client
	p      pending
	ctx    context.Context
	method *call.Method
	// stop takes back the watch over ctx.
	stop func() bool
	// timer ends the call at its deadline, if the context does not.
	timer *time.Timer
	// onEnd, if not nil, is called once when the call has ended.
	onEnd func(err *status.Error, sent, received int)

	// sendClosed is set by CloseSend; of the sending goroutine.
	sendClosed bool

	// head is closed when the headers are there, or will never be.
	head     chan struct{}
	headOnce sync.Once

	metaMu   sync.Mutex
	headers  metadata.MD
	trailers metadata.MD
}

// StreamCall is what is asked for when a stream is opened.
type StreamCall struct {
	Method   *call.Method
	Req      any // the single request of a server-streaming method
	Metadata metadata.MD
	// Deadline is when the caller stops waiting; zero if never. Timed says that
	// the context is not done then by itself.
	Deadline time.Time
	Timed    bool
	// Class is stated to the server.
	Class call.Class
	// Route is the hash of the route key, if the call is Routed.
	Route  uint64
	Routed bool
	// OnEnd, if not nil, is called once, when the call has ended.
	OnEnd func(err *status.Error, sent, received int)
}

// Stream opens a call that streams. Its life is bounded by ctx.
func (c *Client) Stream(ctx context.Context, sc *StreamCall) (*ClientStream, *status.Error) {
	if ctx.Err() != nil {
		return nil, c.notOpened(ctx, errCanceled, true)
	}
	late, stop := sc.late()
	defer stop()
	if err := c.ready(ctx, sc.Method, nil, late); err != nil {
		return nil, c.notOpened(ctx, err, true)
	}
	s := &ClientStream{c: c, ctx: ctx, method: sc.Method, head: make(chan struct{}), onEnd: sc.OnEnd}
	s.p.stream = s
	o := opening{method: sc.Method, deadline: sc.Deadline, metadata: sc.Metadata, class: classOf(sc.Class), route: sc.Route, routed: sc.Routed}
	var err error
	if sc.Method.Kind().CallerStreams() {
		err = s.open(&o, late)
	} else {
		err = s.openWith(&o, sc.Req, late)
	}
	if err != nil {
		return nil, c.notOpened(ctx, err, s.p.id == 0)
	}
	s.stop = context.AfterFunc(ctx, func() { s.giveUp(errCanceled) })
	if sc.Timed {
		s.startTimer(time.Until(sc.Deadline))
	}
	return s, nil
}

// OpenStream is Stream for those who do not care what carries it.
func (c *Client) OpenStream(ctx context.Context, sc *StreamCall) (call.ClientStream, *status.Error) {
	s, err := c.Stream(ctx, sc)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// late returns a channel that receives at the deadline, if the context is not
// done then by itself, and a function that gives it up.
func (sc *StreamCall) late() (<-chan time.Time, func() bool) {
	if !sc.Timed {
		return nil, func() bool { return false }
	}
	t := time.NewTimer(time.Until(sc.Deadline))
	return t.C, t.Stop
}

// startTimer has the call end in time; a call that has ended meanwhile keeps
// what has arrived.
func (s *ClientStream) startTimer(left time.Duration) {
	s.metaMu.Lock()
	defer s.metaMu.Unlock()
	if s.finished() {
		return
	}
	s.timer = time.AfterFunc(left, func() {
		if s.c.calls.take(s.id) != nil {
			s.drop(errLate)
		}
	})
}

// notOpened is the error of a stream that could not be opened. notRun says that
// nothing of it was sent.
func (c *Client) notOpened(ctx context.Context, err error, notRun bool) *status.Error {
	e, ok := err.(*status.Error)
	switch {
	case err == errCanceled || err == errLate || err == errCanceledInQueue || err == errLateInQueue:
		e = ended(ctx, err, status.PhaseSend)
	case !ok:
		return unavailable(err, notRun)
	}
	if notRun {
		e = e.WithNotRun()
	}
	return e
}

// open sends OPEN; messages follow.
func (s *ClientStream) open(o *opening, late <-chan time.Time) error {
	c, w := s.c, &s.c.w
	if err := c.reserveSlot(o.room(0)+frame.HeaderSize, s.ctx.Done(), late); err != nil {
		return err
	}
	mark := len(w.buf)
	h := o.header(c)
	w.buf = o.append(c, h.Append(w.buf), &h)
	h.Length = uint32(len(w.buf) - mark - frame.HeaderSize)
	h.Put(w.buf[mark:])
	c.openedLocked(&s.p, h.ID)
	w.unlockAsync()
	return nil
}

// openWith sends OPEN with the single request.
func (s *ClientStream) openWith(o *opening, req any, late <-chan time.Time) error {
	var m message
	if err := m.prepare(&s.c.link, s.c.cfg.Codec, req); err != nil {
		return err
	}
	err := s.c.openSingle(&s.p, o, &m, s.ctx.Done(), late)
	if err != nil && s.p.id != 0 {
		s.giveUp(err)
	}
	return err
}

// giveUp ends the call from this side and tells the peer.
func (s *ClientStream) giveUp(cause error) {
	if s.c.calls.take(s.id) == nil {
		s.abort(ended(s.ctx, cause, status.PhaseHandler))
		s.openHead()
		return
	}
	s.drop(cause)
}

// drop ends the call, which has been taken out of the table, and tells the peer.
func (s *ClientStream) drop(cause error) {
	s.c.ended()
	err := ended(s.ctx, cause, status.PhaseHandler)
	s.c.cancelFrame(s.id, err.Code())
	s.over(err)
}

// over ends the stream at once with err, which the receiver is told.
func (s *ClientStream) over(err *status.Error) {
	s.abort(err)
	s.openHead()
	s.report(err)
}

// fail ends the stream because the connection did, or will not have it.
func (s *ClientStream) fail(err *status.Error) {
	// What has arrived may still be received.
	s.finish(err)
	s.leave()
	s.openHead()
	s.report(err)
}

// report says that the call has ended.
func (s *ClientStream) report(err *status.Error) {
	s.metaMu.Lock()
	if s.timer != nil {
		s.timer.Stop()
	}
	s.metaMu.Unlock()
	if s.onEnd == nil {
		return
	}
	sent, arrived := s.moved()
	s.onEnd(err, sent, arrived)
}

// data takes in a DATA frame. It is called on the reading goroutine.
func (s *ClientStream) data(h *frame.Header, sec *frame.Sections) error {
	err := s.c.headers(&s.p, h, sec)
	if over := breachOf(err); over != nil {
		s.reject(over)
		return s.c.late(h)
	} else if err != nil {
		return err
	}
	if h.Flags.Has(frame.FlagHeaders) {
		s.metaMu.Lock()
		s.headers = s.p.result.headers
		s.metaMu.Unlock()
		s.openHead()
	}
	if !h.Flags.Has(frame.FlagMessage) {
		return s.c.idle()
	}
	if credited := h.Flags.Has(frame.FlagCredited); credited != s.method.Kind().CalleeStreams() {
		return protocolErrorf("stream %d: CREDITED is %v on a message of a %v method", h.ID, credited, s.method.Kind())
	}
	if !s.method.Kind().CalleeStreams() && !h.Flags.Has(frame.FlagMore) {
		return protocolErrorf("stream %d: the single answer ends in DATA, not in CLOSE", h.ID)
	}
	s.openHead()
	err = s.admit(h, sec, status.Internal)
	if over := breachOf(err); over != nil {
		s.reject(over)
		return s.c.late(h)
	} else if err != nil {
		return err
	}
	err = s.push(h, sec)
	if over := breachOf(err); over != nil {
		s.reject(over)
		return nil
	}
	return err
}

// reject ends the call from this side because of err.
func (s *ClientStream) reject(err *status.Error) {
	if s.c.calls.take(s.id) != nil {
		s.c.ended()
		s.c.cancelFrame(s.id, err.Code())
		s.over(err)
	}
}

// closed handles CLOSE. It is called on the reading goroutine.
func (s *ClientStream) closed(h *frame.Header, sec *frame.Sections, r *result) error {
	single := !s.method.Kind().CalleeStreams()
	switch has := h.Flags.Has(frame.FlagMessage); {
	case has && !single:
		return protocolErrorf("CLOSE of stream %d has a message, but its method streams", h.ID)
	case !has && single && h.Code == 0:
		return protocolErrorf("CLOSE of stream %d is OK and has no message", h.ID)
	case !has && h.Code == 0 && s.assembling():
		return protocolErrorf("CLOSE within a message of stream %d", h.ID)
	case has:
		err := s.admit(h, sec, status.Internal)
		if err == nil {
			err = s.push(h, sec)
		}
		if connectionBreach(err) != nil {
			return err
		}
		if err != nil {
			r.err = breachOf(err)
		}
	}
	s.metaMu.Lock()
	if r.headers != nil {
		s.headers = r.headers
	}
	s.trailers = r.trailers
	s.metaMu.Unlock()
	switch {
	case r.err == nil:
		s.finish(io.EOF)
	case single: // an answer that came beside the error is none
		s.abort(r.err)
	default:
		s.finish(r.err)
	}
	s.leave()
	s.openHead()
	s.report(r.err)
	return nil
}

func (s *ClientStream) openHead() { s.headOnce.Do(func() { close(s.head) }) }

// Send implements call.ClientStream.
func (s *ClientStream) Send(msg any) error {
	if s.sendClosed {
		return status.New(status.FailedPrecondition, "Send after CloseSend")
	}
	err := s.send(msg)
	if err != nil && err != io.EOF {
		// The message cannot be sent: the call cannot go on.
		s.reject(status.FromError(err))
	}
	return err
}

// CloseSend implements call.ClientStream.
func (s *ClientStream) CloseSend() error {
	if !s.method.Kind().CallerStreams() {
		return nil
	}
	if !s.sendClosed {
		s.sendClosed = true
		_ = s.closeSend() // if it fails, Recv tells why
		return nil
	}
	if !s.method.Kind().CalleeStreams() {
		return status.New(status.FailedPrecondition, "CloseAndRecv was called before")
	}
	return nil
}

// Recv implements call.ClientStream.
func (s *ClientStream) Recv(msg any) error {
	err := s.recv(msg)
	if err != nil {
		if !s.finished() {
			s.reject(status.FromError(err)) // the message could not be decoded
		}
		s.stop()
	}
	return err
}

// Header implements call.ClientStream.
func (s *ClientStream) Header() (metadata.MD, error) {
	<-s.head
	s.mu.Lock()
	end := s.end
	s.mu.Unlock()
	s.metaMu.Lock()
	defer s.metaMu.Unlock()
	if s.headers == nil && end != nil && end != io.EOF {
		return nil, end
	}
	return s.headers, nil
}

// Trailer implements call.ClientStream.
func (s *ClientStream) Trailer() metadata.MD {
	s.metaMu.Lock()
	defer s.metaMu.Unlock()
	return s.trailers
}

// Close implements call.ClientStream.
func (s *ClientStream) Close() error {
	s.giveUp(errCanceled)
	s.stop()
	return nil
}

var _ call.ClientStream = (*ClientStream)(nil)
