package model

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/types/gofeaturespb"

	optionsv1 "github.com/rpcx-go/rpcx/proto/rpcx/options/v1"
)

// The numbers of the fields of our Shard.
const (
	shardSplit = 1
	shardKey   = 2
	shardMerge = 3
)

// Sharded is the generated client of a service that splits requests.
type Sharded struct {
	Type, New, Conn  string
	Doc, Deprecation string
	Methods          []*Shard
}

// Shard is a method of it.
type Shard struct {
	Owner     *Sharded
	Name, Doc string
	// Self, Ctx, Req and Opts are its receiver and parameters; Elems, Part, Res,
	// Err and Merged are variables.
	Self, Ctx, Req, Opts           string
	Elems, Part, Res, Err, Merged  string
	Context, Request, Response     string
	Option, CallOption             string
	Split, WithoutField, CallUnary string // functions
	Descriptor                     string
	Elem, Answer                   string // types of elements
	Number                         int32  // of the field that is split
	Key                            string // the function of an element's key
	GetElems, GetAnswers           string
	SetElems, SetAnswers           string
	KeyFunc                        *KeyFunc // nil if a key is the element itself
}

// sharded fills in the service's client that splits requests, if a method asks
// for one.
func sharded(file *protogen.File, s *Service, service *protogen.Service, names *serviceNames, ident Ident) error {
	if names.sharded == "" {
		return nil
	}
	s.Sharded = &Sharded{
		Type: names.sharded,
		New:  names.newSharded,
		Doc: doc(names.sharded + " calls " + s.FullName + " with the elements of a request split over\n" +
			"the servers that they belong to. Its methods may be called concurrently."),
		Deprecation: s.Deprecation,
		Conn:        ident(fanoutPackage.Ident("Conn")),
	}
	for i, method := range service.Methods {
		options := optionsOf(method).GetShard()
		if options == nil {
			continue
		}
		shard, err := newShard(file, s, method, options, &names.methods[i], ident)
		if err != nil {
			return err
		}
		shard.Owner = s.Sharded
		s.Sharded.Methods = append(s.Sharded.Methods, shard)
	}
	return nil
}

func newShard(
	file *protogen.File, s *Service, method *protogen.Method, options *optionsv1.MethodOptions_Shard, names *methodNames, ident Ident,
) (*Shard, error) {
	fail := func(number int32, format string, args ...any) error {
		return errorAtOption(file, method, []int32{optionShard, number}, "shard: %s", fmt.Sprintf(format, args...))
	}
	if kindOf(method) != unary {
		return nil, errorAtOption(file, method, []int32{optionShard},
			"shard: it is streaming, and only requests of unary methods are split: remove the option")
	}
	split, err := listNamed(method.Input, options.GetSplit(), keyable)
	if err != nil {
		return nil, fail(shardSplit, "split %q: %v", options.GetSplit(), err)
	}
	merge, err := listNamed(method.Output, options.GetMerge(), func(*protogen.Field) bool { return true })
	if err != nil {
		return nil, fail(shardMerge, "merge %q: %v", options.GetMerge(), err)
	}
	// Variables may not have the names of packages that the method names.
	variables := newScope(nil)
	noting := func(id protogen.GoIdent) string {
		text := ident(id)
		variables.reserve(strings.Split(text, ".")[0])
		return text
	}
	m := &Shard{
		Name:         names.method,
		Context:      noting(contextPackage.Ident("Context")),
		Option:       noting(fanoutPackage.Ident("Option")),
		Split:        noting(fanoutPackage.Ident("Shard")),
		WithoutField: noting(fanoutPackage.Ident("WithoutField")),
		CallUnary:    noting(rpcxPackage.Ident("CallUnary")),
		CallOption:   noting(rpcxPackage.Ident("CallOption")),
		Request:      noting(method.Input.GoIdent),
		Response:     noting(method.Output.GoIdent),
		Descriptor:   names.descriptor,
		Elem:         elementType(split, noting),
		Answer:       elementType(merge, noting),
		Number:       int32(split.Desc.Number()),
	}
	if err := m.nameKey(split, options.GetKey(), names, noting); err != nil {
		return nil, fail(shardKey, "key %q: %v", options.GetKey(), err)
	}
	for _, v := range []struct {
		variable *string
		name     string
	}{
		{&m.Self, "s"}, {&m.Ctx, "ctx"}, {&m.Req, "req"}, {&m.Opts, "opts"},
		{&m.Elems, "elems"}, {&m.Part, "part"}, {&m.Res, "res"}, {&m.Err, "err"}, {&m.Merged, "merged"},
	} {
		*v.variable = variables.claim(v.name)
	}
	m.GetElems, m.SetElems = getter(m.Req, split), setter(m.Part, split, m.Elems)
	m.GetAnswers, m.SetAnswers = getter(m.Res, merge), setter(m.Res, merge, m.Merged)
	m.Doc = shardDoc(file, s, method, m.Name, split, merge)
	return m, nil
}

// shardDoc returns the comment of a method that splits requests.
func shardDoc(file *protogen.File, s *Service, method *protogen.Method, name string, split, merge *protogen.Field) string {
	elems, answers := split.Desc.Name(), merge.Desc.Name()
	text := fmt.Sprintf("%s is %s.%s for %s that belong to several servers: each server is\n"+
		"sent its own, and %s of the response has one element for each of %s, in order.", name, s.Client, name, elems, answers, elems)
	if len(method.Output.Fields) > 1 {
		text += "\nOther fields of the response are not set."
	}
	comment := commentOf(method.Comments)
	return doc(text, comment, methodDeprecation(file, method, comment))
}

// nameKey finds the function that returns the key of an element of split.
func (m *Shard) nameKey(split *protogen.Field, path string, names *methodNames, ident Ident) error {
	key := ident(rpcxPackage.Ident("Key"))
	if split.Message == nil {
		if path != "" {
			return fmt.Errorf("elements of %q are of type %s and have no fields: leave the key out, since they are keys themselves",
				split.Desc.Name(), typeName(split))
		}
		function, wide := ident(rpcxPackage.Ident(keyFunc(split))), map[string]string{"IntKey": "int64", "UintKey": "uint64"}[keyFunc(split)]
		if m.Key = function; wide != "" && wide != m.Elem {
			m.Key = fmt.Sprintf("func(v %s) %s { return %s(%s(v)) }", m.Elem, key, function, wide)
		}
		return nil
	}
	fields, err := keyPath(split.Message, path)
	if err != nil {
		return err
	}
	m.KeyFunc = newKeyFunc(names.elementKey, split.Message, fields, ident)
	m.KeyFunc.Doc = doc(fmt.Sprintf("%s returns %s of an element of %s, by which %s finds its server;\nno key if it is not set.",
		m.KeyFunc.Name, path, split.Desc.Name(), names.method))
	m.Key = m.KeyFunc.Name
	return nil
}

// elementType returns the type of the elements of a repeated field.
func elementType(field *protogen.Field, ident Ident) string {
	switch {
	case field.Message != nil:
		return "*" + ident(field.Message.GoIdent)
	case field.Enum != nil:
		return ident(field.Enum.GoIdent)
	}
	return formats[field.Desc.Kind()].goType
}

// setter returns the statement that sets a field of message.
func setter(message string, field *protogen.Field, value string) string {
	if field.Parent.APILevel == gofeaturespb.GoFeatures_API_OPEN {
		return message + "." + field.GoName + " = " + value
	}
	set, _ := field.MethodName("Set")
	return message + "." + set + "(" + value + ")"
}

// listNamed returns the repeated field of msg that the proto calls name and that
// fits. The error says what is wrong with the name, and which would do.
func listNamed(msg *protogen.Message, name string, fits func(*protogen.Field) bool) (*protogen.Field, error) {
	var would []string
	for _, field := range msg.Fields {
		if isList(field) == nil && fits(field) {
			would = append(would, string(field.Desc.Name()))
		}
	}
	field, err := fieldNamed(msg, name)
	if err == nil {
		err = isList(field)
	}
	switch {
	case name == "":
		err = fmt.Errorf("it is missing")
	case err == nil && !fits(field):
		err = fmt.Errorf("elements of %q are of type %s, which has no key", name, typeName(field))
	}
	switch {
	case err == nil:
		return field, nil
	case len(would) == 0:
		return nil, fmt.Errorf("%w (no field of %s would do)", err, msg.Desc.FullName())
	}
	return nil, fmt.Errorf("%w (would do: %s)", err, enumerate(would))
}

// isList reports why field is not one whose elements can be got at.
func isList(field *protogen.Field) error {
	switch {
	case field.Desc.IsMap():
		return fmt.Errorf("field %q is a map, and its entries have no order", field.Desc.Name())
	case !field.Desc.IsList():
		return fmt.Errorf("field %q is not repeated", field.Desc.Name())
	case renamesGetter(field):
		return renamedGetter(field)
	}
	return nil
}

// keyable reports whether elements of a repeated field are keys or can have one.
func keyable(field *protogen.Field) bool {
	return field.Message == nil && keyFunc(field) != "" || field.Message != nil && len(keysWithin(field.Message, "")) > 0
}
