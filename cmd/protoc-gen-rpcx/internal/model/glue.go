package model

import (
	"cmp"
	"fmt"
	"slices"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/gofeaturespb"
)

// GlueScope says which messages get serialization glue.
type GlueScope int

// The values of the parameter glue.
const (
	GlueAll      GlueScope = iota // true
	GlueNone                      // false
	GlueServices                  // services: those that services of the run reach
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
	// Methods says that the glue is methods, and gets the rest of them.
	Methods bool
	// Check says that required fields may be missing.
	Check string

	// Wholly says that protobuf-go does all of the work.
	Wholly bool
	// Extendable says that extensions may be set.
	Extendable bool
	Foreign    GlueFuncs
	Wire       GlueWire

	Fields []*GlueField // by number
	// Backward has the same fields from the last to the first.
	Backward []*GlueField

	// Unknown is the unknown fields, ParseUnknown the statement that adds one.
	Unknown, ParseUnknown string
}

// GlueFuncs names the functions that have protobuf-go do the work.
type GlueFuncs struct {
	SizeWhole, PutWhole, ParseWhole, ParseExtensions, Check string
}

// GlueWire names what the template needs of package wire.
type GlueWire struct {
	Mode, Parser, Varint, PutUnknown, Info, Append, Unmarshal string
}

// GlueField is a field, or a oneof with its fields.
type GlueField struct {
	// Cond says when the field is there; empty for lists and maps, which may be
	// empty.
	Cond string
	// Each is the list that is gone through, with the value v, if it is one.
	Each string
	// Size is added to the size, Put is the new index.
	Size, Put string
	// Missing is called if the field is not there but required.
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

// glueNames are the methods that glue gives to a message.
var glueNames = []string{"SizeRPCX", "PutRPCX", "ParseRPCX", "InfoRPCX", "CheckRPCX", "AppendRPCX", "UnmarshalRPCX"}

// GlueLocals are the names of variables in glue, which imports may not have.
var GlueLocals = []string{"x", "b", "i", "j", "k", "n", "o", "p", "v", "tag", "start", "unknown"}

// glueIndex knows which messages get glue, and what glue must know of them.
type glueIndex struct {
	has      map[*protogen.Message]bool
	text     map[*protogen.Message]bool // has strings or bytes somewhere
	mayLack  map[*protogen.Message]bool // may lack required fields somewhere
	generate map[*protogen.File]bool
}

func (m *Model) indexGlue(plugin *protogen.Plugin) {
	x := &glueIndex{has: make(map[*protogen.Message]bool), generate: make(map[*protogen.File]bool)}
	var all []*protogen.Message
	for _, file := range plugin.Files {
		walkMessages(file.Messages, func(msg *protogen.Message) { all = append(all, msg) })
	}
	x.text = holders(all, func(msg *protogen.Message) bool {
		return slices.ContainsFunc(msg.Fields, func(f *protogen.Field) bool {
			return f.Desc.Kind() == protoreflect.StringKind || f.Desc.Kind() == protoreflect.BytesKind
		})
	})
	x.mayLack = holders(all, func(msg *protogen.Message) bool {
		return msg.Desc.RequiredNumbers().Len() > 0 || msg.Desc.ExtensionRanges().Len() > 0
	})
	reached := x.reached(plugin)
	for _, file := range plugin.Files {
		if !file.Generate || m.opts.Glue == GlueNone {
			continue
		}
		x.generate[file] = true
		walkMessages(file.Messages, func(msg *protogen.Message) {
			if (m.opts.Glue == GlueAll || reached[msg]) && !hidesGlue(msg) {
				x.has[msg] = true
			}
		})
	}
	m.glue = x
}

// walkMessages calls visit for each message that is declared, those within
// others included, but not for the entries of maps.
func walkMessages(messages []*protogen.Message, visit func(*protogen.Message)) {
	for _, msg := range messages {
		if !msg.Desc.IsMapEntry() {
			visit(msg)
		}
		walkMessages(msg.Messages, visit)
	}
}

// hidesGlue reports whether msg has a field or an accessor named like a method of glue.
func hidesGlue(msg *protogen.Message) bool {
	for _, f := range msg.Fields {
		if slices.Contains(glueNames, f.GoName) {
			return true
		}
	}
	return slices.ContainsFunc(msg.Oneofs, func(o *protogen.Oneof) bool { return slices.Contains(glueNames, o.GoName) })
}

// held returns the messages in msg's fields.
func held(msg *protogen.Message) []*protogen.Message {
	var list []*protogen.Message
	for _, f := range msg.Fields {
		switch {
		case f.Message == nil:
		case f.Desc.IsMap():
			list = append(list, held(f.Message)...)
			if kind := f.Message.Fields[0].Desc.Kind(); kind == protoreflect.StringKind {
				list = append(list, f.Message)
			}
			list = append(list, f.Message)
		default:
			list = append(list, f.Message)
		}
	}
	return list
}

// holders returns the messages of all for which is is true, and those that hold
// such messages.
func holders(all []*protogen.Message, is func(*protogen.Message) bool) map[*protogen.Message]bool {
	found := make(map[*protogen.Message]bool)
	holding := make(map[*protogen.Message][]*protogen.Message)
	var todo []*protogen.Message
	note := func(msg *protogen.Message) {
		if !found[msg] {
			found[msg] = true
			todo = append(todo, msg)
		}
	}
	for _, msg := range all {
		for _, inner := range held(msg) {
			holding[inner] = append(holding[inner], msg)
			if inner.Desc.IsMapEntry() && is(inner) {
				note(msg)
			}
		}
		if is(msg) {
			note(msg)
		}
	}
	for len(todo) > 0 {
		msg := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, outer := range holding[msg] {
			note(outer)
		}
	}
	return found
}

// reached returns the messages that services of the files to generate take and
// return, and what these hold.
func (x *glueIndex) reached(plugin *protogen.Plugin) map[*protogen.Message]bool {
	found := make(map[*protogen.Message]bool)
	var visit func(msg *protogen.Message)
	visit = func(msg *protogen.Message) {
		if !found[msg] {
			found[msg] = true
			for _, inner := range held(msg) {
				visit(inner)
			}
		}
	}
	for _, file := range plugin.Files {
		for _, service := range file.Services {
			for _, method := range service.Methods {
				if file.Generate {
					visit(method.Input)
					visit(method.Output)
				}
			}
		}
	}
	return found
}

// HasGlue reports whether file gets a file of glue.
func (m *Model) HasGlue(file *protogen.File) bool {
	has := false
	walkMessages(file.Messages, func(msg *protogen.Message) { has = has || m.glue.has[msg] })
	return has
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
	wire := func(name string) string { return ident(wirePackage.Ident(name)) }
	foreign := func(name string) string { return ident(foreignPackage.Ident(name)) }
	w := &glueWriter{m: m, file: file, msg: msg, ident: ident, wire: wire,
		opaque: msg.APILevel == gofeaturespb.GoFeatures_API_OPAQUE}
	name := ident(msg.GoIdent)
	g := &GlueMessage{
		Name:         name,
		Methods:      true,
		SizeFunc:     fmt.Sprintf("func (x *%s) SizeRPCX()", name),
		PutFunc:      fmt.Sprintf("func (x *%s) PutRPCX(", name),
		ParseFunc:    fmt.Sprintf("func (x *%s) ParseRPCX(", name),
		Unknown:      "x.unknownFields",
		ParseUnknown: "x.unknownFields, i = p.Unknown(x.unknownFields, b, start, i, tag)",
		Extendable:   msg.Desc.ExtensionRanges().Len() > 0,
		Wholly:       msg.Desc.Options().(*descriptorpb.MessageOptions).GetMessageSetWireFormat(),
		Wire: GlueWire{Mode: wire("Mode"), Parser: wire("Parser"), Varint: wire("Varint"), PutUnknown: wire("PutUnknown"), Info: wire("Info"),
			Append: wire("Append"), Unmarshal: wire("Unmarshal")},
	}
	if m.opts.Functions {
		name := msg.GoIdent.GoName
		param := "(x *" + g.Name + ", "
		g.Methods = false
		g.SizeFunc = fmt.Sprintf("// Size%s, Put%s and Parse%s are the glue of %s.\nfunc Size%s(x *%s)", name, name, name, g.Name, name, g.Name)
		g.PutFunc, g.ParseFunc = "func Put"+name+param, "func Parse"+name+param
		g.Unknown = "x.ProtoReflect().GetUnknown()"
		g.ParseUnknown = "i = " + foreign("ParseUnknown") + "(x, b, start, i, p, tag)"
	}
	g.Info = "0"
	if m.glue.text[msg] || g.Extendable {
		g.Info = wire("HasText")
	}
	if m.glue.mayLack[msg] {
		g.Foreign.Check = foreign("CheckInitialized")
		g.Check = g.Foreign.Check + "(x)"
		g.Info += " | " + wire("MayLack")
	}
	if g.Wholly || g.Extendable {
		g.Foreign.SizeWhole, g.Foreign.PutWhole = foreign("SizeWhole"), foreign("PutWhole")
	}
	if g.Wholly {
		g.Foreign.ParseWhole = foreign("ParseWhole")
		return g
	}
	if g.Extendable {
		g.Foreign.ParseExtensions = foreign("ParseExtensions")
		g.ParseUnknown = "unknown, i = p.Unknown(unknown, b, start, i, tag)"
	}
	w.fields(g)
	return g
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
