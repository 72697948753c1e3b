package model

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/gofeaturespb"
)

// GlueFile is what the template for glue prints.
type GlueFile struct {
	*File
	Messages []*GlueMessage
}

// GlueMessage is a message, as the template for glue sees it.
type GlueMessage struct {
	Name string
	// SizeFunc, PutFunc and ParseFunc begin the declarations of the functions,
	// up to the parameters that methods and functions share.
	SizeFunc, PutFunc, ParseFunc string
	// Info is what is known of the message, an expression.
	Info string
	// Methods says that the glue is methods, and that there are all of them.
	Methods bool
	// Check is the expression of an error if required fields are missing; empty
	// if none can be.
	Check string

	// Required says that it has required fields.
	Required bool
	// Wholly says that protobuf-go does all of the work.
	Wholly bool
	// Extendable says that extensions may be set, which protobuf-go works on.
	Extendable bool
	Foreign    GlueForeign
	Wire       GlueWire

	Fields []*GlueField // by number
	// Backward has the same fields from the last to the first.
	Backward []*GlueField

	// Unknown is the expression of the unknown fields, ParseUnknown the statement
	// that adds one.
	Unknown, ParseUnknown string
}

// GlueForeign names what the template needs of package foreign: the first two for
// methods, the others where the message is Wholly or Extendable.
type GlueForeign struct {
	Append, Unmarshal                                string
	SizeWhole, PutWhole, ParseWhole, ParseExtensions string
}

// GlueWire names what the template needs of package wire.
type GlueWire struct {
	Buffer, Parser, Varint, Info string
}

// GlueField is a field, or a oneof with its fields.
type GlueField struct {
	// Cond says when the field is there; empty for lists and maps, which may be
	// empty.
	Cond string
	// Each is the list that is gone through, if it is one: with the value v to be
	// sized, with the index k to be put.
	Each string
	// Size is added to the size, Put is the buffer with it.
	Size, Put string
	// Total is added to the size for the whole of Each, if all values in it have
	// the same size.
	Total string
	// Missing is the statement for a required field that is not there.
	Missing string
	// Cases parse the field.
	Cases []*GlueCase

	// Switch is what decides between the members of a oneof, and Members are
	// they; each has the case in Cond.
	Switch  string
	Members []*GlueField
	// Wrapped says that members are structs that may be nil.
	Wrapped bool
}

// GlueCase parses a field that comes with one tag.
type GlueCase struct {
	Tag   string
	Lines []string
}

// Glue returns the file of glue for file's messages. It names every identifier
// through ident.
func (m *Model) Glue(file *protogen.File, ident Ident) *GlueFile {
	f := &GlueFile{File: m.header(file, m.outputs[file].Glue)}
	f.VersionConst = ident(glueVersionConst)
	walkMessages(file.Messages, func(msg *protogen.Message) {
		if m.glue.has[msg] {
			f.Messages = append(f.Messages, m.glueMessage(file, msg, ident))
		}
	})
	return f
}

func (m *Model) glueMessage(file *protogen.File, msg *protogen.Message, ident Ident) *GlueMessage {
	w := &glueWriter{m: m, file: file, msg: msg, ident: ident, accessors: msg.APILevel != gofeaturespb.GoFeatures_API_OPEN}
	g := &GlueMessage{
		Name:       ident(msg.GoIdent),
		Info:       w.info(),
		Required:   msg.Desc.RequiredNumbers().Len() > 0,
		Extendable: msg.Desc.ExtensionRanges().Len() > 0,
		Wholly:     msg.Desc.Options().(*descriptorpb.MessageOptions).GetMessageSetWireFormat(),
		Wire: GlueWire{
			Buffer: w.wire("Buffer"), Parser: w.wire("Parser"), Varint: w.wire("Varint"),
			Info: w.wire("Info"),
		},
	}
	if m.opts.Functions {
		w.declareFunctions(g)
	} else {
		w.declareMethods(g)
	}
	if g.Wholly || g.Extendable {
		g.Foreign.SizeWhole, g.Foreign.PutWhole = w.foreign("SizeWhole"), w.foreign("PutWhole")
	}
	if g.Wholly {
		g.Foreign.ParseWhole = w.foreign("ParseWhole")
		return g
	}
	if g.Extendable {
		g.Foreign.ParseExtensions = w.foreign("ParseExtensions")
		g.ParseUnknown = "unknown, i = p.Unknown(unknown, b, i, tag)"
	}
	w.fields(g)
	return g
}

// declareMethods has g's glue be methods.
func (w *glueWriter) declareMethods(g *GlueMessage) {
	g.Methods = true
	receiver := "func (x *" + g.Name + ") "
	g.SizeFunc, g.PutFunc, g.ParseFunc = receiver+"SizeRPCX()", receiver+"PutRPCX(", receiver+"ParseRPCX("
	g.Unknown = "x.unknownFields"
	g.ParseUnknown = "x.unknownFields, i = p.Unknown(x.unknownFields, b, i, tag)"
	g.Foreign.Append, g.Foreign.Unmarshal = w.foreign("Append"), w.foreign("Unmarshal")
	if w.m.glue.mayLack[w.msg] {
		g.Check = w.foreign("CheckInitialized") + "(x)"
	}
}

// declareFunctions has g's glue be functions of the package known, which has
// no access to what messages do not export.
func (w *glueWriter) declareFunctions(g *GlueMessage) {
	name := w.msg.GoIdent.GoName
	param := "(x *" + g.Name
	g.SizeFunc = fmt.Sprintf("// Size%s, Put%s and Parse%s are the glue of %s.\nfunc Size%s%s)", name, name, name, g.Name, name, param)
	g.PutFunc, g.ParseFunc = "func Put"+name+param+", ", "func Parse"+name+param+", "
	g.Unknown = "x.ProtoReflect().GetUnknown()"
	g.ParseUnknown = "i = " + w.foreign("ParseUnknown") + "(x, b, i, p, tag)"
}

// info returns the expression of what is known of the message's type.
func (w *glueWriter) info() string {
	var flags []string
	if w.m.glue.text[w.msg] {
		flags = append(flags, w.wire("HasText"))
		if w.m.glue.oneText(w.msg) {
			flags = append(flags, w.wire("OneText"))
		}
	}
	if w.m.glue.mayLack[w.msg] {
		flags = append(flags, w.wire("MayLack"))
	}
	return cmp.Or(strings.Join(flags, " | "), "0")
}

// fields adds the fields and oneofs of w's message, by number.
func (w *glueWriter) fields(g *GlueMessage) {
	fields := slices.Clone(w.msg.Fields)
	slices.SortFunc(fields, func(a, b *protogen.Field) int { return cmp.Compare(a.Desc.Number(), b.Desc.Number()) })
	oneofs := make(map[*protogen.Oneof]*GlueField)
	for _, field := range fields {
		f := w.field(field)
		if !inOneof(field) {
			g.Fields = append(g.Fields, f)
			continue
		}
		group := oneofs[field.Oneof]
		if group == nil {
			group = w.oneof(field.Oneof)
			oneofs[field.Oneof] = group
			g.Fields = append(g.Fields, group)
		}
		group.Members = append(group.Members, f)
		group.Cases = append(group.Cases, f.Cases...)
	}
	g.Backward = slices.Clone(g.Fields)
	slices.Reverse(g.Backward)
}

// inOneof reports whether a field is a member of a oneof of the proto.
func inOneof(field *protogen.Field) bool {
	return field.Oneof != nil && !field.Oneof.Desc.IsSynthetic()
}
