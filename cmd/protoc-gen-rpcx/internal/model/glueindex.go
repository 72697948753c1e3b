package model

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
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

// glueNames are the methods that glue gives to a message.
var glueNames = []string{"SizeRPCX", "PutRPCX", "ParseRPCX", "InfoRPCX", "CheckRPCX", "AppendRPCX", "UnmarshalRPCX"}

// GlueLocals are the names of variables in glue, which imports may not have.
var GlueLocals = []string{"b", "c", "end", "i", "inner", "k", "n", "p", "tag", "unknown", "v", "x"}

// glueIndex knows which messages get glue, and what glue must know of them.
type glueIndex struct {
	has     map[*protogen.Message]bool
	text    map[*protogen.Message]bool // has strings or bytes somewhere
	mayLack map[*protogen.Message]bool // may lack required fields somewhere
}

func (m *Model) indexGlue(plugin *protogen.Plugin) {
	var all []*protogen.Message
	for _, file := range plugin.Files {
		walkMessages(file.Messages, func(msg *protogen.Message) { all = append(all, msg) })
	}
	m.glue = &glueIndex{
		has:     make(map[*protogen.Message]bool),
		text:    holders(all, hasText),
		mayLack: holders(all, mayLack),
	}
	var reached map[*protogen.Message]bool
	switch m.opts.Glue {
	case GlueNone:
		return
	case GlueServices:
		reached = reachedByServices(plugin)
	}
	for _, file := range plugin.Files {
		if !file.Generate {
			continue
		}
		walkMessages(file.Messages, func(msg *protogen.Message) {
			if (reached == nil || reached[msg]) && !hidesGlue(msg) && !renamesAccessors(msg) {
				m.glue.has[msg] = true
			}
		})
	}
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

// hidesGlue reports whether a field or a oneof of msg is named like a method of
// glue, which then cannot be declared. Accessors never are, since they begin
// with Get, Set, Has, Clear or Which.
func hidesGlue(msg *protogen.Message) bool {
	return slices.ContainsFunc(msg.Fields, func(f *protogen.Field) bool { return slices.Contains(glueNames, f.GoName) }) ||
		slices.ContainsFunc(msg.Oneofs, func(o *protogen.Oneof) bool { return slices.Contains(glueNames, o.GoName) })
}

// renamesAccessors reports whether accessors of msg, a message of the hybrid API,
// have other names with the build tag protoopaque: those that clash with fields
// have an underscore only as long as there are fields.
func renamesAccessors(msg *protogen.Message) bool {
	if msg.APILevel != gofeaturespb.GoFeatures_API_HYBRID {
		return false
	}
	return slices.ContainsFunc(msg.Fields, renamesGetter) || slices.ContainsFunc(msg.Oneofs, func(o *protogen.Oneof) bool {
		return strings.HasPrefix(o.MethodName("Which"), "Which_")
	})
}

// hasText reports whether msg itself has strings or bytes.
func hasText(msg *protogen.Message) bool {
	return slices.ContainsFunc(parts(msg), isText)
}

func isText(f *protogen.Field) bool {
	return f.Desc.Kind() == protoreflect.StringKind || f.Desc.Kind() == protoreflect.BytesKind
}

// oneText reports whether msg, which has strings or bytes somewhere, has no more
// than one.
func (x *glueIndex) oneText(msg *protogen.Message) bool {
	var with []*protogen.Field
	for _, f := range parts(msg) {
		if isText(f) || x.text[f.Message] {
			with = append(with, f)
		}
	}
	if len(with) != 1 || with[0].Desc.IsList() || with[0].Parent != msg {
		return false
	}
	// What holds itself and text has two fields with text.
	return isText(with[0]) || x.oneText(with[0].Message)
}

// mayLack reports whether msg itself may lack required fields, its own or those
// of extensions.
func mayLack(msg *protogen.Message) bool {
	return msg.Desc.RequiredNumbers().Len() > 0 || msg.Desc.ExtensionRanges().Len() > 0
}

// parts returns msg's fields, where the key and the value stand for a map.
func parts(msg *protogen.Message) []*protogen.Field {
	var list []*protogen.Field
	for _, f := range msg.Fields {
		if f.Desc.IsMap() {
			list = append(list, f.Message.Fields...)
		} else {
			list = append(list, f)
		}
	}
	return list
}

// holders returns the messages of all for which is holds, and those that hold
// such messages in their fields, however deep.
func holders(all []*protogen.Message, is func(*protogen.Message) bool) map[*protogen.Message]bool {
	found := make(map[*protogen.Message]bool)
	holding := make(map[*protogen.Message][]*protogen.Message) // the messages with such a field
	var note func(*protogen.Message)
	note = func(msg *protogen.Message) {
		if found[msg] {
			return
		}
		found[msg] = true
		for _, outer := range holding[msg] {
			note(outer)
		}
	}
	for _, msg := range all {
		for _, f := range parts(msg) {
			if f.Message != nil {
				holding[f.Message] = append(holding[f.Message], msg)
			}
		}
	}
	for _, msg := range all {
		if is(msg) {
			note(msg)
		}
	}
	return found
}

// reachedByServices returns the messages that services of the files to generate
// take and return, and what these hold in their fields, however deep.
func reachedByServices(plugin *protogen.Plugin) map[*protogen.Message]bool {
	found := make(map[*protogen.Message]bool)
	var visit func(*protogen.Message)
	visit = func(msg *protogen.Message) {
		if msg == nil || found[msg] {
			return
		}
		found[msg] = true
		for _, f := range parts(msg) {
			visit(f.Message)
		}
	}
	for _, file := range plugin.Files {
		if !file.Generate {
			continue
		}
		for _, service := range file.Services {
			for _, method := range service.Methods {
				visit(method.Input)
				visit(method.Output)
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
