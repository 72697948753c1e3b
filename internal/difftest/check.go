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
)

// Checker compares a codec with protobuf-go. It is used concurrently if its
// codec is.
type Checker struct {
	Codec codec.Codec
}

// Check compares codec.Proto with protobuf-go on one input. It returns nil if
// both do the same, be it to refuse the input.
func Check(mt protoreflect.MessageType, data []byte) error {
	return Checker{codec.Proto}.Check(mt, data)
}

// CheckMessage compares what codec.Proto and protobuf-go marshal.
func CheckMessage(m proto.Message) error {
	return Checker{codec.Proto}.CheckMessage(m)
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
	got := mt.New().Interface()
	gotErr, err := c.unmarshal(data, got)
	if err != nil {
		return err
	}
	if err := sameResult(want, wantErr, got, gotErr); err != nil {
		// The codec counts the groups that it does not know as nesting too.
		if gotErr != nil && wantErr == nil && tooDeep(mt.Descriptor(), data) {
			return nil
		}
		// Protobuf-go does not always agree with itself on lazy fields.
		want := mt.New().Interface()
		wantErr := lazily.Unmarshal(data, want)
		if sameResult(want, wantErr, got, gotErr) == nil {
			return nil
		}
		return err
	}
	if wantErr != nil {
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

// CheckMessage marshals m with the codec and with protobuf-go. Both have to
// fail, or each other's bytes have to be of equal messages; the codec's size
// has to be exact, and what stands before in its buffer to stay.
func (c Checker) CheckMessage(m proto.Message) (err error) {
	defer diverges(m.ProtoReflect().Descriptor(), nil, &err)
	data, wantErr := proto.Marshal(m)
	_, err = c.append(m)
	if err := sameError("marshal", wantErr, err); err != nil || wantErr != nil {
		return err
	}
	want := m.ProtoReflect().New().Interface()
	if err := reference.Unmarshal(data, want); err != nil {
		// Too deep, or with strings that are checked only here. What was sent
		// is refused likewise.
		return c.Check(m.ProtoReflect().Type(), data)
	}
	if _, err := c.marshal(m, want); err != nil {
		return err
	}
	return c.Check(m.ProtoReflect().Type(), data)
}

// marshal marshals m and returns the bytes if they are of a message that
// equals want, and nothing if protobuf-go cannot marshal m either: it may have
// left required fields of an extension unchecked.
func (c Checker) marshal(m, want proto.Message) ([]byte, error) {
	out, err := c.append(m)
	if err != nil {
		if _, wantErr := proto.Marshal(m); wantErr != nil {
			return nil, nil
		}
		return nil, err
	}
	back := want.ProtoReflect().New().Interface()
	if err := reference.Unmarshal(out, back); err != nil {
		return nil, fmt.Errorf("marshal: protobuf-go refuses the result %x: %w", clip(out), err)
	}
	if err := same(want, back); err != nil {
		return nil, fmt.Errorf("marshal: %w", err)
	}
	return out, nil
}

// append marshals m behind a few other bytes, and checks the size and the others.
func (c Checker) append(m proto.Message) ([]byte, error) {
	size, err := c.Codec.Size(m)
	if err != nil {
		return nil, fmt.Errorf("size: %w", err)
	}
	const before = "before"
	// Sometimes it fits, and sometimes it has to move.
	buf := append(make([]byte, 0, len(before)+size&^1), before...)
	out, err := c.Codec.AppendMarshal(buf, m, size)
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(out, []byte(before)) {
		return nil, errors.New("marshal changes what stands before it")
	}
	out = out[len(before):]
	if len(out) != size {
		return nil, fmt.Errorf("marshal: %d bytes where the size was %d", len(out), size)
	}
	return out, nil
}

// unmarshal has the codec unmarshal a copy of data into m, and returns
// its error as the first one. The second one is about the copy, which the codec
// has to leave alone and m may not refer to, and about a message that owns its
// bytes, which has to be the same.
func (c Checker) unmarshal(data []byte, m proto.Message) (failed, err error) {
	lent, own := bytes.Clone(data), bytes.Clone(data)
	failed = c.Codec.Unmarshal(lent, m)
	owner := m.ProtoReflect().New().Interface()
	ownFailed := c.Codec.UnmarshalOwned(own, owner)
	if !bytes.Equal(lent, data) || !bytes.Equal(own, data) {
		return nil, errors.New("unmarshal changes its input")
	}
	for i := range lent {
		lent[i] = ^lent[i]
	}
	if (failed == nil) != (ownFailed == nil) {
		return nil, fmt.Errorf("unmarshal: %v, with bytes of its own: %v", failed, ownFailed)
	}
	if failed != nil {
		return failed, nil
	}
	if err := same(m, owner); err != nil {
		return nil, fmt.Errorf("unmarshal with bytes of its own: %w", err)
	}
	return nil, nil
}

// sameResult compares what both sides have unmarshalled.
func sameResult(want proto.Message, wantErr error, got proto.Message, gotErr error) error {
	if err := sameError("unmarshal", wantErr, gotErr); err != nil || wantErr != nil {
		return err
	}
	if err := same(want, got); err != nil {
		return fmt.Errorf("unmarshal: %w", err)
	}
	return nil
}

// sameError compares the errors of both sides, either of which may be nil.
func sameError(what string, want, got error) error {
	switch {
	case want == nil && got != nil:
		return fmt.Errorf("%s: only the codec fails: %w", what, got)
	case want != nil && got == nil:
		return fmt.Errorf("%s: only protobuf-go fails: %w", what, want)
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
