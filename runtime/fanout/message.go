package fanout

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// WithoutField returns a copy of req, a generated message, in which the field with
// the given number is not set, for generated code to put a part there. The copy
// shares what the other fields hold with req, so that neither may be changed.
func WithoutField[T any, M interface {
	*T
	proto.Message
}](req M, number protoreflect.FieldNumber) M {
	from := req.ProtoReflect()
	to := M(new(T))
	copied := to.ProtoReflect()
	from.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if field.Number() != number {
			copied.Set(field, value)
		}
		return true
	})
	copied.SetUnknown(from.GetUnknown())
	return to
}
