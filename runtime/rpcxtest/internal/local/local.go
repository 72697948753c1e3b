// Package local runs handlers for callers in the same process: the engine of
// rpcxtest.Local. What callers and handlers see is what they would see over a
// connection; only the messages are copied instead of serialized.
package local

import (
	"context"
	"log/slog"
	"runtime/debug"

	"google.golang.org/protobuf/proto"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// Server holds handlers and runs their calls. Handlers are registered before
// the first call; calls may be made concurrently.
type Server struct {
	handlers map[string]call.Handler
}

// Register adds handlers. It panics if one of their methods is registered already.
func (s *Server) Register(handlers ...call.Handler) {
	if s.handlers == nil {
		s.handlers = make(map[string]call.Handler)
	}
	for _, h := range handlers {
		name := h.Method.FullName()
		if _, ok := s.handlers[name]; ok {
			panic("rpcxtest: method " + name + " is registered twice")
		}
		s.handlers[name] = h
	}
}

// Unary makes a unary call and returns when its handler has returned. The
// handler runs on the calling goroutine.
func (s *Server) Unary(ctx context.Context, m *call.Method, req, res any, o call.Options) error {
	in := m.NewRequest()
	if err := copyMessage(in, req); err != nil {
		return err
	}
	h, c, err := s.begin(ctx, m, &o)
	if err != nil {
		return err
	}
	defer c.release()
	out, err := c.run(func() (any, error) { return h.Unary(c, in) })
	if err == nil {
		err = copyMessage(res, out)
	}
	if c.ended(status.PhaseNone) == nil { // else nobody waits for the answer
		c.meta.fill(&o)
	}
	return err
}

// begin looks up the handler of m and makes the context of one call, which the
// caller must release.
func (s *Server) begin(ctx context.Context, m *call.Method, o *call.Options) (call.Handler, *callContext, error) {
	h, ok := s.handlers[m.FullName()]
	if !ok || (h.Unary == nil) != (m.Kind() != call.KindUnary) {
		return h, nil, status.New(status.Unimplemented, "method "+m.FullName()+" is not served here").WithNotRun()
	}
	c := newCallContext(ctx, m, o.Timeout)
	md, err := requestMetadata(c.caller, m, o)
	if err == nil {
		err = c.ended(status.PhaseSend)
	}
	if err != nil {
		c.release()
		return h, nil, status.FromError(err).WithNotRun()
	}
	c.header = md
	return h, c, nil
}

// requestMetadata collects what a caller sends: the context's metadata, that of
// the call's options and that of its credentials.
func requestMetadata(ctx context.Context, m *call.Method, o *call.Options) (metadata.MD, error) {
	outgoing, _ := metadata.FromOutgoingContext(ctx)
	var credentials metadata.MD
	if o.Credentials != nil {
		var err error
		credentials, err = o.Credentials.Metadata(ctx, m)
		if status.CodeOf(err) == status.Unknown {
			err = status.Errorf(status.Unauthenticated, "credentials: %w", err)
		}
		if err != nil {
			return nil, err
		}
	}
	md := metadata.Join(outgoing, o.Metadata, credentials)
	if err := metadata.Validate(md, metadata.DefaultMaxBytes); err != nil {
		return nil, status.New(status.InvalidArgument, err.Error())
	}
	return md, nil
}

// run runs a handler and returns the call's result as its caller sees it: the
// handler's, unless the caller has stopped waiting meanwhile.
func (c *callContext) run(handler func() (any, error)) (res any, err error) {
	defer func() {
		if r := recover(); r != nil {
			slog.Error("handler panicked", "method", c.method.FullName(), "panic", r, "stack", string(debug.Stack()))
			res, err = nil, status.New(status.Internal, "the handler panicked")
		}
	}()
	res, err = handler()
	if late := c.ended(status.PhaseHandler); late != nil {
		return nil, late
	}
	if e := onWire(err); e != nil {
		return nil, e
	}
	return res, nil
}

// onWire returns what a connection would carry of a handler's error: no cause, no
// phase, and not that the handler did not run.
func onWire(err error) *status.Error {
	e := status.FromError(err)
	if e == nil {
		return nil
	}
	s := status.New(e.Code(), e.Message())
	if details := e.Details(); len(details) > 0 {
		s = s.WithRawDetails(details...)
	}
	if d, ok := e.RetryAfter(); ok {
		s = s.WithRetryAfter(d)
	}
	if e.DoNotRetry() {
		s = s.WithDoNotRetry()
	}
	return s
}

// copyMessage makes dst a deep copy of src. It fails as serializing would: if
// one of them is no message, they are of different types, or a required field
// is missing.
func copyMessage(dst, src any) error {
	to, ok := dst.(proto.Message)
	if !ok {
		return status.Errorf(status.Internal, "%T is not a protobuf message", dst)
	}
	from, ok := src.(proto.Message)
	if !ok {
		return status.Errorf(status.Internal, "%T is not a protobuf message", src)
	}
	if want, got := to.ProtoReflect().Descriptor(), from.ProtoReflect().Descriptor(); want != got {
		return status.Errorf(status.Internal, "message is a %s where a %s belongs", got.FullName(), want.FullName())
	}
	if err := proto.CheckInitialized(from); err != nil {
		return status.Errorf(status.Internal, "marshal %T: %w", src, err)
	}
	proto.Reset(to)
	proto.Merge(to, from)
	return nil
}
