package model

import (
	"slices"
	"unicode"

	"google.golang.org/protobuf/compiler/protogen"
)

// scope is the set of names that are taken in one Go scope: a package, or the
// members of a type.
type scope struct {
	taken   map[string]bool
	imports map[string]bool // taken too, and shared between scopes
}

// newScope returns a scope in which nothing is taken but imports, the names by
// which files import packages: a declaration of a package must differ from the
// imports of all of its files.
func newScope(imports map[string]bool) *scope {
	return &scope{taken: make(map[string]bool), imports: imports}
}

func (s *scope) has(name string) bool { return s.taken[name] || s.imports[name] }

// reserve takes names whether or not they are free: others declare them.
func (s *scope) reserve(names ...string) {
	for _, name := range names {
		s.taken[name] = true
	}
}

// claim takes name, or, if it is taken, name with as many underscores at its
// end as make it free, and returns it. Protoc-gen-go avoids clashes likewise.
func (s *scope) claim(name string) string {
	for s.has(name) {
		name += "_"
	}
	s.taken[name] = true
	return name
}

// claimAll takes all names at once and reports whether it could: they must be
// free and differ from each other.
func (s *scope) claimAll(names ...string) bool {
	for i, name := range names {
		if s.has(name) || slices.Contains(names[:i], name) {
			return false
		}
	}
	s.reserve(names...)
	return true
}

// unexport returns name with its first word in lower case, as Go code spells
// it: users for Users, httpCache for HTTPCache.
func unexport(name string) string {
	runes := []rune(name)
	for i, r := range runes {
		startsNextWord := i > 0 && i+1 < len(runes) && unicode.IsLower(runes[i+1])
		if !unicode.IsUpper(r) || startsNextWord {
			break
		}
		runes[i] = unicode.ToLower(r)
	}
	return string(runes)
}

// reserveMessages takes the names that protoc-gen-go and protoc-gen-go-grpc
// declare in the Go package of file.
func (s *scope) reserveMessages(file *protogen.File) {
	for _, e := range file.Enums {
		s.reserveEnum(e)
	}
	for _, m := range file.Messages {
		s.reserveMessage(m)
	}
	for _, x := range file.Extensions {
		s.reserve("E_" + x.GoIdent.GoName)
	}
	for _, service := range file.Services {
		s.reserveGRPC(service)
	}
	s.reserve(file.GoDescriptorIdent.GoName)
}

func (s *scope) reserveEnum(e *protogen.Enum) {
	name := e.GoIdent.GoName
	s.reserve(name, name+"_name", name+"_value")
	for _, v := range e.Values {
		s.reserve(v.GoIdent.GoName, v.PrefixedAlias.GoName)
	}
}

// reserveMessage takes the names for all API levels: the level may be changed
// without a new run of this generator.
func (s *scope) reserveMessage(m *protogen.Message) {
	name := m.GoIdent.GoName
	s.reserve(name, name+"_builder")
	for _, f := range m.Fields {
		s.reserve("Default_"+name+"_"+f.GoName, f.GoIdent.GoName, unexport(f.GoIdent.GoName), f.GoIdent.GoName+"_case")
	}
	for _, o := range m.Oneofs {
		s.reserve("is"+o.GoIdent.GoName, "case_"+o.GoIdent.GoName, o.GoIdent.GoName+"_not_set_case")
	}
	for _, e := range m.Enums {
		s.reserveEnum(e)
	}
	for _, x := range m.Extensions {
		s.reserve("E_" + x.GoIdent.GoName)
	}
	for _, nested := range m.Messages {
		s.reserveMessage(nested)
	}
}

func (s *scope) reserveGRPC(service *protogen.Service) {
	name := service.GoName
	s.reserve(
		name+"Client", unexport(name)+"Client", "New"+name+"Client",
		name+"Server", unexport(name)+"Server", "Unsafe"+name+"Server", "Unimplemented"+name+"Server",
		"Register"+name+"Server", name+"_ServiceDesc", "_"+name+"_serviceDesc",
	)
	for _, m := range service.Methods {
		prefix := name + "_" + m.GoName
		s.reserve(prefix+"_FullMethodName", "_"+prefix+"_Handler", prefix+"Client", prefix+"Server",
			unexport(name)+m.GoName+"Client", unexport(name)+m.GoName+"Server")
	}
}
