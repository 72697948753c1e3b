package difftest

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/rpcx-go/rpcx/runtime/codec"
)

// tooDeep reports whether messages and unknown groups in data are nested
// deeper than codecs allow. data is valid for md.
func tooDeep(md protoreflect.MessageDescriptor, data []byte) bool {
	_, ok := walk(md, data, 0, codec.MaxNesting)
	return !ok
}

// walk goes through a message, or through a group if number is not 0, and
// returns how long it is and whether it stays within the limit. md is nil in
// unknown groups.
func walk(md protoreflect.MessageDescriptor, data []byte, group protowire.Number, limit int) (length int, ok bool) {
	if limit--; limit < 0 {
		return 0, false
	}
	all := len(data)
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return all, true
		}
		data = data[n:]
		switch kind {
		case protowire.EndGroupType:
			if number == group {
				return all - len(data), true
			}
		case protowire.StartGroupType:
			n, ok = walk(messageOf(md, number), data, number, limit)
			if !ok {
				return 0, false
			}
		default:
			n = protowire.ConsumeFieldValue(number, kind, data)
			if n < 0 {
				return all, true
			}
			if inner := messageOf(md, number); inner != nil && kind == protowire.BytesType {
				value, _ := protowire.ConsumeBytes(data)
				if _, ok := walk(inner, value, 0, limit); !ok {
					return 0, false
				}
			}
		}
		data = data[n:]
	}
	return all, true
}

// messageOf returns the type of a field, or nil if it is no message or unknown.
func messageOf(md protoreflect.MessageDescriptor, number protowire.Number) protoreflect.MessageDescriptor {
	if md == nil {
		return nil
	}
	if fd := md.Fields().ByNumber(number); fd != nil {
		return fd.Message()
	}
	if xt, err := protoregistry.GlobalTypes.FindExtensionByNumber(md.FullName(), number); err == nil {
		return xt.TypeDescriptor().Message()
	}
	return nil
}
