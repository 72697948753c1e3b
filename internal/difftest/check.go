// Package difftest compares how a codec of runtime/codec handles messages with
// how protobuf-go does. Conformance tests, fuzz targets and round trips
// of random messages share its checks.
package difftest

import (
	"bytes"
	"errors"
	"fmt"
	"runtime/debug"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rpcx-go/rpcx/runtime/codec"
	"github.com/rpcx-go/rpcx/runtime/wire"
)

// Checker compares a codec with protobuf-go. It is used concurrently if its
// codec is.
type Checker struct {
	Codec codec.Codec
	// Deterministic, if there is one, appends the same bytes for equal messages.
	Deterministic func(dst []byte, m proto.Message) ([]byte, error)
}

// Default compares what the runtime uses.
var Default = Checker{
	Codec:         codec.Proto,
	Deterministic: deterministic,
}

func deterministic(dst []byte, m proto.Message) ([]byte, error) {
	if m, ok := m.(wire.Message); ok {
		return wire.MarshalOptions{Deterministic: true}.Append(dst, m)
	}
	return proto.MarshalOptions{Deterministic: true}.MarshalAppend(dst, m)
}

// Check compares codec.Proto with protobuf-go on one input. It returns nil if
// both do the same, be it to refuse the input.
func Check(mt protoreflect.MessageType, data []byte) error {
	return Default.Check(mt, data)
}

// CheckMessage compares what codec.Proto and protobuf-go marshal.
func CheckMessage(m proto.Message) error {
	return Default.CheckMessage(m)
}

// reference is how protobuf-go unmarshals: with the limits of the codec, and
// all of a message at once. By itself, it does so lazily where the type says so.
var (
	reference = proto.UnmarshalOptions{RecursionLimit: codec.MaxNesting, NoLazyDecoding: true}
	lazily    = proto.UnmarshalOptions{RecursionLimit: codec.MaxNesting}
)

// Check unmarshals data with the codec and with protobuf-go. Both have to
// refuse it, or to agree on what is in it. Then it marshals both messages as
// CheckMessage does. A panic is an error too.
func (c Checker) Check(mt protoreflect.MessageType, data []byte) (err error) {
	defer diverges(mt.Descriptor(), data, &err)
	want := mt.New().Interface()
	wantErr := reference.Unmarshal(data, want)
	owned := func(data []byte, m proto.Message) error { return c.Codec.UnmarshalOwned(data, m) }
	got, err := parse(owned, false, mt, data, want, wantErr)
	if err != nil {
		return fmt.Errorf("unmarshal: %w", err)
	}
	copied := func(data []byte, m proto.Message) error { return c.Codec.Unmarshal(data, m) }
	if _, err := parse(copied, true, mt, data, want, wantErr); err != nil {
		return fmt.Errorf("unmarshal with copies: %w", err)
	}
	if got == nil {
		return nil
	}
	out, err := c.marshal(got, want)
	if err != nil {
		return err
	}
	// A message that someone else has filled may look different inside.
	again, err := c.marshal(want, want)
	if err != nil {
		return fmt.Errorf("message of protobuf-go: %w", err)
	}
	if len(out) != len(again) {
		return fmt.Errorf("%d bytes for its own message, %d for that of protobuf-go", len(out), len(again))
	}
	return nil
}

// parse has unmarshal fill a message from data, and compares it with what
// protobuf-go did. The message is nil if there is nothing more to compare,
// because both refuse data or one may do so. copies says that the message
// may not keep references to the data.
func parse(unmarshal func([]byte, proto.Message) error, copies bool, mt protoreflect.MessageType,
	data []byte, want proto.Message, wantErr error,
) (proto.Message, error) {
	got := mt.New().Interface()
	own := bytes.Clone(data)
	gotErr := unmarshal(own, got)
	if !bytes.Equal(own, data) {
		return nil, errors.New("it changes its input")
	}
	if copies {
		for i := range own {
			own[i] = ^own[i]
		}
	}
	err := sameResult(want, wantErr, got, gotErr)
	switch {
	case err == nil && gotErr == nil:
		return got, nil
	case err == nil:
		return nil, nil
	case gotErr != nil && wantErr == nil && tooDeep(mt.Descriptor(), data):
		// The codec counts the groups that it does not know as nesting too.
		return nil, nil
	case gotErr != nil && wantErr == nil && proto.CheckInitialized(want) != nil:
		// Protobuf-go misses required fields in members of a oneof but the first.
		return nil, same(want, got)
	}
	// Protobuf-go does not always agree with itself on lazy fields.
	want = mt.New().Interface()
	wantErr = lazily.Unmarshal(data, want)
	if sameResult(want, wantErr, got, gotErr) == nil {
		return nil, nil
	}
	return nil, err
}

// sameResult compares what both sides have unmarshalled.
func sameResult(want proto.Message, wantErr error, got proto.Message, gotErr error) error {
	if err := sameError(wantErr, gotErr); err != nil || wantErr != nil {
		return err
	}
	return same(want, got)
}

// sameError compares the errors of both sides, either of which may be nil.
func sameError(want, got error) error {
	switch {
	case want == nil && got != nil:
		return fmt.Errorf("only the codec fails: %w", got)
	case want != nil && got == nil:
		return fmt.Errorf("only protobuf-go fails: %w", want)
	}
	return nil
}

// diverges turns a panic into an error, and says which type and input an error
// is about.
func diverges(md protoreflect.MessageDescriptor, data []byte, err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
	}
	if *err != nil {
		*err = fmt.Errorf("%s from %x: %w", md.FullName(), clip(data), *err)
	}
}

// clip shortens data for a message.
func clip(data []byte) []byte { return data[:min(len(data), 4000)] }
