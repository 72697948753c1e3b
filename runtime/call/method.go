// Package call defines the one call that every protocol becomes: the method
// that is called, the call as interceptors and observers see it, and the
// streams that carry its messages.
//
// It stands below everything that carries calls, so that transports,
// dispatchers and gateways share it without knowing clients or servers.
package call

import (
	"sync/atomic"
)

// Kind says which sides of a method send a stream of messages.
type Kind uint8

// The four kinds of methods. The low bit is set if the caller streams, the
// next one if the callee streams.
const (
	KindUnary        Kind = 0
	KindClientStream Kind = 1
	KindServerStream Kind = 2
	KindBidiStream   Kind = 3
)

// CallerStreams reports whether the caller sends a stream of messages.
func (k Kind) CallerStreams() bool { return k&KindClientStream != 0 }

// CalleeStreams reports whether the callee sends a stream of messages.
func (k Kind) CalleeStreams() bool { return k&KindServerStream != 0 }

// String returns the usual name of the kind, such as "server-streaming".
func (k Kind) String() string {
	switch k {
	case KindUnary:
		return "unary"
	case KindClientStream:
		return "client-streaming"
	case KindServerStream:
		return "server-streaming"
	case KindBidiStream:
		return "bidi-streaming"
	}
	return "invalid kind"
}

// Idempotency is what the method's proto declares in idempotency_level.
type Idempotency uint8

// The levels, in the order of google.protobuf.MethodOptions.
const (
	// IdempotencyUnknown promises nothing: running the method twice may differ from once.
	IdempotencyUnknown Idempotency = iota
	// NoSideEffects promises that the method only reads.
	NoSideEffects
	// Idempotent promises that running the method twice is the same as once.
	Idempotent
)

// SafeToRepeat reports whether running the method again does no harm.
func (i Idempotency) SafeToRepeat() bool { return i != IdempotencyUnknown }

// MethodSpec is what generated code states of a method.
type MethodSpec struct {
	// Service is the full name of the service, such as "users.v1.Users".
	Service string
	// Name is the method's name in its service, such as "Get".
	Name string
	// Kind says which sides stream.
	Kind Kind
	// Idempotency is the proto's idempotency_level.
	Idempotency Idempotency
	// NonBlocking promises that the handler never blocks and is short, so that
	// it may run on the goroutine that reads the connection. It comes from the
	// option (rpcx.options.v1.method).non_blocking.
	NonBlocking bool
	// Key returns the route key of a request, a pointer to the method's request
	// type; the zero Key if it is absent. It comes from the option route of the
	// method. Nil means that calls are not routed by key.
	Key func(req any) Key
	// KeyRequired fails calls without a key with INVALID_ARGUMENT, instead of
	// leaving the choice of a server to the balancer.
	KeyRequired bool
	// Access says whether the method reads or writes, where that is not what
	// Idempotency says.
	Access Access
}

// Access says what a method does to the data of its service.
type Access uint8

// The kinds of access. AccessByIdempotency is a read if the method has no side
// effects, and otherwise a write.
const (
	AccessByIdempotency Access = iota
	AccessRead
	AccessWrite
)

// Method describes one method. There is one value per method and process: the
// runtime, interceptors and policies all hold the same pointer, so that they
// may compare it and use it as a key. It is immutable.
type Method struct {
	spec     MethodSpec
	fullName string
	index    uint32
	newReq   func() any
	newRes   func() any
}

var lastIndex atomic.Uint32

// NewMethod returns the descriptor of the method that spec states; newRequest
// and newResponse return new, empty messages. Generated code calls it, through
// rpcx.NewMethod, once per method.
func NewMethod(spec MethodSpec, newRequest, newResponse func() any) *Method {
	return &Method{
		spec:     spec,
		fullName: "/" + spec.Service + "/" + spec.Name,
		index:    lastIndex.Add(1) - 1,
		newReq:   newRequest,
		newRes:   newResponse,
	}
}

// FullName returns the name as it stands in a URL: "/users.v1.Users/Get".
func (m *Method) FullName() string { return m.fullName }

// WireName returns the name as native frames carry it: "users.v1.Users/Get".
func (m *Method) WireName() string { return m.fullName[1:] }

// Service returns the full name of the method's service: "users.v1.Users".
func (m *Method) Service() string { return m.spec.Service }

// Name returns the method's name in its service: "Get".
func (m *Method) Name() string { return m.spec.Name }

// Kind says which sides of the method stream.
func (m *Method) Kind() Kind { return m.spec.Kind }

// Idempotency returns the level that the proto declares.
func (m *Method) Idempotency() Idempotency { return m.spec.Idempotency }

// NonBlocking reports whether the method's handlers promise never to block.
func (m *Method) NonBlocking() bool { return m.spec.NonBlocking }

// Key returns the route key of req, a pointer to the method's request type: the
// zero Key if it is absent, or if calls are not routed by key. The key may alias
// texts of req.
func (m *Method) Key(req any) Key {
	if m.spec.Key == nil || req == nil {
		return Key{}
	}
	return m.spec.Key(req)
}

// Keyed reports whether calls of the method are routed by key.
func (m *Method) Keyed() bool { return m.spec.Key != nil }

// KeyRequired reports whether calls without a route key fail.
func (m *Method) KeyRequired() bool { return m.spec.KeyRequired }

// ReadOnly reports whether calls of the method only read, so that a replica may
// answer them.
func (m *Method) ReadOnly() bool {
	return m.spec.Access == AccessRead || m.spec.Access == AccessByIdempotency && m.spec.Idempotency == NoSideEffects
}

// NewRequest returns a new, empty request message, a pointer.
func (m *Method) NewRequest() any { return m.newReq() }

// NewResponse returns a new, empty response message, a pointer.
func (m *Method) NewResponse() any { return m.newRes() }

// Index returns a small number that is the method's own in this process, so
// that tables of methods need no map. It differs from run to run.
func (m *Method) Index() uint32 { return m.index }

// String returns the full name.
func (m *Method) String() string { return m.fullName }
