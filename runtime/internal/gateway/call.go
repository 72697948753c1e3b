package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/codec"
	"github.com/rpcx-go/rpcx/runtime/internal/dispatch"
	"github.com/rpcx-go/rpcx/runtime/internal/httpform"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// httpCall is one call that arrived over HTTP. It implements dispatch.Wire.
type httpCall struct {
	dispatch.Call
	g      *Gateway
	method *dispatch.Method
	peer   call.Peer
	origin dispatch.Origin
	x      *exchange
	stream connect.ServerStream
	info   *connect.CallInfo
	md     metadata.MD

	// over is set when the call has ended: what the handler has left running may
	// not touch the stream any more. sending and receiving are held by those who do.
	over               atomic.Bool
	sending, receiving sync.Mutex

	watching sync.WaitGroup // over the context of the request

	single   httpform.Encoded // the single answer of a client-streaming call
	sent     atomic.Int64     // bytes of messages
	received atomic.Int64
	result   error
}

// serve answers a call of m.
func (g *Gateway) serve(ctx context.Context, m *dispatch.Method, stream connect.ServerStream) error {
	x := ctx.Value(exchangeKey{}).(*exchange)
	info, _ := connect.CallInfoForServerContext(ctx)
	c := &httpCall{g: g, method: m, x: x, stream: stream, info: info, peer: x.conn.Peer}
	c.peer.Protocol = info.Protocol
	if refusal := c.refusal(); refusal != nil {
		return c.fail(refusal.WithNotRun())
	}
	start := time.Now()
	timeout := time.Duration(0)
	if deadline, ok := ctx.Deadline(); ok {
		timeout = max(deadline.Sub(start), 1)
	}
	c.origin = dispatch.Origin{Base: g.cfg.Base, Peer: &c.peer, Since: start}
	c.Init(&c.origin, m, c, start, timeout)
	// The connection is lost, or the time is over.
	c.watching.Add(1)
	stop := context.AfterFunc(ctx, func() {
		defer c.watching.Done()
		c.Cancel(why(ctx))
		if !c.over.Load() {
			c.interrupt()
		}
	})
	defer func() {
		if !stop() {
			c.watching.Wait() // the request's writer is somebody else's afterwards
		}
	}()
	if g.cfg.Dispatcher.Admit(&c.Call) {
		g.cfg.Dispatcher.Run(&c.Call)
	}
	return c.result
}

// why returns why ctx is done. A client whose time is over closes the connection,
// and that may be seen first.
func why(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

// refusal says why the call is not let in, if it is not: before anything is
// decoded, or known to those who decide who may call.
func (c *httpCall) refusal() (err *status.Error) {
	if c.md, err = requestMetadata(c.info.RequestHeader(), c.g.cfg.MaxMetadata); err != nil {
		return err
	}
	class, bad := httpform.ClassOf(c.info.RequestHeader())
	if bad != nil {
		return status.New(status.InvalidArgument, bad.Error())
	}
	c.SetClass(class)
	if n, limit := c.x.size(), c.g.cfg.MaxMessage; n > int64(limit) {
		return status.New(status.ResourceExhausted, fmt.Sprintf("received message of %d bytes is above the limit of %d (option WithMaxMessageSize)", n, limit)).WithDoNotRetry()
	}
	return nil
}

// interrupt has a Receive and a Send that wait for the client return.
func (c *httpCall) interrupt() {
	c.interruptReceive()
	if !c.sending.TryLock() {
		c.x.w.giveUp()
		return
	}
	c.sending.Unlock()
}

func (c *httpCall) interruptReceive() {
	if !c.receiving.TryLock() {
		c.x.body.giveUp()
		return
	}
	c.receiving.Unlock()
}

// DecodeRequest implements dispatch.Wire.
func (c *httpCall) DecodeRequest(msg any) error { return c.Recv(msg) }

// RequestHeader implements dispatch.Wire.
func (c *httpCall) RequestHeader() metadata.MD { return c.md }

// Recv implements call.ServerStream.
func (c *httpCall) Recv(msg any) error {
	c.receiving.Lock()
	defer c.receiving.Unlock()
	if c.over.Load() {
		return errOver()
	}
	if err := c.Err(); err != nil {
		return status.FromError(err)
	}
	err := c.stream.Receive(msg)
	c.x.body.release()
	if err == nil {
		c.received.Add(httpform.Moved(c.info.ReceiveStats))
		return nil
	}
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	return c.receiveError(err)
}

// receiveError says in our words why nothing could be received.
func (c *httpCall) receiveError(err error) error {
	e := httpform.FromConnect(err)
	switch full, gone := c.x.body.exhausted, c.Err(); {
	case full != nil:
		return full
	case c.x.body.stalled: // which net/http takes for the client's end
		return status.New(status.DeadlineExceeded, fmt.Sprintf("nothing of the request came for %v (option WithWriteStall)", c.g.cfg.WriteStall))
	case gone != nil:
		return status.FromError(gone)
	case e.Code() == status.ResourceExhausted:
		return status.New(e.Code(), fmt.Sprintf("received message is above the limit of %d (option WithMaxMessageSize)", c.g.cfg.MaxMessage))
	case e.Code() == status.Unknown: // what was sent is not what HTTP asks for
		return status.New(status.InvalidArgument, e.Message())
	}
	return e
}

// Send implements call.ServerStream.
func (c *httpCall) Send(msg any) error {
	if !c.method.Kind().CalleeStreams() {
		return c.keep(msg)
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	if c.over.Load() {
		return errOver()
	}
	if err := c.Err(); err != nil {
		return status.FromError(err)
	}
	if err := c.addHeaders(c.TakeHeader()); err != nil {
		return err
	}
	return c.send(msg)
}

// keep keeps the single answer until the call ends; msg may be changed then.
func (c *httpCall) keep(msg any) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	if c.over.Load() {
		return errOver()
	}
	with := c.g.codecs.of(c.info.Codec)
	size, err := codec.Size(with, msg)
	if err != nil {
		return err
	}
	c.single, err = codec.Append(with, make([]byte, 0, size), msg, size)
	return err
}

// send sends a message; sending is held.
func (c *httpCall) send(msg any) error {
	if err := c.stream.Send(msg); err != nil {
		if gone := c.Err(); gone != nil {
			return status.FromError(gone)
		}
		return httpform.FromConnect(err)
	}
	c.sent.Add(httpform.Moved(c.info.SendStats))
	return nil
}

// SendHeader implements dispatch.Wire. A unary call sends them with its end: a
// failure of it has a status line of its own.
func (c *httpCall) SendHeader() error {
	c.sending.Lock()
	defer c.sending.Unlock()
	if c.over.Load() {
		return errOver()
	}
	md, unsent := c.TakeUnsent()
	if !unsent {
		return nil
	}
	if err := c.addHeaders(md); err != nil {
		return err
	}
	if err := c.stream.SendHeaders(); err != nil {
		return httpform.FromConnect(err)
	}
	return nil
}

func (c *httpCall) addHeaders(md metadata.MD) error { return addMetadata(c.info.ResponseHeader(), md) }

// Finish implements dispatch.Wire.
func (c *httpCall) Finish(res any, err *status.Error, header, trailer metadata.MD) (end *status.Error, sent, received int) {
	c.over.Store(true)
	c.sending.Lock()
	defer c.sending.Unlock()
	if !c.receiving.TryLock() { // the handler has left somebody behind who receives
		c.interruptReceive()
		c.receiving.Lock()
	}
	defer c.receiving.Unlock()
	switch gone := context.Cause(c.x.r.Context()); {
	case gone == errEvicted && err != nil:
		err = status.New(status.Unavailable, errEvicted.Error())
	case gone != nil && gone != errEvicted && err == nil:
		err = status.New(status.Canceled, "the caller had given up").WithCause(context.Canceled)
	}
	if e := c.addHeaders(header); e != nil && err == nil {
		err = status.FromError(e)
	}
	if e := addMetadata(c.info.ResponseTrailer(), trailer); e != nil && err == nil {
		err = status.FromError(e)
	}
	if err == nil {
		err = c.answer(res)
	}
	if err != nil {
		c.result = c.fail(err)
	}
	return err, int(c.sent.Load()), int(c.received.Load())
}

// answer sends the single answer if the call has one.
func (c *httpCall) answer(res any) *status.Error {
	switch {
	case c.method.Kind().CalleeStreams():
		return nil
	case c.method.Unary != nil:
		return status.FromError(c.send(res))
	case c.single == nil:
		return status.New(status.Internal, fmt.Sprintf("handler of %s sent no response", c.method.FullName()))
	}
	return status.FromError(c.send(c.single))
}

// fail returns what the client is to be told, and adds to the trailers what has
// no other place.
func (c *httpCall) fail(err *status.Error) error {
	httpform.AddAdvice(c.info.ResponseTrailer(), err)
	return httpform.ToConnect(err)
}

// errOver is what those see who use a stream after its call has ended.
func errOver() error { return status.New(status.Internal, "the call is over") }

var _ dispatch.Wire = (*httpCall)(nil)
