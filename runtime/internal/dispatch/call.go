package dispatch

import (
	"context"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// Wire is what a protocol's connection provides for one incoming call. The
// dispatcher calls it from the goroutine that runs the call, except that
// streams may be used by two goroutines as call.ServerStream says.
type Wire interface {
	call.ServerStream
	// DecodeRequest fills msg with the single request of a unary call.
	DecodeRequest(msg any) error
	// RequestHeader returns the caller's metadata, which it may decode on first use.
	RequestHeader() metadata.MD
	// SendHeader sends the response headers, which it takes by TakeUnsent, ahead of
	// the first message.
	SendHeader() error
	// Finish ends the call, once: with res (nil for calls whose callee streams
	// or whose response went through Send) if err is nil, else with err. It
	// returns the error with which the call ended in the caller's eyes, and how
	// many bytes of messages were sent and received.
	Finish(res any, err *status.Error, header, trailer metadata.MD) (end *status.Error, sent, received int)
}

// Call is one incoming call. It is the context of its handler. Connections
// make one per call, fill it by Init, and never use it again.
type Call struct {
	lazyContext
	method *Method
	wire   Wire

	// meta and headerSent are guarded by mu.
	meta       *responseMeta
	headerSent bool
	class      call.Class // beside a bool, where it takes no room
}

// Origin is what calls that come the same way, such as over one connection, have
// in common. It does not change.
type Origin struct {
	// Base is the root of the handlers' contexts.
	Base context.Context
	// Peer is the caller.
	Peer *call.Peer
	// Since is before the first of the calls: their times are counted from there.
	Since time.Time
}

// responseMeta is the response's metadata: written by the handler, read at its end.
type responseMeta struct{ header, trailer metadata.MD }

// Init fills c for a call of m that arrived at start. A zero timeout means that
// the caller set none.
func (c *Call) Init(o *Origin, m *Method, w Wire, start time.Time, timeout time.Duration) {
	c.origin, c.method, c.wire, c.start, c.timeout = o, m, w, start.Sub(o.Since), timeout
}

// SetClass sets what the caller states of the call's importance, before the call
// is admitted. The default is nothing.
func (c *Call) SetClass(class call.Class) { c.class = class }

// Class returns what the caller states of the call's importance. It is not to be
// trusted.
func (c *Call) Class() call.Class { return c.class }

// Method returns the table's entry for the method that is called.
func (c *Call) Method() *Method { return c.method }

// Cancel makes the call's context done: the caller has given up, or the
// connection is gone. err is context.DeadlineExceeded or counts as
// context.Canceled.
func (c *Call) Cancel(err error) {
	why := canceled
	if err == context.DeadlineExceeded {
		why = expired
	}
	c.cancel(why)
}

// Value answers for the call's own keys and otherwise asks the server's base context.
func (c *Call) Value(key any) any {
	switch key {
	case call.ResponseKey:
		return call.ResponseMetadata(c)
	case call.PeerKey:
		return c.origin.Peer
	case call.MethodKey:
		return c.method.Handler.Method
	}
	if key == incomingKey {
		return metadata.IncomingSource(c)
	}
	return c.origin.Base.Value(key)
}

var incomingKey = metadata.IncomingKey()

// IncomingMetadata returns the caller's metadata, for metadata.FromIncomingContext.
func (c *Call) IncomingMetadata() (metadata.MD, bool) { return c.wire.RequestHeader(), true }

// SetHeader implements call.ResponseMetadata.
func (c *Call) SetHeader(md metadata.MD) error { return c.addHeader(md, false) }

// SendHeader implements call.ResponseMetadata.
func (c *Call) SendHeader(md metadata.MD) error { return c.addHeader(md, true) }

// SetTrailer implements call.ResponseMetadata.
func (c *Call) SetTrailer(md metadata.MD) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	meta := c.metaLocked()
	all, err := joined(meta.trailer, md)
	if err == nil {
		meta.trailer = all
	}
	return err
}

func (c *Call) addHeader(md metadata.MD, send bool) error {
	if err := c.keepHeader(md); err != nil || !send {
		return err
	}
	return c.wire.SendHeader() // which takes locks under which others take headers
}

func (c *Call) keepHeader(md metadata.MD) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.headerSent {
		return status.Errorf(status.Internal, "headers of %s have been sent already", c.method.FullName())
	}
	meta := c.metaLocked()
	all, err := joined(meta.header, md)
	if err == nil {
		meta.header = all
	}
	return err
}

// metaLocked returns what metadata is written to.
func (c *Call) metaLocked() *responseMeta {
	if c.meta == nil {
		c.meta = new(responseMeta)
	}
	return c.meta
}

// setLocked returns what has been written.
func (c *Call) setLocked() responseMeta {
	if c.meta == nil {
		return responseMeta{}
	}
	return *c.meta
}

func joined(a, b metadata.MD) (metadata.MD, error) {
	all := metadata.Join(a, b)
	if err := metadata.Validate(all, metadata.DefaultMaxBytes); err != nil {
		return nil, status.Errorf(status.Internal, "response metadata: %w", err)
	}
	return all, nil
}

// ResponseHeader returns the response headers set so far.
func (c *Call) ResponseHeader() metadata.MD {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.setLocked().header
}

// takeAll returns the trailers set so far and what TakeHeader returns.
func (c *Call) takeAll() (header, trailer metadata.MD) {
	c.mu.Lock()
	defer c.mu.Unlock()
	set := c.setLocked()
	if !c.headerSent {
		c.headerSent = true
		header = set.header
	}
	return header, set.trailer
}

// ResponseTrailer returns the trailers set so far.
func (c *Call) ResponseTrailer() metadata.MD {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.setLocked().trailer
}

// TakeHeader returns the response headers for the frame that carries them and
// marks them as sent; nil if there are none or they have been sent.
func (c *Call) TakeHeader() metadata.MD {
	md, _ := c.TakeUnsent()
	return md
}

// TakeUnsent is TakeHeader for a frame that carries headers even if there are
// none: it reports whether they have not been sent yet.
func (c *Call) TakeUnsent() (md metadata.MD, unsent bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.headerSent {
		return nil, false
	}
	c.headerSent = true
	return c.setLocked().header, true
}
