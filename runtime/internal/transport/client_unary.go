package transport

import (
	"context"
	"fmt"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/codec"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// Unary is a unary call: what the caller asks, and what came of it.
type Unary struct {
	Method *call.Method
	Req    any
	// Deadline is when the caller stops waiting; zero if never. The context's
	// own deadline is included.
	Deadline time.Time
	// Timed says that the context is not done at the deadline by itself.
	Timed bool
	// Class is stated to the server.
	Class call.Class
	// Routed says that the call has a route key, Route is its hash.
	Routed bool
	Route  uint64
	// Metadata is sent with the request.
	Metadata metadata.MD

	// What the end of the call touches lies together: with many callers none of
	// it is in a cache then.

	// Header and Trailer are the response's, set when the call has ended.
	Header, Trailer metadata.MD
	// Peer is where the call was sent, nil if nowhere.
	Peer *call.Peer
	// Sent and Received count message bytes.
	Sent, Received int
	// Res is what the answer is decoded into.
	Res any

	pending pending
}

// Reset makes u what a new Unary is, but for what it can use again. No call may
// be under way with it.
func (u *Unary) Reset() {
	done, timer := u.pending.done, u.pending.timer
	*u = Unary{} // in place: it is too large to be made elsewhere and copied
	u.pending.done, u.pending.timer = done, timer
}

// Unary makes a unary call and waits for its end.
func (c *Client) Unary(ctx context.Context, u *Unary) *status.Error {
	if answered := c.StartUnary(ctx, u); answered != nil {
		<-answered
	}
	return c.FinishUnary(ctx, u)
}

// StartUnary is the first half of Unary: it sends the call. Its caller receives from
// answered, unless that is nil, and calls FinishUnary then. So it waits with few frames
// on its stack.
func (c *Client) StartUnary(ctx context.Context, u *Unary) (answered <-chan struct{}) {
	p := &u.pending
	p.phase = status.PhaseSend
	if ctx.Err() != nil || u.Timed && !time.Now().Before(u.Deadline) {
		p.cause = u.late()
		return nil
	}
	u.Peer = &c.peerInfo
	if p.done == nil {
		p.done = make(chan struct{}, 1)
	}
	late := p.startTimer(u)
	err := c.sendUnary(ctx, p, u, late)
	if err != nil {
		p.cause = err
		if p.id != 0 && !c.giveUp(ctx, p, err) {
			<-p.done
		}
	} else {
		p.phase = status.PhaseHandler
		c.readAlone(p, u.Deadline)
		done := ctx.Done()
		if done == nil && late == nil {
			return p.done
		}
		p.cause = c.await(ctx, p, done, late)
	}
	if late != nil {
		p.timer.Stop()
	}
	return nil
}

// FinishUnary returns how the call that StartUnary sent has ended.
func (c *Client) FinishUnary(ctx context.Context, u *Unary) *status.Error {
	p := &u.pending
	defer func() {
		if p.id != 0 {
			c.ended()
		}
		p.reset()
	}()
	return c.outcome(ctx, p, u, p.cause, p.phase)
}

// earlyMessage is the largest message that is sent before the peer has said
// what it accepts: with its metadata it is within what every peer accepts.
const earlyMessage = 32 << 10

// ready waits until the peer has said what it accepts, unless the method may
// be sent twice without harm and req is small and in the codec that everybody
// accepts: those are sent before that is known.
func (c *Client) ready(ctx context.Context, m *call.Method, req any, late <-chan time.Time) error {
	if c.settled.happened() {
		return c.understood()
	}
	if m.Kind() == call.KindUnary && m.Idempotency().SafeToRepeat() && c.cfg.Codec.ID() == codec.ProtoID {
		if size, err := codec.Size(c.cfg.Codec, req); err != nil || size <= earlyMessage {
			return err
		}
	}
	select {
	case <-c.settled.done():
		return c.understood()
	case <-c.dead.done():
		return c.Err()
	case <-ctx.Done():
		return errCanceled
	case <-late:
		return errLate
	}
}

// understood returns an error if the peer does not accept calls in c's codec.
func (c *Client) understood() error {
	if in := c.cfg.Codec; !c.peer().AcceptsCodec(uint8(in.ID())) {
		return status.New(status.Unimplemented, fmt.Sprintf("codec %d (%s) is not accepted by the server (its option WithCodec)", in.ID(), in.Name()))
	}
	return nil
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

// sendUnary sends the request. If it fails, p.id tells whether the peer may have
// heard of the call.
func (c *Client) sendUnary(ctx context.Context, p *pending, u *Unary, late <-chan time.Time) error {
	if err := c.ready(ctx, u.Method, u.Req, late); err != nil {
		return err
	}
	var m message
	if err := m.prepare(&c.link, c.cfg.Codec, u.Req); err != nil {
		return err
	}
	u.Sent = m.size
	o := opening{method: u.Method, deadline: u.Deadline, metadata: u.Metadata, class: classOf(u.Class), route: u.Route, routed: u.Routed}
	return c.openSingle(p, &o, &m, ctx.Done(), late)
}

// await waits until the reader has filled in p's result, or the call is to be given
// up: done is ctx's.
func (c *Client) await(ctx context.Context, p *pending, done <-chan struct{}, late <-chan time.Time) error {
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
	case errCanceled, errLate, errCanceledInQueue, errLateInQueue:
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
	if err := c.decode(c.cfg.Codec, r.compression, r.msg, true, u.Res); err != nil {
		return undecodable(err, status.Internal, "answer")
	}
	return nil
}
