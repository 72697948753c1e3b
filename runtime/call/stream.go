package call

import (
	"context"

	"github.com/rpcx-go/rpcx/runtime/metadata"
)

// ClientStream is the caller's side of a call that streams, its messages
// untyped. One goroutine may send while another receives; neither Send nor
// Recv may be called by two goroutines at once.
type ClientStream interface {
	// Send sends one message. It returns once the message is queued within the
	// flow-control window; the message may be reused then. After the call has
	// ended it returns io.EOF, and Recv tells why.
	Send(msg any) error
	// CloseSend half-closes: the callee's Recv returns io.EOF after the last message.
	CloseSend() error
	// Recv fills msg with the next message. It returns io.EOF at the clean end
	// of the stream, otherwise the call's error.
	Recv(msg any) error
	// Header waits for the callee's response headers and returns them.
	Header() (metadata.MD, error)
	// Trailer returns the callee's trailers; it is empty until Recv has returned an error.
	Trailer() metadata.MD
	// Close releases the stream, cancelling the call if it has not ended. It
	// may be called at any time, more than once, by any goroutine.
	Close() error
}

// ServerStream is the callee's side of a call that streams, its messages
// untyped. The rules of concurrency are ClientStream's.
type ServerStream interface {
	// Send sends one message; msg may be reused when it returns.
	Send(msg any) error
	// Recv fills msg with the next message, or returns io.EOF after the caller's half-close.
	Recv(msg any) error
}

// Handler answers the calls of one method. Exactly one of Unary and Stream is set.
type Handler struct {
	// Method is the method that is answered.
	Method *Method
	// Unary answers a unary call: req is what Method.NewRequest returned, filled.
	Unary func(ctx context.Context, req any) (res any, err error)
	// Stream answers a call of the three streaming kinds. A method whose caller
	// does not stream receives its single request from the stream, one that
	// answers once sends its single response to it.
	Stream func(ctx context.Context, stream ServerStream) error
}
