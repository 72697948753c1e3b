package rpcxtest

import (
	"context"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest/internal/local"
)

// Local returns a caller whose calls are answered in the same process by the
// handlers that register registers, without a network:
//
//	client := usersv1rpcx.NewUsersClient(rpcxtest.Local(func(srv rpcx.Registrar) {
//		usersv1rpcx.RegisterUsersServer(srv, &users{})
//	}))
//
// Callers and handlers see what they would see over a connection. Messages are
// deep copies, so that neither side sees what the other changes later. Errors
// arrive as *status.Error with code, message, details and push-back, without
// their causes; a panic arrives as INTERNAL, and its stack goes to slog's
// default logger. Metadata, headers, trailers, timeouts, deadlines and
// cancellation work; values of the caller's context do not travel. Options that
// concern the connection do nothing.
//
// A unary handler runs on the caller's goroutine, a streaming one on its own. A
// call ends when its handler has returned: one that ignores its context delays
// the caller that has given up, and no goroutine outlives the call. A stream
// ends, as always, when it has been received to its end or closed. It holds 64
// messages in each direction before Send waits.
func Local(register func(rpcx.Registrar)) rpcx.Caller {
	srv := new(local.Server)
	register(srv)
	return localCaller{srv}
}

type localCaller struct{ srv *local.Server }

// CallUnary implements rpcx.Caller.
func (c localCaller) CallUnary(ctx context.Context, m *call.Method, req, res any, opts ...rpcx.CallOption) error {
	return c.srv.Unary(ctx, m, req, res, rpcx.CallOptions(opts...))
}

// CallStream implements rpcx.Caller.
func (c localCaller) CallStream(ctx context.Context, m *call.Method, req any, opts ...rpcx.CallOption) (call.ClientStream, error) {
	return c.srv.Stream(ctx, m, req, rpcx.CallOptions(opts...))
}
