package model

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// keyPath returns the fields that a path such as "user.id" names, beginning in
// msg; the last one can be a key. The error says what is wrong with the path and
// which fields would do; where the path stands is for the caller to add.
func keyPath(msg *protogen.Message, path string) ([]*protogen.Field, error) {
	if path == "" {
		return nil, fmt.Errorf("the path is empty%s", wouldDo(msg, ""))
	}
	names := strings.Split(path, ".")
	var fields []*protogen.Field
	for i, name := range names {
		at, last := strings.Join(names[:i], "."), i == len(names)-1
		if at != "" {
			at += "."
		}
		field, err := fieldNamed(msg, name)
		if err == nil {
			err = passable(field, last)
		}
		if err != nil {
			return nil, fmt.Errorf("%w%s", err, wouldDo(msg, at))
		}
		fields = append(fields, field)
		switch {
		case last && field.Message != nil:
			return nil, fmt.Errorf("field %q is a message, and a key is a single value%s",
				name, wouldDo(field.Message, path+"."))
		case !last:
			msg = field.Message
		}
	}
	return fields, nil
}

// fieldNamed returns the field of msg that the proto calls name.
func fieldNamed(msg *protogen.Message, name string) (*protogen.Field, error) {
	if name == "" {
		return nil, fmt.Errorf("there is a dot too many")
	}
	i := slices.IndexFunc(msg.Fields, func(f *protogen.Field) bool { return string(f.Desc.Name()) == name })
	if i < 0 {
		return nil, fmt.Errorf("message %s has no field %q", msg.Desc.FullName(), name)
	}
	return msg.Fields[i], nil
}

// passable reports why a path cannot lead through field, or end in it if last is
// set. That it ends in a message is for the caller to find.
func passable(field *protogen.Field, last bool) error {
	name := field.Desc.Name()
	switch {
	case field.Desc.IsMap():
		return fmt.Errorf("field %q is a map, and a call has one key", name)
	case field.Desc.IsList():
		return fmt.Errorf("field %q is repeated, and a call has one key", name)
	case !last && field.Message == nil:
		return fmt.Errorf("field %q is of type %s and has no fields", name, typeName(field))
	case last && field.Message == nil && keyFunc(field) == "":
		return fmt.Errorf("field %q is of type %s, and a key is a string, bytes, a whole number or an enum", name, typeName(field))
	case renamesGetter(field):
		return renamedGetter(field)
	}
	return nil
}

// renamedGetter is the error of a field for which renamesGetter holds.
func renamedGetter(field *protogen.Field) error {
	return fmt.Errorf("field %q of message %s, of the hybrid API, clashes with another one, "+
		"so that its accessors have other names with the build tag protoopaque: rename it, or use the open or the opaque API",
		field.Desc.Name(), field.Parent.Desc.FullName())
}

// typeName returns the type of a field as protos spell it.
func typeName(field *protogen.Field) string {
	switch {
	case field.Message != nil:
		return string(field.Message.Desc.FullName())
	case field.Enum != nil:
		return string(field.Enum.Desc.FullName())
	}
	return field.Desc.Kind().String()
}

// keyFunc returns the function of package rpcx that makes a key of a field's
// value, and the empty text if the field cannot be a key.
func keyFunc(field *protogen.Field) string {
	switch field.Desc.Kind() {
	case protoreflect.StringKind:
		return "TextKey"
	case protoreflect.BytesKind:
		return "BytesKey"
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind,
		protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind, protoreflect.EnumKind:
		return "IntKey"
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return "UintKey"
	}
	return ""
}

// listed is how many fields an error lists.
const listed = 12

// wouldDo returns the part of an error that lists the fields of msg that can be
// keys, and those of its messages, each behind the given path.
func wouldDo(msg *protogen.Message, at string) string {
	keys := keysWithin(msg, at)
	if len(keys) == 0 {
		return " (no field of " + string(msg.Desc.FullName()) + " would do)"
	}
	return " (would do: " + enumerate(keys) + ")"
}

// keysWithin returns the fields of msg and of its messages that can be keys.
func keysWithin(msg *protogen.Message, at string) []string {
	keys := keysOf(msg, at)
	for _, field := range msg.Fields {
		if field.Message != nil && passable(field, false) == nil {
			keys = append(keys, keysOf(field.Message, at+string(field.Desc.Name())+".")...)
		}
	}
	return keys
}

// enumerate returns names as a list, cut if it is long.
func enumerate(names []string) string {
	if more := len(names) - listed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:listed], ", "), more)
	}
	return strings.Join(names, ", ")
}

// keysOf returns the fields of msg itself that can be keys.
func keysOf(msg *protogen.Message, at string) []string {
	var keys []string
	for _, field := range msg.Fields {
		if field.Message == nil && passable(field, true) == nil {
			keys = append(keys, at+string(field.Desc.Name()))
		}
	}
	return keys
}
