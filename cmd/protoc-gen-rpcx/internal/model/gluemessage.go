package model

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// messageFuncs are how the messages of one type are sized, put and parsed: the
// expressions of functions, and the patterns of calls.
type messageFuncs struct {
	size, put, parse string
	sizeOf           string // %s: the message
	putBefore        string // %s: the message, and the buffer before which it is put
	methods          bool   // they are methods of the message
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
			sizeOf: "%s.SizeRPCX()", putBefore: "%s.PutRPCX(%s)",
			methods: true,
		}
	case wellKnown[msg.Desc.FullName()] == msg.GoIdent.GoImportPath:
		known := func(verb string) string { return w.ident(knownPackage.Ident(verb + msg.GoIdent.GoName)) }
		return messageFuncs{
			size: known("Size"), put: known("Put"), parse: known("Parse"),
			sizeOf: known("Size") + "(%s)", putBefore: known("Put") + "(%s, %s)",
		}
	}
	name := w.ident(msg.GoIdent)
	return messageFuncs{
		size: w.foreign("Size") + "[*" + name + "]", put: w.foreign("Put") + "[*" + name + "]", parse: w.foreign("Parse") + "[" + name + "]",
		sizeOf: w.foreign("Size") + "(%s)", putBefore: w.foreign("Put") + "(%s, %s)",
	}
}

// messageField is field for messages and groups, single or in lists.
func (w *glueWriter) messageField(field *protogen.Field) *GlueField {
	value := w.value(field)
	g := new(GlueField)
	sized, put := value, value // the message in the expressions that do so
	switch {
	case field.Desc.IsList():
		g.Each, sized, put = value, "v", value+"[k]"
	case inOneof(field):
		g.Cond = w.member(field)
	case w.accessors:
		has, _ := field.MethodName("Has")
		g.Cond = "x." + has + "()"
	default:
		g.Cond = value + " != nil"
	}
	if field.Desc.Kind() == protoreflect.GroupKind {
		w.group(g, field, sized, put)
	} else {
		w.message(g, field, sized, put)
	}
	return g
}

// message fills in how a message is sized, put and parsed that has its length
// before it.
func (w *glueWriter) message(g *GlueField, field *protogen.Field, sized, message string) {
	funcs := w.funcs(field.Message)
	text, tagSize := tag(field, protowire.BytesType)
	g.Size = add(tagSize, fmt.Sprintf("%s(%s)", w.wire("SizeLen"), fmt.Sprintf(funcs.sizeOf, sized)))
	g.Put = strings.TrimPrefix(putField(".Len(b)", text), "b")
	g.Put = fmt.Sprintf(funcs.putBefore, message, "b") + g.Put
	parse := fmt.Sprintf("%s(%s, b, i, p, %s)", w.wire("ParseMessage"), w.value(field), funcs.parse)
	if field.Desc.IsList() {
		parse = fmt.Sprintf("%s(%s, b, i, p, %s, %s)", w.wire("ParseMessages"), w.value(field), text, funcs.parse)
	}
	g.Cases = []*GlueCase{{text, w.assign(field, parse)}}
	if funcs.methods && !field.Desc.IsList() && !w.accessors {
		w.parseDirectly(g.Cases[0], field)
	}
}

// parseDirectly replaces the last line of c, which has a function called to parse
// a message, by lines that call the message's own method.
func (w *glueWriter) parseDirectly(c *GlueCase, field *protogen.Field) {
	value := w.value(field)
	c.Lines = append(c.Lines[:len(c.Lines)-1],
		"c, inner, end := p.Message(b, i)",
		"if "+value+" == nil {",
		value+" = new("+w.goType(field)+")",
		"}",
		fmt.Sprintf("i = %s(%s.ParseRPCX(c, inner), end)", w.wire("After"), value),
	)
}

// group fills in how a message is sized, put and parsed that is between two tags.
func (w *glueWriter) group(g *GlueField, field *protogen.Field, sized, message string) {
	funcs := w.funcs(field.Message)
	start, tagSize := tag(field, protowire.StartGroupType)
	end, _ := tag(field, protowire.EndGroupType)
	g.Size = add(2*tagSize, fmt.Sprintf(funcs.sizeOf, sized))
	g.Put = fmt.Sprintf(funcs.putBefore, message, "b"+put(end)) + put(start)
	parser := w.wire("ParseGroup")
	if field.Desc.IsList() {
		parser = w.wire("ParseGroups")
	}
	g.Cases = []*GlueCase{{start, w.assign(field, fmt.Sprintf("%s(%s, b, i, p, %s, %s)", parser, w.value(field), start, funcs.parse))}}
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
