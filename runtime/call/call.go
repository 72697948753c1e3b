package call

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/rpcx-go/rpcx/runtime/metadata"
)

// Side says on which side of a call the code stands that looks at it.
type Side uint8

// The two sides.
const (
	Client Side = iota
	Server
)

// String returns "client" or "server".
func (s Side) String() string {
	if s == Server {
		return "server"
	}
	return "client"
}

// Peer is the other end of a call.
type Peer struct {
	// Addr is the remote address. On the client it is nil until an endpoint has been chosen.
	Addr net.Addr
	// Protocol is what the connection speaks: "rpcx" for the native protocol.
	Protocol string
	// Secure reports whether the connection is private to both ends: TLS or a Unix socket.
	Secure bool
	// TLS is the state of the TLS connection, nil without TLS. On a server that
	// verifies clients, TLS.VerifiedChains[0][0] is the certificate of the one who
	// calls. It is shared by all calls of the connection and must not be changed.
	TLS *tls.ConnectionState
}

// Interceptor sees every call of every kind and every protocol. It does its
// work around next, which runs the rest of the chain and then the call itself:
// on the server the handler, on the client the exchange with the server.
//
// next returns when the call has ended, for streams too: on the client the
// chain of a streaming call runs on a goroutine of its own for as long as the
// stream lives. The error that the interceptor returns becomes the call's
// result. An interceptor that does not call next ends the call: with an error,
// or, if the call is unary, with the response given to SetResponse. For a
// unary call on the client next may be called again, one call after the other;
// each is an attempt.
//
// Interceptors are called concurrently.
type Interceptor func(ctx context.Context, c *Call, next Next) error

// Next runs the rest of an interceptor chain.
type Next func(ctx context.Context, c *Call) error

// Chain makes one Next of interceptors, the first one outermost, around last.
// It is built once, when a server or connection is made.
func Chain(interceptors []Interceptor, last Next) Next {
	next := last
	for i := len(interceptors) - 1; i >= 0; i-- {
		ic, inner := interceptors[i], next
		next = func(ctx context.Context, c *Call) error { return ic(ctx, c, inner) }
	}
	return next
}

// Call is one call as interceptors see it. It is made for one call and never
// used again. Its methods are for the goroutine that runs the interceptors;
// the functions given to OnSend and OnReceive run on those that send and receive.
type Call struct {
	cfg      Config
	request  any
	decoded  bool
	response any
	onSend   []func(msg any) error
	onRecv   []func(msg any) error
}

// Config is what the runtime knows of a call when its interceptors start.
type Config struct {
	Method *Method
	Side   Side
	Peer   Peer
	Class  Class
	// RequestHeader is where the metadata stand that the caller sends.
	RequestHeader *metadata.MD
	// Carrier is the runtime's own view of the call.
	Carrier Carrier
	// Decode fills msg with the request; it is nil if the request is there
	// already or the caller streams.
	Decode func(msg any) error
}

// Carrier is what the runtime's own view of a call tells interceptors.
type Carrier interface {
	// ResponseHeader and ResponseTrailer return the response's metadata as far
	// as they are known.
	ResponseHeader() metadata.MD
	ResponseTrailer() metadata.MD
}

// New returns a call for the runtime to pass to interceptors. request is the
// request message if it is there already, otherwise nil.
func New(cfg Config, request any) *Call {
	return &Call{cfg: cfg, request: request, decoded: request != nil}
}

// Method returns the method that is called.
func (c *Call) Method() *Method { return c.cfg.Method }

// Side says whether this is the caller's or the callee's view.
func (c *Call) Side() Side { return c.cfg.Side }

// Peer returns the other end. On the client its address is known once the call
// has been sent: when next has returned.
func (c *Call) Peer() Peer { return c.cfg.Peer }

// Class returns what the caller states of the call's importance. On the server it
// is what the peer states, not to be trusted. Attempt is 0 on the client.
func (c *Call) Class() Class { return c.cfg.Class }

// SentTo says to which peer a client has sent the call. The runtime calls it.
func (c *Call) SentTo(p Peer) { c.cfg.Peer = p }

// RequestHeader returns the metadata that the caller sends. On the client an
// interceptor may add to it before it calls next; on the server it is read-only.
func (c *Call) RequestHeader() *metadata.MD { return c.cfg.RequestHeader }

// ResponseHeader returns the metadata that the callee sends before its first
// message. It is complete when next has returned. A server's interceptors add
// to it as handlers do, with rpcx.SetHeader.
func (c *Call) ResponseHeader() metadata.MD { return c.cfg.Carrier.ResponseHeader() }

// ResponseTrailer returns the metadata that the callee sends at the end. It is
// complete when next has returned. A server's interceptors add to it as
// handlers do, with rpcx.SetTrailer.
func (c *Call) ResponseTrailer() metadata.MD { return c.cfg.Carrier.ResponseTrailer() }

// Carrier returns the runtime's own view of the call.
func (c *Call) Carrier() Carrier { return c.cfg.Carrier }

// Request returns the request message of a method whose caller does not
// stream. On the server the first use decodes it, so that interceptors that do
// not ask for it refuse calls at no cost. It returns nil if the caller streams.
func (c *Call) Request() (any, error) {
	if c.decoded || c.cfg.Decode == nil {
		return c.request, nil
	}
	msg := c.cfg.Method.NewRequest()
	if err := c.cfg.Decode(msg); err != nil {
		return nil, err
	}
	c.request, c.decoded = msg, true
	return msg, nil
}

// Known returns the request message if it has been decoded or set.
func (c *Call) Known() (any, bool) { return c.request, c.request != nil }

// SetRequest replaces the request message of a method whose caller does not
// stream. msg is a pointer to the method's request type.
func (c *Call) SetRequest(msg any) { c.request, c.decoded = msg, true }

// Response returns the response message of a unary call after next has
// returned nil, otherwise nil.
func (c *Call) Response() any { return c.response }

// SetResponse sets or replaces the response message of a unary call. msg is a
// pointer to the method's response type.
func (c *Call) SetResponse(msg any) { c.response = msg }

// OnSend has f called before each message of a stream that this side sends. An
// error fails the Send and ends the call with it.
func (c *Call) OnSend(f func(msg any) error) { c.onSend = append(c.onSend, f) }

// OnReceive has f called after each message of a stream that this side
// receives. An error fails the Recv and ends the call with it.
func (c *Call) OnReceive(f func(msg any) error) { c.onRecv = append(c.onRecv, f) }

// Sending runs the functions given to OnSend. The runtime calls it.
func (c *Call) Sending(msg any) error { return each(c.onSend, msg) }

// Received runs the functions given to OnReceive. The runtime calls it.
func (c *Call) Received(msg any) error { return each(c.onRecv, msg) }

func each(fs []func(any) error, msg any) error {
	for _, f := range fs {
		if err := f(msg); err != nil {
			return err
		}
	}
	return nil
}
