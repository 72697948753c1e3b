package difftest

import (
	"math/rand/v2"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// mutatedDepth is how deep the mutator looks into messages.
const mutatedDepth = 3

// mutator writes messages in other ways than a marshaller would: fields in
// another order, twice or not at all, varints longer than need be, lists
// packed or not, numbers and wire types that the type does not expect.
type mutator struct {
	rand *rand.Rand
}

// wireField is a field as it is written: its tag and what follows that.
type wireField struct {
	number protowire.Number
	kind   protowire.Type
	value  []byte
}

// message rewrites a message; md is nil if its type is not known. What is no
// message stays as it is.
func (m mutator) message(md protoreflect.MessageDescriptor, data []byte, depth int) []byte {
	fields, ok := split(data)
	if !ok || len(fields) == 0 {
		return data
	}
	if m.one(4) {
		m.rand.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	}
	var out []byte
	for _, f := range fields {
		var fd protoreflect.FieldDescriptor
		if md != nil {
			fd = md.Fields().ByNumber(f.number)
		}
		out = m.field(out, fd, f, depth)
	}
	return out
}

// split returns the fields of a message.
func split(data []byte) (fields []wireField, ok bool) {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return nil, false
		}
		data = data[n:]
		if n = protowire.ConsumeFieldValue(number, kind, data); n < 0 {
			return nil, false
		}
		fields = append(fields, wireField{number, kind, data[:n]})
		data = data[n:]
	}
	return fields, true
}

// field appends a field, mostly changed.
func (m mutator) field(out []byte, fd protoreflect.FieldDescriptor, f wireField, depth int) []byte {
	switch m.rand.IntN(12) {
	case 0:
		return out
	case 1:
		out = m.plain(out, f)
	case 2:
		if md := f.messageOf(fd); md != nil && depth > 0 && f.kind == protowire.BytesType {
			inner, _ := protowire.ConsumeBytes(f.value)
			f.value = m.appendLength(nil, m.message(md, inner, depth-1))
		}
	case 3:
		if f.kind == protowire.VarintType {
			f.value = m.appendVarint(nil, m.rand.Uint64()>>m.rand.IntN(64))
		}
	case 4:
		f.number = max(1, f.number+protowire.Number(m.rand.IntN(5)-2))
	case 5:
		return m.retype(out, f)
	case 6, 7:
		if fd != nil && fd.IsList() {
			return m.repack(out, fd, f)
		}
	case 8:
		if f.kind == protowire.BytesType {
			v, _ := protowire.ConsumeBytes(f.value)
			f.value = m.appendLength(nil, v)
		}
	}
	return m.plain(out, f)
}

func (f wireField) messageOf(fd protoreflect.FieldDescriptor) protoreflect.MessageDescriptor {
	if fd == nil {
		return nil
	}
	return fd.Message()
}

// plain appends a field as it is, but for the length of its tag.
func (m mutator) plain(out []byte, f wireField) []byte {
	out = m.appendVarint(out, protowire.EncodeTag(f.number, f.kind))
	if f.kind == protowire.VarintType && m.one(4) {
		v, _ := protowire.ConsumeVarint(f.value)
		return m.appendVarint(out, v)
	}
	return append(out, f.value...)
}

// retype appends a field with another wire type, and a value that fits it.
func (m mutator) retype(out []byte, f wireField) []byte {
	f.kind = protowire.Type(m.rand.IntN(8)) // two of which do not exist
	switch f.kind {
	case protowire.VarintType:
		f.value = m.appendVarint(nil, m.rand.Uint64()>>m.rand.IntN(64))
	case protowire.Fixed32Type:
		f.value = protowire.AppendFixed32(nil, m.rand.Uint32())
	case protowire.Fixed64Type:
		f.value = protowire.AppendFixed64(nil, m.rand.Uint64())
	case protowire.BytesType:
		f.value = m.appendLength(nil, f.value)
	case protowire.StartGroupType:
		inner := f.value
		if _, ok := split(inner); !ok {
			inner = nil
		}
		f.value = protowire.AppendTag(append([]byte(nil), inner...), f.number, protowire.EndGroupType)
	}
	return m.plain(out, f)
}

// repack appends what a packed list holds as single fields, or the other way
// round, or a packed list in two parts.
func (m mutator) repack(out []byte, fd protoreflect.FieldDescriptor, f wireField) []byte {
	element, ok := elementType(fd.Kind())
	if !ok {
		return m.plain(out, f)
	}
	if f.kind != protowire.BytesType {
		return m.plain(out, wireField{f.number, protowire.BytesType, m.appendLength(nil, f.value)})
	}
	packed, _ := protowire.ConsumeBytes(f.value)
	for len(packed) > 0 {
		n := protowire.ConsumeFieldValue(f.number, element, packed)
		if n < 0 {
			return out
		}
		if m.one(5) {
			return m.plain(out, wireField{f.number, protowire.BytesType, m.appendLength(nil, packed)})
		}
		out = m.plain(out, wireField{f.number, element, packed[:n]})
		packed = packed[n:]
	}
	return out
}

// elementType returns the wire type of the elements of a list that can be packed.
func elementType(kind protoreflect.Kind) (t protowire.Type, packable bool) {
	switch kind {
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind, protoreflect.GroupKind:
		return 0, false
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return protowire.Fixed32Type, true
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return protowire.Fixed64Type, true
	}
	return protowire.VarintType, true
}

func (m mutator) appendLength(out, value []byte) []byte {
	return append(m.appendVarint(out, uint64(len(value))), value...)
}

// appendVarint appends a varint that is sometimes longer than need be, and
// once in a while too long.
func (m mutator) appendVarint(out []byte, v uint64) []byte {
	out = protowire.AppendVarint(out, v)
	if !m.one(12) {
		return out
	}
	for range 1 + m.rand.IntN(3+m.rand.IntN(8)) {
		out[len(out)-1] |= 0x80
		out = append(out, 0)
	}
	return out
}

func (m mutator) one(n int) bool { return m.rand.IntN(n) == 0 }
