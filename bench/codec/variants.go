package main

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/rpcx-go/rpcx/runtime/wire"
)

// The operations that are timed, as Go benchmark names.
const (
	// opMarshal computes the size and writes into a buffer that is there.
	opMarshal = "Marshal"
	// opMarshalAlloc returns a new slice.
	opMarshalAlloc = "MarshalAlloc"
	// opUnmarshal fills a new message.
	opUnmarshal = "Unmarshal"
)

// The variants of an operation, in the order of the tables.
const (
	vt       = "vt"        // vtprotobuf; unmarshalled messages have copies
	vtUnsafe = "vt-unsafe" // vtprotobuf; unmarshalled messages alias the data
	rpcx     = "rpcx"      // unmarshalled messages alias the data, as in the runtime
	rpcxCopy = "rpcx-copy" // unmarshalled messages have copies
	std      = "std"       // protobuf-go
)

// variant is one way to do an operation with the message of a shape.
type variant struct {
	op, name string
	// run does it n times.
	run func(n int) error
	// result does it once and returns the message or the bytes that come out.
	result func() (proto.Message, []byte, error)
}

// vtMessage is what vtprotobuf generates for *T.
type vtMessage[T any] interface {
	message[T]
	SizeVT() int
	MarshalVT() ([]byte, error)
	MarshalToSizedBufferVT(data []byte) (int, error)
	UnmarshalVT(data []byte) error
	UnmarshalVTUnsafe(data []byte) error
}

// message is any message with the struct T.
type message[T any] interface {
	*T
	proto.Message
	wire.Message
}

// shape is a message and everything that is done with it.
type shape struct {
	name string
	// extra shapes stay out of the geometric means.
	extra    bool
	message  proto.Message
	data     []byte
	variants []variant
}

// marshaller returns the variant that calls f, which writes m into dst, an
// empty buffer that has room for it.
func marshaller[T any, M message[T]](name string, m M, size int, f func(dst []byte, m M) ([]byte, error)) variant {
	// A connection has a large buffer, of which no one knows what a message will take.
	dst := make([]byte, 0, size+32<<10)
	return variant{
		op: opMarshal, name: name,
		run: func(n int) error {
			for range n {
				if _, err := f(dst, m); err != nil {
					return err
				}
			}
			return nil
		},
		result: func() (proto.Message, []byte, error) {
			out, err := f(dst, m)
			if err == nil && &out[:1][0] != &dst[:1][0] {
				return nil, nil, fmt.Errorf("%s does not marshal into the buffer", name)
			}
			return nil, out, err
		},
	}
}

// allocator returns the variant that calls f, which returns m's bytes.
func allocator[T any, M message[T]](name string, m M, f func(m M) ([]byte, error)) variant {
	return variant{
		op: opMarshalAlloc, name: name,
		run: func(n int) error {
			for range n {
				if _, err := f(m); err != nil {
					return err
				}
			}
			return nil
		},
		result: func() (proto.Message, []byte, error) {
			out, err := f(m)
			return nil, out, err
		},
	}
}

// unmarshaller returns the variant that calls f, which fills m from data, with
// a new message each time.
func unmarshaller[T any, M message[T]](name string, data []byte, f func(data []byte, m M) error) variant {
	return variant{
		op: opUnmarshal, name: name,
		run: func(n int) error {
			for range n {
				if err := f(data, M(new(T))); err != nil {
					return err
				}
			}
			return nil
		},
		result: func() (proto.Message, []byte, error) {
			m := M(new(T))
			err := f(data, m)
			return m, nil, err
		},
	}
}

// newShape returns a shape that vtprotobuf knows.
func newShape[T any, M vtMessage[T]](name string, m M) *shape {
	s := newShapeWithoutVT(name, m)
	own := []variant{
		marshaller(vt, m, len(s.data), func(dst []byte, m M) ([]byte, error) {
			n := m.SizeVT()
			dst = dst[:n]
			_, err := m.MarshalToSizedBufferVT(dst)
			return dst, err
		}),
		allocator(vt, m, func(m M) ([]byte, error) { return m.MarshalVT() }),
		unmarshaller(vt, s.data, func(data []byte, m M) error { return m.UnmarshalVT(data) }),
		unmarshaller(vtUnsafe, s.data, func(data []byte, m M) error { return m.UnmarshalVTUnsafe(data) }),
	}
	s.variants = append(own, s.variants...)
	return s
}

// newShapeWithoutVT returns a shape with the other variants only.
func newShapeWithoutVT[T any, M message[T]](name string, m M) *shape {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(err) // the contents are ours
	}
	s := &shape{name: name, message: m, data: data}
	s.variants = []variant{
		marshaller(rpcx, m, len(data), func(dst []byte, m M) ([]byte, error) { return rpcxAppend(dst, m) }),
		marshaller(std, m, len(data), func(dst []byte, m M) ([]byte, error) {
			_ = proto.Size(m)
			return proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(dst, m)
		}),
		allocator(rpcx, m, func(m M) ([]byte, error) { return rpcxMarshal(m) }),
		allocator(std, m, func(m M) ([]byte, error) { return proto.Marshal(m) }),
		unmarshaller(rpcx, data, func(data []byte, m M) error { return rpcxUnmarshalOwned(data, m) }),
		unmarshaller(rpcxCopy, data, func(data []byte, m M) error { return rpcxUnmarshalCopy(data, m) }),
		unmarshaller(std, data, func(data []byte, m M) error { return proto.Unmarshal(data, m) }),
	}
	return s
}
