package difftest

import (
	"bytes"
	"fmt"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// canonical marshals equal messages to equal bytes, unless their types keep
// some fields as they came.
var canonical = proto.MarshalOptions{Deterministic: true, AllowPartial: true}

// same returns an error unless two messages are equal, the bytes of their
// unknown fields included.
func same(want, got proto.Message) error {
	a, err := canonical.Marshal(want)
	if err != nil {
		return fmt.Errorf("protobuf-go cannot marshal its own message: %w", err)
	}
	b, err := canonical.Marshal(got)
	if err != nil {
		return fmt.Errorf("protobuf-go cannot marshal the codec's message: %w", err)
	}
	if bytes.Equal(a, b) {
		return nil
	}
	if !proto.Equal(want, got) {
		return fmt.Errorf("messages differ:\nwant %s\ngot  %s", text(want), text(got))
	}
	return sameUnknown(want.ProtoReflect(), got.ProtoReflect())
}

// identical reports whether protobuf-go marshals two messages to the same bytes.
func identical(a, b proto.Message) bool {
	one, err := canonical.Marshal(a)
	if err != nil {
		return false
	}
	two, err := canonical.Marshal(b)
	return err == nil && bytes.Equal(one, two)
}

// sameUnknown compares the unknown fields of two messages that are equal, and
// of those in them.
func sameUnknown(want, got protoreflect.Message) (err error) {
	if !bytes.Equal(want.GetUnknown(), got.GetUnknown()) {
		return fmt.Errorf("%s: unknown fields %x, want %x",
			want.Descriptor().FullName(), clip(got.GetUnknown()), clip(want.GetUnknown()))
	}
	want.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsMap():
			if fd.MapValue().Message() == nil {
				return true
			}
			other := got.Get(fd).Map()
			v.Map().Range(func(key protoreflect.MapKey, v protoreflect.Value) bool {
				err = sameUnknown(v.Message(), other.Get(key).Message())
				return err == nil
			})
		case fd.Message() == nil:
		case fd.IsList():
			other := got.Get(fd).List()
			for i := 0; i < v.List().Len() && err == nil; i++ {
				err = sameUnknown(v.List().Get(i).Message(), other.Get(i).Message())
			}
		default:
			err = sameUnknown(v.Message(), got.Get(fd).Message())
		}
		return err == nil
	})
	return err
}

// text describes a message in a line.
func text(m proto.Message) string {
	s := prototext.MarshalOptions{AllowPartial: true, EmitUnknown: true}.Format(m)
	return string(clip([]byte(s)))
}
