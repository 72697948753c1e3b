package fill

import (
	"math"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// scalar returns a value for a field that is no message: one at the edge of
// what its kind or its varint holds as often as any.
func (f *Filler) scalar(fd protoreflect.FieldDescriptor) protoreflect.Value {
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(f.one(2))
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(f.enum(fd.Enum()))
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(f.integer()))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(f.integer()))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(int64(f.integer()))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(f.integer())
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(f.float32())
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(f.float64())
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(f.text(validUTF8(fd) || !f.InvalidUTF8))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(f.bytes())
	}
	panic("fill: " + string(fd.FullName()) + " is no scalar")
}

// integer returns 64 bits: zero, small, around a power of two, the negative of
// these, or any.
func (f *Filler) integer() uint64 {
	var n uint64
	switch f.rand.IntN(4) {
	case 0:
		n = uint64(f.rand.IntN(4))
	case 1, 2:
		n = 1<<f.rand.IntN(64) - uint64(f.rand.IntN(3))
	case 3:
		n = f.rand.Uint64()
	}
	if f.one(4) {
		n = -n
	}
	return n
}

func (f *Filler) float32() float32 {
	edges := [...]float32{
		0, float32(math.Copysign(0, -1)), 1, -1, math.MaxFloat32, math.SmallestNonzeroFloat32,
		float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()),
	}
	if f.one(2) {
		return edges[f.rand.IntN(len(edges))]
	}
	return math.Float32frombits(f.rand.Uint32())
}

func (f *Filler) float64() float64 {
	edges := [...]float64{
		0, math.Copysign(0, -1), 1, -1, math.MaxFloat64, math.SmallestNonzeroFloat64,
		math.Inf(1), math.Inf(-1), math.NaN(),
	}
	if f.one(2) {
		return edges[f.rand.IntN(len(edges))]
	}
	return math.Float64frombits(f.rand.Uint64())
}

// enum returns a number that the enum has or, if it is open, any once in a while.
func (f *Filler) enum(ed protoreflect.EnumDescriptor) protoreflect.EnumNumber {
	if !ed.IsClosed() && f.one(8) {
		return protoreflect.EnumNumber(int32(f.integer()))
	}
	return ed.Values().Get(f.rand.IntN(ed.Values().Len())).Number()
}
