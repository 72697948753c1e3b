package rpcx

import (
	"context"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// SupportsGenerated1 lets generated code state, when it is compiled, that it
// needs this version of the runtime or a later one of the same generation.
const SupportsGenerated1 = true

// The kinds of methods and levels of idempotency, for generated code.
const (
	Unary        = call.KindUnary
	ClientStream = call.KindClientStream
	ServerStream = call.KindServerStream
	BidiStream   = call.KindBidiStream

	NoSideEffects = call.NoSideEffects
	Idempotent    = call.Idempotent
)

// MethodSpec is what generated code states of a method.
type MethodSpec = call.MethodSpec

// Method is a method descriptor that knows the types of its messages.
// Generated code declares one per method; it is immutable.
type Method[Req, Res any] struct {
	m *call.Method
}

// NewMethod returns the descriptor of the method that spec states.
func NewMethod[Req, Res any](spec MethodSpec) Method[Req, Res] {
	return Method[Req, Res]{call.NewMethod(spec,
		func() any { return new(Req) },
		func() any { return new(Res) },
	)}
}

// Descriptor returns the untyped descriptor, the one that interceptors see.
func (m Method[Req, Res]) Descriptor() *call.Method { return m.m }

// Handler answers the calls of one method. Generated code makes it from a
// method of the user's implementation.
type Handler = call.Handler

// Registrar is where generated code registers handlers: a Server, or a fake of one.
type Registrar interface {
	// Register adds handlers. It panics if one of their methods is registered already.
	Register(handlers ...Handler)
}

// UnaryHandler makes a handler of a function that answers a unary method.
func UnaryHandler[Req, Res any](m Method[Req, Res], f func(context.Context, *Req) (*Res, error)) Handler {
	return Handler{Method: m.m, Unary: func(ctx context.Context, req any) (any, error) {
		res, err := f(ctx, req.(*Req))
		if err != nil && status.CodeOf(err) != status.OK { // a nil *status.Error is none
			return nil, err
		}
		if res == nil {
			return nil, errNilResponse(m.m)
		}
		return res, nil
	}}
}

// ServerStreamHandler makes a handler of a function that answers a server-streaming method.
func ServerStreamHandler[Req, Res any](m Method[Req, Res], f func(context.Context, *Req, ServerStreamingServer[Res]) error) Handler {
	return Handler{Method: m.m, Stream: func(ctx context.Context, s call.ServerStream) error {
		req := new(Req)
		if err := s.Recv(req); err != nil {
			return err
		}
		return f(ctx, req, ServerStreamingServer[Res]{s})
	}}
}

// ClientStreamHandler makes a handler of a function that answers a client-streaming method.
func ClientStreamHandler[Req, Res any](m Method[Req, Res], f func(context.Context, ClientStreamingServer[Req]) (*Res, error)) Handler {
	return Handler{Method: m.m, Stream: func(ctx context.Context, s call.ServerStream) error {
		res, err := f(ctx, ClientStreamingServer[Req]{s})
		if err != nil {
			return err
		}
		if res == nil {
			return errNilResponse(m.m)
		}
		return s.Send(res)
	}}
}

// BidiStreamHandler makes a handler of a function that answers a bidi-streaming method.
func BidiStreamHandler[Req, Res any](m Method[Req, Res], f func(context.Context, BidiStreamingServer[Req, Res]) error) Handler {
	return Handler{Method: m.m, Stream: func(ctx context.Context, s call.ServerStream) error {
		return f(ctx, BidiStreamingServer[Req, Res]{s})
	}}
}

// ErrUnimplemented returns the error of a method that a server does not
// implement: UNIMPLEMENTED, naming the method.
func ErrUnimplemented[Req, Res any](m Method[Req, Res]) error {
	return status.Errorf(status.Unimplemented, "method %s is not implemented", m.m.FullName())
}

func errNilResponse(m *call.Method) error {
	return status.Errorf(status.Internal, "handler of %s returned neither a response nor an error", m.FullName())
}
