package fill

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// unknown adds a few fields to m that its type does not know.
func (f *Filler) unknown(m protoreflect.Message, depth int) {
	b := m.GetUnknown()
	for range 1 + f.rand.IntN(3) {
		number := f.number()
		if f.isKnown(m.Descriptor(), number) {
			continue
		}
		if isMessageSet(m.Descriptor()) {
			// Its items hold messages and nothing else.
			b = protowire.AppendTag(b, number, protowire.BytesType)
			b = protowire.AppendBytes(b, f.bytes())
			continue
		}
		b = f.appendUnknown(b, number, depth)
	}
	m.SetUnknown(b)
}

// number returns a field number, often one whose tag just takes a byte more.
func (f *Filler) number() protowire.Number {
	edges := [...]protowire.Number{1, 15, 16, 2047, 2048, 262143, 262144, protowire.MaxValidNumber}
	if f.one(2) {
		return edges[f.rand.IntN(len(edges))]
	}
	return protowire.Number(1 + f.rand.Int32N(int32(protowire.MaxValidNumber)))
}

func (f *Filler) isKnown(md protoreflect.MessageDescriptor, number protowire.Number) bool {
	if md.Fields().ByNumber(number) != nil {
		return true
	}
	for _, xt := range f.extensionsOf(md) {
		if xt.TypeDescriptor().Number() == number {
			return true
		}
	}
	return false
}

// isMessageSet reports whether a type has the wire format of MessageSet.
func isMessageSet(md protoreflect.MessageDescriptor) bool {
	d, ok := md.(interface{ IsMessageSet() bool })
	return ok && d.IsMessageSet()
}

// appendUnknown appends a field of any wire type. In groups there are more.
func (f *Filler) appendUnknown(b []byte, number protowire.Number, depth int) []byte {
	kind := protowire.Type(f.rand.IntN(int(protowire.Fixed32Type) + 1))
	if kind == protowire.StartGroupType && depth <= 0 || kind == protowire.EndGroupType {
		kind = protowire.VarintType
	}
	b = protowire.AppendTag(b, number, kind)
	switch kind {
	case protowire.VarintType:
		return protowire.AppendVarint(b, f.integer())
	case protowire.Fixed32Type:
		return protowire.AppendFixed32(b, f.rand.Uint32())
	case protowire.Fixed64Type:
		return protowire.AppendFixed64(b, f.rand.Uint64())
	case protowire.StartGroupType:
		for range f.rand.IntN(3) {
			b = f.appendUnknown(b, f.number(), depth-1)
		}
		return protowire.AppendTag(b, number, protowire.EndGroupType)
	}
	return protowire.AppendBytes(b, f.bytes())
}
