package jsoncodec

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/rpcx-go/rpcx/runtime/codec"
)

// unmarshalAny decodes as protojson does.
var unmarshalAny = proto.UnmarshalOptions{AllowPartial: true}

var errTooDeep = fmt.Errorf("messages are nested deeper than %d", codec.MaxNesting)

// checkNesting returns an error if m has messages deeper than depth in it, or Anys
// deeper than anys. It looks into each Any: protojson expands them however deep they are, and copies
// what is in them each time, although their depth is up to whoever made the
// bytes.
func checkNesting(m protoreflect.Message, depth, anys int) error {
	if depth == 0 {
		return errTooDeep
	}
	if m.Descriptor().FullName() == "google.protobuf.Any" {
		return checkAny(m, depth, anys)
	}
	var err error
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
			if f.MapValue().Message() == nil {
				return true
			}
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				err = checkNesting(v.Message(), depth-1, anys)
				return err == nil
			})
		case f.Message() == nil:
		case f.IsList():
			list := v.List()
			for i := 0; i < list.Len() && err == nil; i++ {
				err = checkNesting(list.Get(i).Message(), depth-1, anys)
			}
		default:
			err = checkNesting(v.Message(), depth-1, anys)
		}
		return err == nil
	})
	return err
}

// checkAny is checkNesting for what is in a. What cannot be decoded is left for
// protojson to complain about.
func checkAny(a protoreflect.Message, depth, anys int) error {
	fields := a.Descriptor().Fields()
	url, value := a.Get(fields.ByNumber(1)), a.Get(fields.ByNumber(2))
	t, err := protoregistry.GlobalTypes.FindMessageByURL(url.String())
	if err != nil {
		return nil
	}
	if anys == 0 {
		return errManyAnys
	}
	m := t.New()
	if unmarshalAny.Unmarshal(value.Bytes(), m.Interface()) != nil {
		return nil
	}
	return checkNesting(m, depth-1, anys-1)
}
