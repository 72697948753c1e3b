package model

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/gofeaturespb"

	optionsv1 "github.com/rpcx-go/rpcx/proto/rpcx/options/v1"
)

// The numbers of the fields of our MethodOptions, for positions.
const (
	optionNonBlocking   = 1
	optionRoute         = 2
	optionRouteRequired = 3
	optionShard         = 5
)

// KeyFunc is a generated function that returns the route key of a request.
type KeyFunc struct {
	Name, Doc string
	// Req is its parameter, and Request its type without the star.
	Req, Request string
	// Key is the type that it returns, Cond what must hold for there to be a
	// key, and Value the key then.
	Key, Cond, Value string
}

// optionsOf returns our options of a method, nil if it has none.
func optionsOf(method *protogen.Method) *optionsv1.MethodOptions {
	return proto.GetExtension(method.Desc.Options(), optionsv1.E_Method).(*optionsv1.MethodOptions)
}

// errorAtOption is ErrorAt for a field of our options of a method, or one within
// it, given the numbers of the fields.
func errorAtOption(file *protogen.File, method *protogen.Method, numbers []int32, format string, args ...any) error {
	path := slices.Concat(method.Location.Path, protoreflect.SourcePath{
		methodOptions, int32(optionsv1.E_Method.TypeDescriptor().Number()),
	}, numbers)
	return ErrorAt(file.Proto, path, "method %s: %s", method.Desc.FullName(), fmt.Sprintf(format, args...))
}

// route returns the function that returns the route key of the method's
// requests, nil if the method has no route.
func route(file *protogen.File, method *protogen.Method, names *methodNames, ident Ident) (*KeyFunc, error) {
	options := optionsOf(method)
	if options == nil || options.Route == nil {
		if options.GetRouteRequired() && options.Shard == nil {
			return nil, errorAtOption(file, method, []int32{optionRouteRequired},
				"route_required without a route: add one, such as route: \"id\", or remove it")
		}
		return nil, nil
	}
	path := options.GetRoute()
	if !kindOf(method).takesRequest() {
		return nil, errorAtOption(file, method, []int32{optionRoute},
			"route %q: the caller streams, and where the call goes is chosen before the first message: "+
				"remove the option, and have callers say rpcx.WithRouteKey", path)
	}
	fields, err := keyPath(method.Input, path)
	if err != nil {
		return nil, errorAtOption(file, method, []int32{optionRoute}, "route %q: %v", path, err)
	}
	f := newKeyFunc(names.keyFunc, method.Input, fields, ident)
	f.Doc = doc(fmt.Sprintf("%s returns %s of the request, by which calls of %s are routed;\nno key if it is not set.",
		f.Name, path, names.method))
	return f, nil
}

// newKeyFunc returns the function called name that returns the key that the
// path of fields leads to in a msg.
func newKeyFunc(name string, msg *protogen.Message, fields []*protogen.Field, ident Ident) *KeyFunc {
	last := fields[len(fields)-1]
	f := &KeyFunc{Name: name, Request: ident(msg.GoIdent), Key: ident(rpcxPackage.Ident("Key"))}
	// A variable may not have the name of a package that the function names.
	variables := newScope(nil)
	wrapper := ""
	if wrapped(last) {
		wrapper = ident(last.GoIdent)
		variables.reserve(strings.Split(wrapper, ".")[0])
	}
	f.Req = variables.claim("req")
	v := variables.claim("v")
	holder := f.Req
	for _, field := range fields[:len(fields)-1] {
		holder = getter(holder, field)
	}
	var value string
	f.Cond, value = present(holder, v, wrapper, last)
	switch {
	case keyFunc(last) == "IntKey" && formats[last.Desc.Kind()].goType != "int64":
		value = "int64(" + value + ")"
	case keyFunc(last) == "UintKey" && formats[last.Desc.Kind()].goType != "uint64":
		value = "uint64(" + value + ")"
	}
	f.Value = ident(rpcxPackage.Ident(keyFunc(last))) + "(" + value + ")"
	return f
}

// present returns the condition that field is set in holder, an expression of a
// message that may be nil, and the expression of its value then. The condition
// may declare v. wrapper is the type of field's wrapper if it has one.
func present(holder, v, wrapper string, field *protogen.Field) (cond, value string) {
	// A variable saves getting at the message twice.
	message, declare := holder, ""
	if strings.Contains(holder, "(") {
		message, declare = v, v+" := "+holder+"; "
	}
	switch {
	case wrapper != "":
		return fmt.Sprintf("%s, _ := %s.Get%s().(*%s); %s != nil", v, holder, field.Oneof.GoName, wrapper, v),
			v + "." + field.GoName
	case !field.Desc.HasPresence():
		return fmt.Sprintf("%s := %s; %s", v, getter(holder, field), unless(fmt.Sprintf(formats[field.Desc.Kind()].isZero, v))), v
	case field.Parent.APILevel == gofeaturespb.GoFeatures_API_OPEN:
		return fmt.Sprintf("%s%s != nil && %s.%s != nil", declare, message, message, field.GoName), getter(message, field)
	}
	has, _ := field.MethodName("Has")
	return fmt.Sprintf("%s%s.%s()", declare, message, has), getter(message, field)
}

// wrapped reports whether field, a member of a oneof, is got at through a type
// of its own.
func wrapped(field *protogen.Field) bool {
	return inOneof(field) && field.Parent.APILevel == gofeaturespb.GoFeatures_API_OPEN
}

// getter returns the expression of a field of holder, which may be nil.
func getter(holder string, field *protogen.Field) string {
	get, _ := field.MethodName("Get")
	return holder + "." + get + "()"
}

// renamesGetter reports whether the accessors of field, in a message of the
// hybrid API, have other names with the build tag protoopaque.
func renamesGetter(field *protogen.Field) bool {
	get, _ := field.MethodName("Get")
	return field.Parent.APILevel == gofeaturespb.GoFeatures_API_HYBRID && strings.HasPrefix(get, "Get_")
}
