package status

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
)

// typeURLPrefix stands before a message's full name in a type URL.
const typeURLPrefix = "type.googleapis.com/"

// WithDetails returns a copy with the given messages added as details. They
// are serialized before it returns. The error says which one cannot be, and
// the returned *Error is then e itself.
func (e *Error) WithDetails(msgs ...proto.Message) (*Error, error) {
	details := make([]Detail, 0, len(e.details)+len(msgs))
	details = append(details, e.details...)
	for _, m := range msgs {
		if m == nil {
			return e, fmt.Errorf("status: detail is nil")
		}
		name := m.ProtoReflect().Descriptor().FullName()
		value, err := proto.Marshal(m)
		if err != nil {
			return e, fmt.Errorf("status: detail %s: %w", name, err)
		}
		details = append(details, Detail{Type: typeURLPrefix + string(name), Value: value})
	}
	c := *e
	c.details = slices.Clip(details)
	return &c, nil
}

// DetailAs returns the first detail of err's *Error that is a message of type
// T, a generated message's pointer type. It is false if there is none; a detail
// that names the type and does not parse counts as none.
func DetailAs[T proto.Message](err error) (T, bool) {
	var zero T
	if any(zero) == nil {
		return zero, false
	}
	typ := zero.ProtoReflect().Type()
	name := string(typ.Descriptor().FullName())
	for _, d := range FromError(err).Details() {
		if d.Type[strings.LastIndexByte(d.Type, '/')+1:] != name {
			continue
		}
		msg := typ.New().Interface()
		if proto.Unmarshal(d.Value, msg) == nil {
			return msg.(T), true
		}
	}
	return zero, false
}
