package rpcx

import (
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/metadata"
)

type callOption func(*call.Options)

func (o callOption) applyCall(c *call.Options) { o(c) }

// WithTimeout bounds a call to d, beside its context's own deadline. The default
// is that deadline alone; the range of d is up to 4.97 days, a longer time is sent
// to the server as that. A call with
// no time left, d ≤ 0, fails with DEADLINE_EXCEEDED at once.
func WithTimeout(d time.Duration) CallOption {
	return callOption(func(o *call.Options) {
		if o.Timeout = d; d <= 0 {
			o.Timeout = -1
		}
	})
}

// WithWaitForReady has a call wait, within its deadline, while the server
// cannot be reached. By default it fails with UNAVAILABLE as soon as an attempt
// to connect has failed.
func WithWaitForReady(wait bool) CallOption {
	return callOption(func(o *call.Options) { o.WaitForReady = wait })
}

// WithPriority states how important a call is, 1 for least to 7 for most; servers
// that trust the caller serve others first that are more important. The default is
// 0, not stated, which counts as 4; values outside the range 0 to 7 are brought
// into it. It is a claim: interceptors of the server see it as Call.Class.
func WithPriority(n int) CallOption {
	return callOption(func(o *call.Options) { o.Class.Priority = uint8(clamp(n, 0, call.MaxPriority)) })
}

// WithLane states which kind of work a call is, where servers keep kinds apart.
// The default is 0, the ordinary one; values outside the range 0 to 7 are brought
// into it. It is a claim as the priority is.
func WithLane(n int) CallOption {
	return callOption(func(o *call.Options) { o.Class.Lane = uint8(clamp(n, 0, call.MaxLane)) })
}

// WithRouteKey routes a call by key instead of by what its method's option route
// says: calls with the same key go to the same server, if the Conn's balancer is one
// that looks at keys, as the default is. The default is the method's key.
func WithRouteKey(key Key) CallOption {
	return callOption(func(o *call.Options) { o.Key = key })
}

// WithMetadata sends md with the request, after the metadata of the context.
func WithMetadata(md metadata.MD) CallOption {
	return callOption(func(o *call.Options) { o.Metadata = metadata.Join(o.Metadata, md) })
}

// WithCredentials adds metadata that says who calls. Credentials that require
// it fail calls over connections that are not secure.
func WithCredentials(c call.Credentials) CallOption {
	return callOption(func(o *call.Options) { o.Credentials = c })
}

// Header has the response headers of a call stored in md. They are complete
// when a unary call has returned; streams have a Header method instead.
func Header(md *metadata.MD) CallOption {
	return callOption(func(o *call.Options) { o.Header = md })
}

// Trailer has the response trailers of a call stored in md. They are complete
// when a unary call has returned; streams have a Trailer method instead.
func Trailer(md *metadata.MD) CallOption {
	return callOption(func(o *call.Options) { o.Trailer = md })
}

// CallOptions collects options, for those who write a Caller.
func CallOptions(opts ...CallOption) call.Options {
	var o call.Options
	for _, opt := range opts {
		opt.applyCall(&o)
	}
	return o
}
