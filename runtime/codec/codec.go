// Package codec turns messages into bytes and back.
package codec

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/rpcx-go/rpcx/runtime/status"
	"github.com/rpcx-go/rpcx/runtime/wire"
	"github.com/rpcx-go/rpcx/runtime/wire/foreign"
)

// ID is a codec's number in native frames. Numbers are assigned by
// docs/protocol.md and never change.
type ID uint8

// The codecs that the native protocol knows.
const (
	ProtoID ID = 0
	JSONID  ID = 1
)

// Codec turns messages into bytes and back. Messages are pointers. Codecs are
// used concurrently.
type Codec interface {
	// ID returns the codec's number in frames.
	ID() ID
	// Name returns the codec's name in content types: "proto", "json".
	Name() string
	// Size returns exactly how many bytes AppendMarshal will append next.
	Size(msg any) (int, error)
	// AppendMarshal appends msg's bytes to dst. It must directly follow the Size
	// of the same message that returned size; the message must not change in
	// between.
	AppendMarshal(dst []byte, msg any, size int) ([]byte, error)
	// Unmarshal fills msg, an empty message, from data, which it does not keep.
	// Its errors carry no code: what they mean depends on whose data it is.
	Unmarshal(data []byte, msg any) error
	// UnmarshalOwned is Unmarshal for data that nobody changes afterwards: msg
	// may refer to it.
	UnmarshalOwned(data []byte, msg any) error
}

// Proto is the protobuf codec. Messages that have glue of protoc-gen-rpcx are
// marshalled by it (package wire), all others by google.golang.org/protobuf.
var Proto Codec = protoCodec{}

type protoCodec struct{}

func (protoCodec) ID() ID       { return ProtoID }
func (protoCodec) Name() string { return "proto" }

func (protoCodec) Size(msg any) (int, error) {
	if m, ok := msg.(wire.Message); ok {
		return m.SizeRPCX(), nil
	}
	m, ok := msg.(proto.Message)
	if !ok {
		return 0, notProto(msg)
	}
	return proto.Size(m), nil
}

func (protoCodec) AppendMarshal(dst []byte, msg any, size int) ([]byte, error) {
	if m, ok := msg.(wire.Message); ok {
		out, err := wire.MarshalOptions{}.AppendSize(dst, m, size)
		if err != nil {
			if p, ok := msg.(proto.Message); ok {
				err = foreign.ExplainPut(err, p)
			}
			return dst, status.Errorf(status.Internal, "marshal: %w", err)
		}
		return out, nil
	}
	m, ok := msg.(proto.Message)
	if !ok {
		return dst, notProto(msg)
	}
	out, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(dst, m)
	if err != nil {
		return dst, status.Errorf(status.Internal, "marshal %T: %w", msg, err)
	}
	return out, nil
}

func (protoCodec) Unmarshal(data []byte, msg any) error {
	if m, ok := msg.(wire.Message); ok {
		if err := (wire.UnmarshalOptions{Merge: true}).Unmarshal(data, m); err != nil {
			return explain(err, data, m)
		}
		return nil
	}
	m, ok := msg.(proto.Message)
	if !ok {
		return notProto(msg)
	}
	if err := unmarshal.Unmarshal(data, m); err != nil {
		return fmt.Errorf("unmarshal %T from %d bytes: %w", msg, len(data), err)
	}
	return nil
}

func (c protoCodec) UnmarshalOwned(data []byte, msg any) error {
	if m, ok := msg.(wire.Message); ok {
		if err := (wire.UnmarshalOptions{Merge: true, Alias: true}).Unmarshal(data, m); err != nil {
			return explain(err, data, m)
		}
		return nil
	}
	return c.Unmarshal(data, msg)
}

// explain has an error of parsing m name the field. It is not inlined, so that the frames
// below which handlers' requests are parsed stay small.
//
//go:noinline
func explain(err error, data []byte, m wire.Message) error {
	if p, ok := m.(proto.Message); ok {
		return foreign.ExplainParse(err, data, p)
	}
	return err
}

// unmarshal merges into messages that are empty already, which spares a reset,
// and bounds nesting as docs/protocol.md does.
var unmarshal = proto.UnmarshalOptions{Merge: true, RecursionLimit: MaxNesting}

// MaxNesting is how deep messages may be nested.
const MaxNesting = wire.MaxNesting

func notProto(msg any) error {
	return status.Errorf(status.Internal, "%T is not a protobuf message", msg)
}

// Append appends msg's bytes to dst, checks that they are exactly size bytes
// and that dst is as it was if anything fails, a panic included. size is what c.Size
// returned directly before.
func Append(c Codec, dst []byte, msg any, size int) (out []byte, err error) {
	returned := false
	defer func() {
		if returned { // recover costs something, also for nothing
			return
		}
		if r := recover(); r != nil {
			out, err = dst, status.Errorf(status.Internal, "marshal %T: panic: %v", msg, r)
		}
	}()
	out, err = c.AppendMarshal(dst, msg, size)
	returned = true
	if err != nil {
		return dst, internal(err)
	}
	if got := len(out) - len(dst); got != size {
		return dst, errSize(msg, got, size)
	}
	return out, nil
}

func errSize(msg any, got, want int) error {
	return status.Errorf(status.Internal,
		"marshal %T: %d bytes where its size was %d: was it changed while it was sent?", msg, got, want)
}

// Size returns c.Size(msg); a panic becomes an error.
func Size(c Codec, msg any) (n int, err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if r := recover(); r != nil {
			n, err = 0, status.Errorf(status.Internal, "size of %T: panic: %v", msg, r)
		}
	}()
	n, err = c.Size(msg)
	returned = true
	if err != nil {
		err = internal(err)
	}
	return n, err
}

// internal gives err the code INTERNAL unless it has one: a message that cannot
// be marshalled is the fault of the program that made it.
func internal(err error) error {
	if err == nil || status.CodeOf(err) != status.Unknown {
		return err
	}
	return status.New(status.Internal, err.Error()).WithCause(err)
}

// Decode returns c.Unmarshal(data, msg); a panic becomes an error.
func Decode(c Codec, data []byte, msg any) (err error) {
	defer decoded(msg, &err)
	return c.Unmarshal(data, msg)
}

// DecodeOwned returns c.UnmarshalOwned(data, msg); a panic becomes an error.
func DecodeOwned(c Codec, data []byte, msg any) (err error) {
	defer decoded(msg, &err)
	return c.UnmarshalOwned(data, msg)
}

// decoded makes an error of a panic while msg was decoded.
func decoded(msg any, err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("unmarshal %T: panic: %v", msg, r)
	}
}
