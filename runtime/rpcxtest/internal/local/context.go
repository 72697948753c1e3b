package local

import (
	"context"
	"sync"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// callContext is the context of a handler: done when the caller's is, when the
// timeout is over or when the handler has returned. It has nothing of the
// caller's values, since they would not travel either.
type callContext struct {
	context.Context // the handler's
	caller          context.Context
	cancelHandler   context.CancelFunc
	cancelCaller    context.CancelFunc

	method *call.Method
	header metadata.MD
	meta   response
}

func newCallContext(ctx context.Context, m *call.Method, timeout time.Duration) *callContext {
	c := &callContext{method: m, meta: response{method: m, sent: make(chan struct{})}}
	if timeout > 0 {
		c.caller, c.cancelCaller = context.WithTimeout(ctx, timeout)
	} else {
		c.caller, c.cancelCaller = context.WithCancel(ctx)
	}
	c.Context, c.cancelHandler = context.WithCancel(c.caller)
	return c
}

// release ends the context, after the call.
func (c *callContext) release() {
	c.cancelHandler()
	c.cancelCaller()
}

// ended returns the call's error if the caller has stopped waiting in the given
// phase, otherwise nil.
func (c *callContext) ended(phase status.Phase) error {
	switch c.caller.Err() {
	case nil:
		return nil
	case context.DeadlineExceeded:
		return status.New(status.DeadlineExceeded, "the deadline passed").WithPhase(phase).WithCause(context.DeadlineExceeded)
	}
	return status.New(status.Canceled, "the caller gave up").WithCause(context.Canceled)
}

// peer is the caller as handlers see it.
var peer = call.Peer{Addr: addr{}, Protocol: "local", Secure: true}

type addr struct{}

func (addr) Network() string { return "local" }
func (addr) String() string  { return "local" }

// Value answers for the call's own keys.
func (c *callContext) Value(key any) any {
	switch key {
	case call.ResponseKey:
		return call.ResponseMetadata(&c.meta)
	case call.PeerKey:
		return &peer
	case call.MethodKey:
		return c.method
	case metadata.IncomingKey():
		return c.header
	}
	return nil
}

// AfterFunc lets contexts derived from this one watch it without a goroutine,
// which package context needs since Value hides the context below.
func (c *callContext) AfterFunc(f func()) (stop func() bool) {
	return context.AfterFunc(c.Context, f)
}

// response holds the headers and trailers that a handler sets. It implements
// call.ResponseMetadata.
type response struct {
	method *call.Method
	sent   chan struct{} // closed when the headers are

	mu      sync.Mutex
	header  metadata.MD
	trailer metadata.MD
	closed  bool // sent is
}

// SetHeader implements call.ResponseMetadata.
func (r *response) SetHeader(md metadata.MD) error { return r.addHeader(md, false) }

// SendHeader implements call.ResponseMetadata.
func (r *response) SendHeader(md metadata.MD) error { return r.addHeader(md, true) }

// SetTrailer implements call.ResponseMetadata.
func (r *response) SetTrailer(md metadata.MD) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return join(&r.trailer, md)
}

func (r *response) addHeader(md metadata.MD, send bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return status.Errorf(status.Internal, "headers of %s have been sent already", r.method.FullName())
	}
	if err := join(&r.header, md); err != nil {
		return err
	}
	if send {
		r.sendLocked()
	}
	return nil
}

// join adds md to all unless the sum cannot be sent.
func join(all *metadata.MD, md metadata.MD) error {
	sum := metadata.Join(*all, md)
	if err := metadata.Validate(sum, metadata.DefaultMaxBytes); err != nil {
		return status.Errorf(status.Internal, "response metadata: %w", err)
	}
	*all = sum
	return nil
}

func (r *response) sendLocked() {
	if !r.closed {
		r.closed = true
		close(r.sent)
	}
}

// takeHeader returns the headers, which are sent from then on.
func (r *response) takeHeader() metadata.MD {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sendLocked()
	return r.header
}

func (r *response) takeTrailer() metadata.MD {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.trailer
}

// fill stores headers and trailers where the caller's options want them.
func (r *response) fill(o *call.Options) {
	if o.Header != nil {
		*o.Header = r.takeHeader()
	}
	if o.Trailer != nil {
		*o.Trailer = r.takeTrailer()
	}
}
