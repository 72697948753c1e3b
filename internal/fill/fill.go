// Package fill fills messages of any type with random contents, by
// reflection: fields of all kinds with and without presence, lists, maps,
// oneofs, groups, extensions and unknown fields. It serves tests that compare
// one way to handle messages with another.
package fill

import (
	"math/rand/v2"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Filler fills messages. The same seed fills the same messages with the same
// contents, in the same order of calls. It is not for concurrent use.
type Filler struct {
	// Depth is how deep messages are nested in the one that is filled.
	// Required messages are filled below it too, but sparsely, so that a
	// message is complete unless its type cannot be.
	Depth int
	// Values is about how many values a message is given with everything in it.
	Values int
	// Elements is how many elements lists and maps usually have at most; one in
	// some dozens has more.
	Elements int
	// Unknown adds fields that the message's type does not know.
	Unknown bool
	// InvalidUTF8 lets strings be invalid where the type does not ask for UTF-8.
	InvalidUTF8 bool
	// Types are where extensions are found.
	Types *protoregistry.Types

	rand       *rand.Rand
	left       int // values until only what must be is filled
	extensions map[protoreflect.FullName][]protoreflect.ExtensionType
}

// New returns a filler with a moderate depth and size, unknown fields, and the
// extensions that are linked in.
func New(seed uint64) *Filler {
	return &Filler{
		Depth: 4, Values: 100, Elements: 3,
		Unknown: true, InvalidUTF8: true,
		Types:      protoregistry.GlobalTypes,
		rand:       rand.New(rand.NewPCG(seed, 0)),
		extensions: make(map[protoreflect.FullName][]protoreflect.ExtensionType),
	}
}

// Fill fills m, an empty message.
func (f *Filler) Fill(m protoreflect.Message) {
	f.left = f.Values
	f.message(m, f.Depth)
}

// requiredDepth is how far below Depth required messages are filled.
const requiredDepth = 20

// message fills m; depth is how many levels may follow below it, and negative
// where only required fields are set.
func (f *Filler) message(m protoreflect.Message, depth int) {
	if depth < -requiredDepth {
		return
	}
	md := m.Descriptor()
	density := f.density(md)
	for _, fd := range f.order(md) {
		required := fd.Cardinality() == protoreflect.Required
		if !required && (f.left <= 0 || depth < 0 || f.rand.Float64() >= density) {
			continue
		}
		f.field(m, fd, depth)
	}
	if f.left <= 0 || depth < 0 {
		return
	}
	for _, xt := range f.extensionsOf(md) {
		if f.rand.Float64() < density {
			f.field(m, xt.TypeDescriptor(), depth)
		}
	}
	if f.Unknown && f.one(4) {
		f.unknown(m, depth)
	}
}

// density returns the share of the fields of a message that are set: all, few
// or some.
func (f *Filler) density(md protoreflect.MessageDescriptor) float64 {
	switch f.rand.IntN(6) {
	case 0:
		return 1
	case 1:
		return 2 / float64(2+md.Fields().Len())
	}
	return f.rand.Float64()
}

// order returns the fields in a random order, because the last one that is set
// in a oneof stays, and the first ones are those that the limit on values allows.
func (f *Filler) order(md protoreflect.MessageDescriptor) []protoreflect.FieldDescriptor {
	fields := make([]protoreflect.FieldDescriptor, md.Fields().Len())
	for i := range fields {
		fields[i] = md.Fields().Get(i)
	}
	f.rand.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	return fields
}

// extensionsOf returns the extensions of a type by number.
func (f *Filler) extensionsOf(md protoreflect.MessageDescriptor) []protoreflect.ExtensionType {
	if md.ExtensionRanges().Len() == 0 || f.Types == nil {
		return nil
	}
	all, ok := f.extensions[md.FullName()]
	if !ok {
		f.Types.RangeExtensionsByMessage(md.FullName(), func(xt protoreflect.ExtensionType) bool {
			all = append(all, xt)
			return true
		})
		slices.SortFunc(all, func(a, b protoreflect.ExtensionType) int {
			return int(a.TypeDescriptor().Number() - b.TypeDescriptor().Number())
		})
		f.extensions[md.FullName()] = all
	}
	return all
}

// field sets one field.
func (f *Filler) field(m protoreflect.Message, fd protoreflect.FieldDescriptor, depth int) {
	f.left--
	switch {
	case fd.IsMap():
		entries := m.NewField(fd)
		for range f.elements(false) {
			value := entries.Map().NewValue()
			f.singular(fd.MapValue(), &value, depth-1)
			entries.Map().Set(f.mapKey(fd.MapKey()), value)
		}
		m.Set(fd, entries)
	case fd.IsList():
		list := m.NewField(fd)
		for range f.elements(fd.Message() == nil) {
			value := list.List().NewElement()
			f.singular(fd, &value, depth-1)
			list.List().Append(value)
		}
		m.Set(fd, list)
	default:
		value := m.NewField(fd)
		f.singular(fd, &value, depth-1)
		m.Set(fd, value)
	}
}

// singular fills *v if it is a message, and replaces it otherwise.
func (f *Filler) singular(fd protoreflect.FieldDescriptor, v *protoreflect.Value, depth int) {
	if fd.Message() == nil {
		*v = f.scalar(fd)
		return
	}
	f.message(v.Message(), depth)
}

// mapKey returns a key of a map. Keys have no defaults, but are scalars else.
func (f *Filler) mapKey(fd protoreflect.FieldDescriptor) protoreflect.MapKey {
	return f.scalar(fd).MapKey()
}

// elements returns how many elements a list or map gets. Lists of scalars
// may be so long that their length takes two bytes.
func (f *Filler) elements(scalars bool) int {
	if scalars && f.one(30) {
		return f.rand.IntN(150)
	}
	n := f.rand.IntN(f.Elements + 1)
	f.left -= n
	return n
}

// one reports true once in n times.
func (f *Filler) one(n int) bool { return f.rand.IntN(n) == 0 }

// validUTF8 reports whether strings of a field have to be valid.
func validUTF8(fd protoreflect.FieldDescriptor) bool {
	// Descriptors of protobuf-go have this method.
	if d, ok := fd.(interface{ EnforceUTF8() bool }); ok {
		return d.EnforceUTF8()
	}
	return true
}

// text returns a string, mostly short.
func (f *Filler) text(valid bool) string {
	samples := [...]string{"", "a", "name", "\x00", "é", "日本語", "\U0001F600", "\U0010FFFF", "\u2028", "long text "}
	var b strings.Builder
	for range f.length() {
		b.WriteString(samples[f.rand.IntN(len(samples))])
	}
	if !valid && f.one(3) {
		b.WriteByte(0xff)
	}
	return b.String()
}

// length returns how many parts a string or how many bytes a slice has.
func (f *Filler) length() int {
	switch f.rand.IntN(40) {
	case 0:
		return 100 + f.rand.IntN(100)
	case 1:
		return 0
	}
	return f.rand.IntN(6)
}

func (f *Filler) bytes() []byte {
	b := make([]byte, f.length())
	for i := range b {
		b[i] = byte(f.rand.Uint32())
	}
	return b
}
