package difftest

import (
	"bytes"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
)

// CheckMessage marshals m with the codec and with protobuf-go. Both have to
// fail, or each other's bytes have to be of equal messages; the codec's size
// has to be exact, and what stands before in its buffer to stay.
func (c Checker) CheckMessage(m proto.Message) (err error) {
	defer diverges(m.ProtoReflect().Descriptor(), nil, &err)
	data, wantErr := proto.Marshal(m)
	_, err = c.append(m)
	if err := sameError(wantErr, err); err != nil {
		return fmt.Errorf("marshal: %w", err)
	}
	if wantErr != nil {
		return nil
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
	return out, c.deterministic(m, back)
}

// deterministic compares what Deterministic makes of two equal messages.
func (c Checker) deterministic(m, equal proto.Message) error {
	if c.Deterministic == nil {
		return nil
	}
	one, err := c.Deterministic(nil, m)
	if err != nil {
		return fmt.Errorf("marshal deterministically: %w", err)
	}
	two, err := c.Deterministic(nil, equal)
	if err != nil {
		return fmt.Errorf("marshal deterministically: %w", err)
	}
	if bytes.Equal(one, two) {
		return nil
	}
	// Fields that are unmarshalled lazily may be marshalled as they came.
	back := m.ProtoReflect().New().Interface()
	if err := reference.Unmarshal(one, back); err != nil {
		return fmt.Errorf("marshal deterministically: protobuf-go refuses the result: %w", err)
	}
	if err := same(equal, back); err != nil {
		return fmt.Errorf("marshal deterministically: %w", err)
	}
	// Protobuf-go makes signalling NaNs in maps quiet, in both messages now.
	if quiet, err := c.Deterministic(nil, back); err == nil && len(one) == len(two) && bytes.Equal(quiet, two) {
		return nil
	}
	again, err := c.Deterministic(nil, m)
	if err != nil || bytes.Equal(one, again) && !identical(m, equal) {
		return err
	}
	return fmt.Errorf("marshal deterministically: %x and %x for equal messages", clip(one), clip(two))
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
