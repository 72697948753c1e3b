package foreign

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rpcx-go/rpcx/runtime/wire"
)

// Message is a message with glue.
type Message interface {
	wire.Message
	proto.Message
}

// Append is [wire.Append] whose errors name the field.
func Append(b []byte, m Message) ([]byte, error) {
	out, err := wire.Append(b, m)
	if err != nil {
		err = ExplainPut(err, m)
	}
	return out, err
}

// Unmarshal is [wire.Unmarshal] whose errors name the field.
func Unmarshal(b []byte, m Message) error {
	err := wire.Unmarshal(b, m)
	if err != nil {
		err = ExplainParse(err, b, m)
	}
	return err
}

// ExplainPut returns err, which is why m cannot be marshalled, with the name of the
// first field that is found to hold what is not UTF-8, if there is one.
func ExplainPut(err error, m proto.Message) error {
	if errors.Is(err, wire.ErrChanged) {
		return err // who reads it now may read anything
	}
	return withField(err, badField(m.ProtoReflect()))
}

// ExplainParse returns err, which is why b cannot be parsed as an m, with the name of
// the field where that is found, or the message's if it has no such field. It goes
// through b once.
func ExplainParse(err error, b []byte, m proto.Message) error {
	_, at := malformed(b, m.ProtoReflect().Descriptor(), 0, wire.MaxNesting)
	return withField(err, at)
}

func withField(err error, name protoreflect.FullName) error {
	if name == "" {
		return err
	}
	return fmt.Errorf("%w (at %s)", err, name)
}

// badField returns the name of the first field within m with text that is not UTF-8.
func badField(m protoreflect.Message) (at protoreflect.FullName) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		value := fd
		bad := func(v protoreflect.Value) bool {
			switch {
			case value.Message() != nil:
				at = badField(v.Message())
			case mustBeUTF8(value) && !utf8.ValidString(v.String()):
				at = fd.FullName()
			}
			return at == ""
		}
		switch {
		case fd.IsMap():
			v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				value = fd.MapKey()
				if !bad(k.Value()) {
					return false
				}
				value = fd.MapValue()
				return bad(v)
			})
		case fd.IsList():
			for i := 0; i < v.List().Len() && bad(v.List().Get(i)); i++ {
			}
		default:
			bad(v)
		}
		return at == ""
	})
	return at
}

// malformed goes through the fields in b, those of a group up to the tag that ends it
// if group is not 0. It returns how many bytes they have, or, as soon as one is
// malformed, its name.
func malformed(b []byte, md protoreflect.MessageDescriptor, group protowire.Number, depth int) (int, protoreflect.FullName) {
	if depth <= 0 {
		return 0, md.FullName()
	}
	for i := 0; i < len(b); {
		number, t, n := protowire.ConsumeTag(b[i:])
		if n < 0 {
			return 0, md.FullName()
		}
		i += n
		if t == protowire.EndGroupType && number == group {
			return i, ""
		}
		fd := md.Fields().ByNumber(number)
		var at protoreflect.FullName
		if fd != nil && t == protowire.StartGroupType && fd.Kind() == protoreflect.GroupKind {
			n, at = malformed(b[i:], fd.Message(), number, depth-1)
		} else if n = protowire.ConsumeFieldValue(number, t, b[i:]); n < 0 {
			at = nameOf(fd, md)
		} else if fd != nil && t == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(b[i:])
			at = malformedValue(value, fd, depth)
		}
		if at != "" {
			return 0, at
		}
		i += n
	}
	if group != 0 {
		return 0, md.FullName()
	}
	return len(b), ""
}

// nameOf returns the name of a field of md, md's if it is not known.
func nameOf(fd protoreflect.FieldDescriptor, md protoreflect.MessageDescriptor) protoreflect.FullName {
	if fd == nil {
		return md.FullName()
	}
	return fd.FullName()
}

// malformedValue returns the name of the field with value, which had its length before
// it, or of one within, if it is malformed.
func malformedValue(value []byte, fd protoreflect.FieldDescriptor, depth int) protoreflect.FullName {
	switch {
	case fd.IsMap():
		_, at := malformed(value, fd.Message(), 0, depth)
		if at.Parent() == fd.Message().FullName() || at == fd.Message().FullName() {
			return fd.FullName() // the entry is nothing that anybody has named
		}
		return at
	case fd.Kind() == protoreflect.MessageKind:
		_, at := malformed(value, fd.Message(), 0, depth-1)
		return at
	case mustBeUTF8(fd) && !utf8.Valid(value), fd.IsList() && !packed(value, fd.Kind()):
		return fd.FullName()
	}
	return ""
}

// packed reports whether value is a packed list of a kind, which every value is of
// kinds that are not packed.
func packed(value []byte, kind protoreflect.Kind) bool {
	switch kind {
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.GroupKind:
		return true
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return len(value)%4 == 0
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return len(value)%8 == 0
	}
	for len(value) > 0 {
		_, n := protowire.ConsumeVarint(value)
		if n < 0 {
			return false
		}
		value = value[n:]
	}
	return true
}

// mustBeUTF8 reports whether fd is text.
func mustBeUTF8(fd protoreflect.FieldDescriptor) bool {
	if fd.Kind() != protoreflect.StringKind {
		return false
	}
	if fd, ok := fd.(interface{ EnforceUTF8() bool }); ok {
		return fd.EnforceUTF8()
	}
	return fd.ParentFile().Syntax() == protoreflect.Proto3
}
