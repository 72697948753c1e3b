package call

import (
	"context"
	"time"

	"github.com/rpcx-go/rpcx/runtime/metadata"
)

// Options are the options of one call on the client, collected from the
// connection's defaults and the call's own.
type Options struct {
	// Timeout bounds the call beside the context's own deadline; zero means no
	// bound of its own, below zero that there is no time left.
	Timeout time.Duration
	// WaitForReady has the call wait while the server cannot be reached,
	// instead of failing with UNAVAILABLE.
	WaitForReady bool
	// Metadata is sent with the request, after that of the context.
	Metadata metadata.MD
	// Header and Trailer, if not nil, receive the response's metadata.
	Header, Trailer *metadata.MD
	// Class is stated to the server; its Attempt is counted by the runtime.
	Class Class
	// Key is what the call is routed by, in place of what its method says.
	Key Key
	// Only, if not nil, is the one server that the call may go to, as the runtime
	// knows it.
	Only any
	// Credentials, if not nil, adds metadata that says who calls.
	Credentials Credentials
}

// Credentials say who calls, in metadata that is made for each call.
type Credentials interface {
	// Metadata returns what is added to a call of m. It is called once per
	// attempt and may block within ctx; an error fails the call with
	// UNAUTHENTICATED unless it carries a code of its own.
	Metadata(ctx context.Context, m *Method) (metadata.MD, error)
	// RequireSecure reports whether they must not travel over a connection
	// that others can read.
	RequireSecure() bool
}

// ResponseMetadata is where a handler's headers and trailers go. The context
// of every handler carries one.
type ResponseMetadata interface {
	// SetHeader adds to the headers, which are sent with the first message or
	// the end of the call. It fails once they have been sent.
	SetHeader(md metadata.MD) error
	// SendHeader adds to the headers and sends them now.
	SendHeader(md metadata.MD) error
	// SetTrailer adds to the trailers, which are sent at the end of the call.
	SetTrailer(md metadata.MD) error
}

type responseKey struct{}
type peerKey struct{}
type methodKey struct{}

// ResponseKey, PeerKey and MethodKey are the keys under which the context of a
// handler holds its ResponseMetadata, its Peer (as *Peer) and its *Method.
// Runtimes answer them; users call rpcx.SetHeader, rpcx.PeerFromContext and so on.
var (
	ResponseKey any = responseKey{}
	PeerKey     any = peerKey{}
	MethodKey   any = methodKey{}
)
