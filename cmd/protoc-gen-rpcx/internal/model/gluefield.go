package model

import (
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// glueWriter writes the expressions for the fields of one message.
type glueWriter struct {
	m     *Model
	file  *protogen.File
	msg   *protogen.Message
	ident Ident
	// accessors says that fields are got at through methods: those of the opaque
	// API, and of the hybrid one, which is opaque with the build tag protoopaque.
	accessors bool
}

// wire names an identifier of package wire.
func (w *glueWriter) wire(name string) string { return w.ident(wirePackage.Ident(name)) }

// foreign names an identifier of package foreign.
func (w *glueWriter) foreign(name string) string { return w.ident(foreignPackage.Ident(name)) }

// format is how a kind of scalar looks in Go and on the wire. In its texts, %s
// stands for the value, and # for package wire.
type format struct {
	wireType protowire.Type
	goType   string
	size     string // of a value
	put      string // a method of wire.Buffer
	parse    string // %s: the type of the result
	isZero   string // of values without presence: when they are left out
	kind     string // the name of its Kind, for maps
	// packed are functions for lists: what they begin with, and the type argument
	// is inferred. Empty for what cannot be packed.
	sizePacked, putPacked, parsePacked string
}

var formats = map[protoreflect.Kind]format{
	protoreflect.Int32Kind:    varint("int32", "Int32Kind"),
	protoreflect.Int64Kind:    varint("int64", "Int64Kind"),
	protoreflect.Uint32Kind:   varint("uint32", "Uint32Kind"),
	protoreflect.Uint64Kind:   varint("uint64", "Uint64Kind"),
	protoreflect.EnumKind:     varint("", ""),
	protoreflect.Sint32Kind:   sint("int32", "Sint32Kind"),
	protoreflect.Sint64Kind:   sint("int64", "Sint64Kind"),
	protoreflect.Fixed32Kind:  fixed("uint32", 32, "Fixed32Kind"),
	protoreflect.Sfixed32Kind: fixed("int32", 32, "Sfixed32Kind"),
	protoreflect.Fixed64Kind:  fixed("uint64", 64, "Fixed64Kind"),
	protoreflect.Sfixed64Kind: fixed("int64", 64, "Sfixed64Kind"),
	protoreflect.FloatKind:    float("float32", "Float", 32),
	protoreflect.DoubleKind:   float("float64", "Double", 64),
	protoreflect.BoolKind: {wireType: protowire.VarintType, goType: "bool", size: "1", put: ".Bool(%s)",
		parse: "#Bool(b, i)", isZero: "!%s", kind: "BoolKind",
		sizePacked: "len(%s)", putPacked: "#PutPackedBool(b, %s)", parsePacked: "#PackedBool(%s, b, i)"},
	protoreflect.StringKind: {wireType: protowire.BytesType, goType: "string", size: "#SizeLen(len(%s))",
		put: ".String(%s)", parse: "p.String(b, i)", isZero: `%s == ""`, kind: "StringKind"},
	protoreflect.BytesKind: {wireType: protowire.BytesType, goType: "[]byte", size: "#SizeLen(len(%s))",
		put: ".Bytes(%s)", parse: "p.Bytes(b, i)", isZero: "len(%s) == 0", kind: "BytesKind"},
}

// text is the format of strings that must be UTF-8.
var text = format{wireType: protowire.BytesType, goType: "string", size: "#SizeLen(len(%s))",
	put: ".Text(%s)", parse: "p.Text(b, i)", isZero: `%s == ""`, kind: "TextKind"}

func varint(goType, kind string) format {
	parse := "#Int[%s](b, i)"
	if name, ok := strings.CutSuffix(kind, "Kind"); ok {
		parse = "#" + strings.Replace(name, "Uint64", "Varint", 1) + "(b, i)"
	}
	return format{wireType: protowire.VarintType, goType: goType, size: "#SizeVarint(uint64(%s))",
		put: ".Varint(uint64(%s))", parse: parse, isZero: "%s == 0", kind: kind,
		sizePacked: "#SizePackedInt(%s)", putPacked: "#PutPackedInt(b, %s)", parsePacked: "#PackedInt(%s, b, i)"}
}

func sint(goType, kind string) format {
	return format{wireType: protowire.VarintType, goType: goType, size: "#SizeSint(int64(%s))",
		put: ".Sint(int64(%s))", parse: "#" + strings.TrimSuffix(kind, "Kind") + "(b, i)", isZero: "%s == 0", kind: kind,
		sizePacked: "#SizePackedSint(%s)", putPacked: "#PutPackedSint(b, %s)", parsePacked: "#PackedSint(%s, b, i)"}
}

func fixed(goType string, bits int, kind string) format {
	f := format{wireType: protowire.Fixed64Type, goType: goType, isZero: "%s == 0", kind: kind,
		size: fmt.Sprint(bits / 8), put: fmt.Sprintf(".Fixed%d(uint%d(%%s))", bits, bits),
		parse: fmt.Sprintf("#Fixed%d[%%s](b, i)", bits), sizePacked: fmt.Sprintf("%d * len(%%s)", bits/8),
		putPacked: "#PutPackedFixed(b, %s)", parsePacked: "#PackedFixed(%s, b, i)"}
	if bits == 32 {
		f.wireType = protowire.Fixed32Type
	}
	return f
}

func float(goType, name string, bits int) format {
	f := fixed(goType, bits, name+"Kind")
	f.put, f.parse = "."+name+"(%s)", "#"+name+"(b, i)"
	// A negative zero is not left out.
	f.isZero = fmt.Sprintf("#Bits%d(%%s) == 0", bits)
	return f
}

// in returns pattern with package wire's name and the arguments filled in.
func (w *glueWriter) in(pattern string, args ...any) string {
	for {
		before, after, found := strings.Cut(pattern, "#")
		if !found {
			break
		}
		end := strings.IndexAny(after, "([")
		pattern = before + w.wire(after[:end]) + after[end:]
	}
	if strings.Contains(pattern, "%") {
		return fmt.Sprintf(pattern, args...)
	}
	return pattern
}

func formatOf(desc protoreflect.FieldDescriptor) format {
	if desc.Kind() == protoreflect.StringKind && enforcesUTF8(desc) {
		return text
	}
	return formats[desc.Kind()]
}

// enforcesUTF8 reports whether a string field must be UTF-8.
func enforcesUTF8(desc protoreflect.FieldDescriptor) bool {
	if d, ok := desc.(interface{ EnforceUTF8() bool }); ok {
		return d.EnforceUTF8()
	}
	return desc.ParentFile().Syntax() == protoreflect.Proto3
}

// goType returns the type of a value of field, a message's without its star.
func (w *glueWriter) goType(field *protogen.Field) string {
	switch {
	case field.Message != nil:
		return w.ident(field.Message.GoIdent)
	case field.Enum != nil:
		return w.ident(field.Enum.GoIdent)
	}
	return formats[field.Desc.Kind()].goType
}

// field returns how a field is sized, put and parsed.
func (w *glueWriter) field(field *protogen.Field) *GlueField {
	var g *GlueField
	switch {
	case field.Desc.IsMap():
		g = w.mapField(field)
	case field.Message != nil:
		g = w.messageField(field)
	case field.Desc.IsList():
		g = w.listField(field)
	default:
		g = w.scalarField(field)
	}
	if field.Desc.Cardinality() == protoreflect.Required {
		g.Missing = "b = b.Missing()"
	}
	return g
}

// value returns the expression of field's value or list, its pointer if it has one.
func (w *glueWriter) value(field *protogen.Field) string {
	switch {
	case w.accessors:
		get, _ := field.MethodName("Get")
		return "x." + get + "()"
	case inOneof(field):
		return "v." + field.GoName
	}
	return "x." + field.GoName
}

// tag returns the tag of field with a wire type, as a constant, and the bytes
// it has.
func tag(field *protogen.Field, t protowire.Type) (text string, size int) {
	v := protowire.EncodeTag(field.Desc.Number(), t)
	return fmt.Sprintf("%#02x", v), protowire.SizeVarint(v)
}

// assign returns the lines that parse by an expression, given the present value.
func (w *glueWriter) assign(field *protogen.Field, expr string) []string {
	if w.accessors {
		set, _ := field.MethodName("Set")
		return []string{"v, n := " + expr, "x." + set + "(v)", "i = n"}
	}
	if !inOneof(field) {
		return []string{"x." + field.GoName + ", i = " + expr}
	}
	wrapper := w.ident(field.GoIdent)
	if field.Message == nil {
		return []string{"v := new(" + wrapper + ")", "v." + field.GoName + ", i = " + expr, "x." + field.Oneof.GoName + " = v"}
	}
	// A message is merged into the one that is there.
	return []string{
		"v, _ := x." + field.Oneof.GoName + ".(*" + wrapper + ")",
		"if v == nil {",
		"v = new(" + wrapper + ")",
		"x." + field.Oneof.GoName + " = v",
		"}",
		"v." + field.GoName + ", i = " + expr,
	}
}

func (w *glueWriter) scalarField(field *protogen.Field) *GlueField {
	f := formatOf(field.Desc)
	tag, tagSize := tag(field, f.wireType)
	value := w.value(field)
	g := new(GlueField)
	parse := w.in(f.parse, w.goType(field))
	switch {
	case inOneof(field):
		g.Cond = w.member(field)
	case field.Desc.HasPresence() && w.accessors:
		has, _ := field.MethodName("Has")
		g.Cond = "x." + has + "()"
	case field.Desc.HasPresence():
		g.Cond = value + " != nil"
		if field.Desc.Kind() != protoreflect.BytesKind {
			value = "*" + value
			parse = w.wire("Ptr") + "(" + parse + ")"
		}
	default:
		g.Cond = unless(w.in(f.isZero, value))
	}
	g.Size = add(tagSize, w.in(f.size, value))
	g.Put = putField(w.in(f.put, value), tag)
	g.Cases = []*GlueCase{{tag, w.assign(field, parse)}}
	return g
}

// unless returns the contrary of a condition.
func unless(cond string) string {
	if rest, ok := strings.CutPrefix(cond, "!"); ok {
		return rest
	}
	return strings.Replace(cond, " == ", " != ", 1)
}

// add returns the sum of a tag's size and what size computes.
func add(tagSize int, size string) string {
	if n, err := strconv.Atoi(size); err == nil {
		return strconv.Itoa(tagSize + n)
	}
	return fmt.Sprintf("%d + %s", tagSize, size)
}

// put returns the call that puts a tag, to follow what puts the value.
func put(tag string) string {
	if isLong(tag) {
		return ".LongTag(" + tag + ")"
	}
	return ".Tag(" + tag + ")"
}

// isLong reports whether a tag has more than one byte.
func isLong(tag string) bool { return len(tag) > len("0x7f") || tag > "0x7f" }

// putField returns the expression that puts a value, for which there is a call of a
// method of Buffer, and the tag: there are methods for both if the tag is one byte.
func putField(call, tag string) string {
	if isLong(tag) {
		return "b" + call + put(tag)
	}
	method, rest, _ := strings.Cut(call, "(")
	return "b" + method + "Field(" + tag + ", " + rest
}

// expanded are the parsers of lists of a kind that have their own.
var expanded = map[protoreflect.Kind]string{
	protoreflect.StringKind: "p.Strings(%s, b, i, %s)",
	protoreflect.BytesKind:  "p.BytesList(%s, b, i, %s)",
}

func (w *glueWriter) listField(field *protogen.Field) *GlueField {
	f := formatOf(field.Desc)
	list := w.value(field)
	single, tagSize := tag(field, f.wireType)
	parse := expanded[field.Desc.Kind()]
	switch {
	case f.kind == text.kind:
		parse = "p.Texts(%s, b, i, %s)"
	case parse == "":
		one := strings.TrimSuffix(w.in(f.parse, w.goType(field)), "(b, i)")
		parse = w.wire("List") + "(%s, b, i, %s, " + one + ")"
	}
	g := &GlueField{Cases: []*GlueCase{{single, w.assign(field, fmt.Sprintf(parse, list, single))}}}
	if f.parsePacked != "" {
		packed, _ := tag(field, protowire.BytesType)
		g.Cases = append(g.Cases, &GlueCase{packed, w.assign(field, w.in(f.parsePacked, list))})
		if field.Desc.IsPacked() {
			g.Cond = "len(" + list + ") > 0"
			g.Size = add(tagSize, fmt.Sprintf("%s(%s)", w.wire("SizeLen"), w.in(f.sizePacked, list)))
			g.Put = w.in(f.putPacked, list) + put(packed)
			return g
		}
	}
	g.Each = list
	g.Size = add(tagSize, w.in(f.size, "v"))
	if _, err := strconv.Atoi(g.Size); err == nil {
		g.Total = g.Size + " * len(" + list + ")"
	}
	g.Put = putField(w.in(f.put, list+"[k]"), single)
	return g
}

func (w *glueWriter) mapField(field *protogen.Field) *GlueField {
	key, value := field.Message.Fields[0], field.Message.Fields[1]
	m := w.value(field)
	tag, tagSize := tag(field, protowire.BytesType)
	kinds := w.kind(key) + ", "
	names := [3]string{"SizeMap", "PutMap", "ParseMap"}
	var args [3]string // what follows the map and its tag
	if value.Message != nil {
		names = [3]string{"SizeMessageMap", "PutMessageMap", "ParseMessageMap"}
		funcs := w.funcs(value.Message)
		args = [3]string{kinds + funcs.size, kinds + funcs.put, kinds + funcs.parse}
	} else {
		kinds += w.kind(value)
		args = [3]string{kinds, kinds, kinds}
	}
	return &GlueField{
		Size:  fmt.Sprintf("%s(%s, %d, %s)", w.wire(names[0]), m, tagSize, args[0]),
		Put:   fmt.Sprintf("%s(b, %s, %s, %s)", w.wire(names[1]), m, tag, args[1]),
		Cases: []*GlueCase{{tag, w.assign(field, fmt.Sprintf("%s(%s, b, i, p, %s, %s)", w.wire(names[2]), m, tag, args[2]))}},
	}
}

// kind returns the expression of the Kind of a map's key or value.
func (w *glueWriter) kind(field *protogen.Field) string {
	if field.Enum == nil {
		return w.wire(formatOf(field.Desc).kind)
	}
	return fmt.Sprintf("%s[%s]()", w.wire("EnumKind"), w.ident(field.Enum.GoIdent))
}

func (w *glueWriter) oneof(oneof *protogen.Oneof) *GlueField {
	if w.accessors {
		return &GlueField{Switch: "x." + oneof.MethodName("Which") + "()"}
	}
	return &GlueField{Switch: "v := x." + oneof.GoName + ".(type)", Wrapped: true}
}

// member returns the case of a oneof's switch.
func (w *glueWriter) member(field *protogen.Field) string {
	if w.accessors {
		return fmt.Sprint(field.Desc.Number())
	}
	return "*" + w.ident(field.GoIdent)
}
