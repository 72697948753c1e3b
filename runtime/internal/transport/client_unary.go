package transport

import (
	"context"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/codec"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// Unary is a unary call: what the caller asks, and what came of it.
type Unary struct {
	Method   *call.Method
	Req, Res any
	// Deadline is when the caller stops waiting; zero if never. The context's
	// own deadline is included.
	Deadline time.Time
	// Timed says that the context is not done at the deadline by itself.
	Timed bool
	// Metadata is sent with the request.
	Metadata metadata.MD

	// Header and Trailer are the response's, set when the call has ended.
	Header, Trailer metadata.MD
	// Sent and Received count message bytes.
	Sent, Received int
}

// Unary makes a unary call and waits for its end.
func (c *Client) Unary(ctx context.Context, u *Unary) *status.Error {
	if ctx.Err() != nil || u.Timed && !time.Now().Before(u.Deadline) {
		return ended(ctx, u.late(), status.PhaseSend).WithNotRun()
	}
	size, err := codec.Size(c.cfg.Codec, u.Req)
	if err != nil {
		return status.FromError(err).WithNotRun()
	}
	p := c.newPending()
	late := p.startTimer(u)
	phase := status.PhaseSend
	err = c.ready(ctx, u.Method, size, late)
	if err == nil {
		err = c.openUnary(ctx, p, u, size, late)
	}
	if err == nil {
		phase = status.PhaseHandler
		err = c.await(ctx, p, late)
	} else if p.id != 0 && !c.giveUp(ctx, p, err) {
		<-p.done
	}
	p.stopTimer(u)
	result := c.outcome(ctx, p, u, err, phase)
	if p.id != 0 {
		c.ended()
	}
	p.id = 0
	c.recycle(p)
	return result
}

// earlyMessage is the largest message that is sent before the peer has said
// what it accepts: with its metadata it is within what every peer accepts.
const earlyMessage = 32 << 10

// ready waits until the peer has said what it accepts, unless the method may
// be sent twice without harm: those are sent before that is known.
func (c *Client) ready(ctx context.Context, m *call.Method, size int, late <-chan time.Time) error {
	select {
	case <-c.settled:
		return nil
	default:
	}
	if m.Kind() == call.KindUnary && m.Idempotency().SafeToRepeat() && size <= earlyMessage {
		return nil
	}
	select {
	case <-c.settled:
		return nil
	case <-c.dead:
		return c.Err()
	case <-ctx.Done():
		return errCanceled
	case <-late:
		return errLate
	}
}

// late returns what ends a call that must not start any more.
func (u *Unary) late() error {
	if u.Timed && !time.Now().Before(u.Deadline) {
		return errLate
	}
	return errCanceled
}

func (p *pending) startTimer(u *Unary) <-chan time.Time {
	if !u.Timed {
		return nil
	}
	left := time.Until(u.Deadline)
	if p.timer == nil {
		p.timer = time.NewTimer(left)
	} else {
		p.timer.Reset(left)
	}
	return p.timer.C
}

func (p *pending) stopTimer(u *Unary) {
	if u.Timed {
		p.timer.Stop()
	}
}

// openUnary sends the request. If it fails, p.id tells whether the peer may
// have heard of the call.
func (c *Client) openUnary(ctx context.Context, p *pending, u *Unary, size int, late <-chan time.Time) error {
	if err := c.checkSize(size); err != nil {
		return err
	}
	u.Sent = size
	o := opening{method: u.Method, deadline: u.Deadline, metadata: u.Metadata}
	if o.room(size) > int(c.peer().MaxFrame) {
		return c.openLarge(ctx, p, u, &o, size, late)
	}
	if err := c.reserveSlot(frame.HeaderSize+size, ctx.Done(), late); err != nil {
		return err
	}
	w := &c.w
	mark, defined := len(w.buf), c.defined
	h := o.header(c)
	h.Flags |= frame.FlagMessage | frame.FlagHalfClose
	w.buf = o.append(c, h.Append(w.buf), &h)
	buf, err := codec.Append(c.cfg.Codec, w.buf, u.Req, size)
	if err != nil {
		w.buf = w.buf[:mark]
		o.undefine(c, defined)
		w.unlockAsync()
		c.ended()
		return err
	}
	w.buf = buf
	h.Length = uint32(len(w.buf) - mark - frame.HeaderSize)
	h.Put(w.buf[mark:])
	c.openedLocked(p, h.ID)
	w.unlockLead(c.inFlight.Load() > 1)
	return nil
}

// openLarge sends a request that does not fit one frame, part by part.
func (c *Client) openLarge(ctx context.Context, p *pending, u *Unary, o *opening, size int, late <-chan time.Time) error {
	data, err := codec.Append(c.cfg.Codec, make([]byte, 0, size), u.Req, size)
	if err != nil {
		return err
	}
	if err := c.reserveSlot(int(c.peer().MaxFrame), ctx.Done(), late); err != nil {
		return err
	}
	w := &c.w
	mark := len(w.buf)
	h := o.header(c)
	h.Flags |= frame.FlagMessage | frame.FlagMore | frame.FlagTotal
	w.buf = frame.AppendTotal(o.append(c, h.Append(w.buf), &h), uint32(size))
	// At least one byte is left for the frame that half-closes.
	part := data[:min(size-1, int(c.peer().MaxFrame)-(len(w.buf)-mark-frame.HeaderSize))]
	w.buf = append(w.buf, part...)
	h.Length = uint32(len(w.buf) - mark - frame.HeaderSize)
	h.Put(w.buf[mark:])
	c.openedLocked(p, h.ID)
	w.unlockAsync()
	return c.sendRest(p.id, data[len(part):], ctx.Done(), late)
}

// sendRest sends the rest of a single message in DATA frames, the last of which
// half-closes.
func (c *Client) sendRest(id frame.StreamID, rest []byte, done <-chan struct{}, late <-chan time.Time) error {
	for len(rest) > 0 {
		part := rest[:min(len(rest), int(c.peer().MaxFrame))]
		rest = rest[len(part):]
		h := frame.Header{Type: frame.TypeData, Flags: frame.FlagMessage | frame.FlagMore, ID: id, Length: uint32(len(part))}
		if len(rest) == 0 {
			h.Flags ^= frame.FlagMore | frame.FlagHalfClose
		}
		if err := c.w.lockFor(frame.HeaderSize+len(part), done, late); err != nil {
			return err
		}
		if c.calls.get(id) == nil { // it has ended already
			c.w.unlockAsync()
			return nil
		}
		c.w.buf = append(h.Append(c.w.buf), part...)
		c.w.unlockAsync()
	}
	return nil
}

// await waits until the reader has filled in p's result.
func (c *Client) await(ctx context.Context, p *pending, late <-chan time.Time) error {
	done := ctx.Done()
	if done == nil && late == nil {
		<-p.done
		return nil
	}
	var err error
	select {
	case <-p.done:
		return nil
	case <-done:
		err = errCanceled
	case <-late:
		err = errLate
	}
	if c.giveUp(ctx, p, err) {
		return err
	}
	<-p.done // the answer came first
	return nil
}

// giveUp takes p back from the reader and tells the peer. It returns false if
// the reader was faster and signals p.done.
func (c *Client) giveUp(ctx context.Context, p *pending, cause error) bool {
	if c.calls.take(p.id) == nil {
		return false
	}
	c.cancelFrame(p.id, ended(ctx, cause, 0).Code())
	return true
}

// outcome turns what happened into the call's result.
func (c *Client) outcome(ctx context.Context, p *pending, u *Unary, err error, phase status.Phase) *status.Error {
	switch err {
	case nil:
	case errCanceled, errLate:
		e := ended(ctx, err, phase)
		if p.id == 0 {
			e = e.WithNotRun()
		}
		return e
	default:
		if p.id != 0 && p.result.err != nil {
			return p.result.err
		}
		e, ok := err.(*status.Error)
		if !ok {
			return unavailable(err, p.id == 0)
		}
		if p.id == 0 {
			e = e.WithNotRun()
		}
		return e
	}
	r := &p.result
	u.Header, u.Trailer, u.Received = r.headers, r.trailers, len(r.msg)
	if r.err != nil {
		if r.err.Code() == status.DeadlineExceeded {
			return r.err.WithPhase(status.PhaseHandler)
		}
		return r.err
	}
	if err := codec.Decode(c.cfg.Codec, r.msg, u.Res); err != nil {
		return status.New(status.Internal, "answer: "+err.Error()).WithCause(err)
	}
	return nil
}
