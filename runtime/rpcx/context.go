package rpcx

import (
	"context"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// SetHeader adds to the headers of the response, from a handler or a server's
// interceptor. They are sent with the first message or the end of the call.
// After that it fails.
func SetHeader(ctx context.Context, md metadata.MD) error {
	return response(ctx, func(r call.ResponseMetadata) error { return r.SetHeader(md) })
}

// SendHeader adds to the headers of the response and sends them now.
func SendHeader(ctx context.Context, md metadata.MD) error {
	return response(ctx, func(r call.ResponseMetadata) error { return r.SendHeader(md) })
}

// SetTrailer adds to the trailers of the response, which are sent at the end of
// the call, whether it succeeds or not.
func SetTrailer(ctx context.Context, md metadata.MD) error {
	return response(ctx, func(r call.ResponseMetadata) error { return r.SetTrailer(md) })
}

func response(ctx context.Context, f func(call.ResponseMetadata) error) error {
	r, ok := ctx.Value(call.ResponseKey).(call.ResponseMetadata)
	if !ok {
		return status.New(status.Internal, "the context is not that of a handler")
	}
	return f(r)
}

// PeerFromContext returns who called, in a handler or a server's interceptor.
func PeerFromContext(ctx context.Context) (call.Peer, bool) {
	p, ok := ctx.Value(call.PeerKey).(*call.Peer)
	if !ok {
		return call.Peer{}, false
	}
	return *p, true
}

// MethodFromContext returns the method that is called, in a handler or a
// server's interceptor.
func MethodFromContext(ctx context.Context) (*call.Method, bool) {
	m, ok := ctx.Value(call.MethodKey).(*call.Method)
	return m, ok
}
