package model

import (
	"fmt"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// messageFuncs are how the messages of one type are sized, put and parsed:
// functions as values, and the pattern of a call.
type messageFuncs struct {
	size, put, parse  string
	sizeOf, putBefore string // %s: the message, and the index
}

// funcs returns how messages of a type are sized, put and parsed: by their own
// glue if this run writes it, by ours for well-known types, and else by what is
// found at run time.
func (w *glueWriter) funcs(msg *protogen.Message) messageFuncs {
	switch {
	case w.m.glue.has[msg] && !w.m.opts.Functions && msg.GoIdent.GoImportPath == w.file.GoImportPath:
		name := w.ident(msg.GoIdent)
		return messageFuncs{
			size: "(*" + name + ").SizeRPCX", put: "(*" + name + ").PutRPCX", parse: "(*" + name + ").ParseRPCX",
			sizeOf: "%s.SizeRPCX()", putBefore: "%s.PutRPCX(b, %s, o)",
		}
	case wellKnown[msg.Desc.FullName()] != "" && msg.GoIdent.GoImportPath == wellKnown[msg.Desc.FullName()]:
		known := func(verb string) string { return w.ident(knownPackage.Ident(verb + msg.GoIdent.GoName)) }
		return messageFuncs{
			size: known("Size"), put: known("Put"), parse: known("Parse"),
			sizeOf: known("Size") + "(%s)", putBefore: known("Put") + "(%s, b, %s, o)",
		}
	}
	name := w.ident(msg.GoIdent)
	foreign := func(verb string) string { return w.ident(foreignPackage.Ident(verb)) }
	return messageFuncs{
		size: foreign("Size") + "[*" + name + "]", put: foreign("Put") + "[*" + name + "]", parse: foreign("Parse") + "[" + name + "]",
		sizeOf: foreign("Size") + "(%s)", putBefore: foreign("Put") + "(%s, b, %s, o)",
	}
}

// messageField is field for messages and groups, single or in lists.
func (w *glueWriter) messageField(field *protogen.Field) *GlueField {
	funcs := w.funcs(field.Message)
	value := w.value(field)
	g := new(GlueField)
	list := ""
	parser := "Message"
	if field.Desc.Kind() == protoreflect.GroupKind {
		parser = "Group"
	}
	element, each := value, value
	switch {
	case field.Desc.IsList():
		g.Each, element, each = value, "v", value+"[k]"
		parser += "s"
		list = value
	case inOneof(field):
		g.Cond = w.member(field)
	case w.opaque:
		has, _ := field.MethodName("Has")
		g.Cond = "x." + has + "()"
	default:
		g.Cond = value + " != nil"
	}
	if field.Desc.Kind() == protoreflect.GroupKind {
		start, tagSize := tag(field, protowire.StartGroupType)
		end, _ := tag(field, protowire.EndGroupType)
		g.Size = add(2*tagSize, fmt.Sprintf(funcs.sizeOf, element))
		g.Put = w.put(fmt.Sprintf(funcs.putBefore, each, w.put("i", end)), start)
		g.Cases = []*GlueCase{{start, w.assign(field, fmt.Sprintf("%s(%s, b, i, p, %s, %s)", w.wire("Parse"+parser), value, start, funcs.parse))}}
		return g
	}
	if field.Desc.Cardinality() == protoreflect.Required {
		g.Missing = fmt.Sprintf("%s(o, %q)", w.wire("Missing"), field.Desc.FullName())
	}
	text, tagSize := tag(field, protowire.BytesType)
	g.Size = add(tagSize, fmt.Sprintf("%s(%s)", w.wire("SizeLen"), fmt.Sprintf(funcs.sizeOf, element)))
	g.Put = w.put(fmt.Sprintf("%s(b, %s, i)", w.wire("PutLen"), fmt.Sprintf(funcs.putBefore, each, "i")), text)
	args := ""
	if list != "" {
		args = text + ", "
	}
	g.Cases = []*GlueCase{{text, w.assign(field, fmt.Sprintf("%s(%s, b, i, p, %s%s)", w.wire("Parse"+parser), value, args, funcs.parse))}}
	return g
}

// wellKnown are the messages that package known has functions for, and the Go
// packages that these are for.
var wellKnown = func() map[protoreflect.FullName]protogen.GoImportPath {
	m := make(map[protoreflect.FullName]protogen.GoImportPath)
	for pkg, names := range map[protogen.GoImportPath][]protoreflect.FullName{
		"anypb":       {"Any"},
		"durationpb":  {"Duration"},
		"emptypb":     {"Empty"},
		"fieldmaskpb": {"FieldMask"},
		"structpb":    {"Struct", "Value", "ListValue"},
		"timestamppb": {"Timestamp"},
		"wrapperspb": {"DoubleValue", "FloatValue", "Int64Value", "UInt64Value", "Int32Value", "UInt32Value",
			"BoolValue", "StringValue", "BytesValue"},
	} {
		for _, name := range names {
			m["google.protobuf."+name] = "google.golang.org/protobuf/types/known/" + pkg
		}
	}
	return m
}()
