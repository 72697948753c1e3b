package rpcx

import (
	"context"

	"github.com/rpcx-go/rpcx/runtime/call"
)

// Caller is what generated clients call through: a Conn, or whatever stands in
// for one in a test. Its methods may be called concurrently.
type Caller interface {
	// CallUnary sends req and fills res with the answer. Both are pointers to
	// messages of the method's types; req may be reused when it returns.
	CallUnary(ctx context.Context, m *call.Method, req, res any, opts ...CallOption) error
	// CallStream starts a call of a streaming kind. req is the single request
	// of a server-streaming method and nil for the other kinds.
	CallStream(ctx context.Context, m *call.Method, req any, opts ...CallOption) (call.ClientStream, error)
}

// CallUnary calls a unary method through c. Generated clients are made of it.
func CallUnary[Req, Res any](ctx context.Context, c Caller, m Method[Req, Res], req *Req, opts ...CallOption) (*Res, error) {
	res := new(Res)
	if err := c.CallUnary(ctx, m.m, req, res, opts...); err != nil {
		return nil, err
	}
	return res, nil
}

// CallServerStream calls a server-streaming method through c.
func CallServerStream[Req, Res any](ctx context.Context, c Caller, m Method[Req, Res], req *Req, opts ...CallOption) (ServerStreamingClient[Res], error) {
	s, err := c.CallStream(ctx, m.m, req, opts...)
	return ServerStreamingClient[Res]{s}, err
}

// CallClientStream calls a client-streaming method through c.
func CallClientStream[Req, Res any](ctx context.Context, c Caller, m Method[Req, Res], opts ...CallOption) (ClientStreamingClient[Req, Res], error) {
	s, err := c.CallStream(ctx, m.m, nil, opts...)
	return ClientStreamingClient[Req, Res]{s}, err
}

// CallBidiStream calls a bidi-streaming method through c.
func CallBidiStream[Req, Res any](ctx context.Context, c Caller, m Method[Req, Res], opts ...CallOption) (BidiStreamingClient[Req, Res], error) {
	s, err := c.CallStream(ctx, m.m, nil, opts...)
	return BidiStreamingClient[Req, Res]{s}, err
}
