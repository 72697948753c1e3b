package main

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	optionsv1 "github.com/rpcx-go/rpcx/proto/rpcx/options/v1"
	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/testdata/gen/route/edition/editionrpcx"
	"github.com/rpcx-go/rpcx/testdata/gen/route/hybrid/hybridrpcx"
	"github.com/rpcx-go/rpcx/testdata/gen/route/old/oldrpcx"
	"github.com/rpcx-go/rpcx/testdata/gen/route/opaque/opaquerpcx"
	"github.com/rpcx-go/rpcx/testdata/gen/route/open/openrpcx"
	"github.com/rpcx-go/rpcx/testdata/gen/route/req/reqrpcx"
)

// methods returns the methods that register registers.
func methods(register func(rpcx.Registrar)) []*call.Method {
	var list []*call.Method
	register(registrar(func(handlers ...rpcx.Handler) {
		for _, h := range handlers {
			list = append(list, h.Method)
		}
	}))
	return list
}

// routed are the methods with a route in the golden packages.
func routed() map[string][]*call.Method {
	return map[string][]*call.Method{
		"open":    methods(func(r rpcx.Registrar) { openrpcx.RegisterRouterServer(r, openrpcx.UnimplementedRouterServer{}) }),
		"hybrid":  methods(func(r rpcx.Registrar) { hybridrpcx.RegisterRouterServer(r, hybridrpcx.UnimplementedRouterServer{}) }),
		"opaque":  methods(func(r rpcx.Registrar) { opaquerpcx.RegisterRouterServer(r, opaquerpcx.UnimplementedRouterServer{}) }),
		"proto2":  methods(func(r rpcx.Registrar) { oldrpcx.RegisterRouterServer(r, oldrpcx.UnimplementedRouterServer{}) }),
		"edition": methods(func(r rpcx.Registrar) { editionrpcx.RegisterRouterServer(r, editionrpcx.UnimplementedRouterServer{}) }),
		"req":     methods(func(r rpcx.Registrar) { reqrpcx.RegisterUsersServer(r, reqrpcx.UnimplementedUsersServer{}) }),
	}
}

// descriptor returns the descriptor and our options of a method.
func descriptor(t *testing.T, m *call.Method) (protoreflect.MethodDescriptor, *optionsv1.MethodOptions) {
	t.Helper()
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(m.Service() + "." + m.Name()))
	if err != nil {
		t.Fatal(err)
	}
	method := d.(protoreflect.MethodDescriptor)
	return method, proto.GetExtension(method.Options(), optionsv1.E_Method).(*optionsv1.MethodOptions)
}

// TestRouteOptions checks what generated code says of access and of keys.
func TestRouteOptions(t *testing.T) {
	for name, list := range routed() {
		for _, m := range list {
			_, options := descriptor(t, m)
			if !m.Keyed() {
				t.Errorf("%s: %s is not keyed", name, m)
			}
			if m.KeyRequired() != options.GetRouteRequired() {
				t.Errorf("%s: %s: KeyRequired = %t", name, m, m.KeyRequired())
			}
			if want := options.GetAccess() == optionsv1.MethodOptions_READ; m.ReadOnly() != want {
				t.Errorf("%s: %s: ReadOnly = %t, want %t", name, m, m.ReadOnly(), want)
			}
		}
	}
}

// TestRouteKeys has generated code find keys in requests in which only the field
// of the route is set, or what leads to it, and compares with reflection.
func TestRouteKeys(t *testing.T) {
	for name, list := range routed() {
		t.Run(name, func(t *testing.T) {
			for _, m := range list {
				method, options := descriptor(t, m)
				path := fieldsOf(t, method.Input(), options.GetRoute())
				checkKeys(t, m, path)
			}
		})
	}
}

// fieldsOf returns the fields that path names.
func fieldsOf(t *testing.T, msg protoreflect.MessageDescriptor, path string) []protoreflect.FieldDescriptor {
	t.Helper()
	var fields []protoreflect.FieldDescriptor
	for _, name := range strings.Split(path, ".") {
		field := msg.Fields().ByName(protoreflect.Name(name))
		if field == nil {
			t.Fatalf("%s has no field %s", msg.FullName(), name)
		}
		fields = append(fields, field)
		msg = field.Message()
	}
	return fields
}

func checkKeys(t *testing.T, m *call.Method, path []protoreflect.FieldDescriptor) {
	t.Helper()
	last := path[len(path)-1]
	for depth := range path {
		req := m.NewRequest()
		holder(req, path[:depth])
		if key := m.Key(req); key.Present() {
			t.Errorf("%s: key %q with %d of %d messages set", m, key, depth, len(path)-1)
		}
		// Other members of the oneofs on the way.
		if others := path[depth].ContainingOneof(); others != nil && others.Fields().Len() > 1 {
			other := others.Fields().Get(0)
			if other == path[depth] {
				other = others.Fields().Get(1)
			}
			h := holder(req, path[:depth])
			h.Set(other, h.NewField(other))
			if key := m.Key(req); key.Present() {
				t.Errorf("%s: key %q though %s is set", m, key, other.Name())
			}
		}
	}
	for _, zero := range []bool{false, true} {
		req := m.NewRequest()
		value, want := sample(last, zero)
		holder(req, path[:len(path)-1]).Set(last, value)
		key := m.Key(req)
		if present := !zero || last.HasPresence(); key.Present() != present {
			t.Errorf("%s: key present = %t for %v, want %t", m, key.Present(), value, present)
		} else if present && (key.String() != want.String() || key.Hash() != want.Hash()) {
			t.Errorf("%s: key = %q, want %q", m, key, want)
		}
		if n := testing.AllocsPerRun(10, func() { m.Key(req) }); n != 0 {
			t.Errorf("%s: %v allocations", m, n)
		}
	}
	none := m.NewRequest().(proto.Message).ProtoReflect().Type().Zero().Interface()
	if m.Key(nil).Present() || m.Key(none).Present() || m.Key(new(string)).Present() {
		t.Errorf("%s: a key without a request", m)
	}
}

// holder returns the message that the path leads to, which it sets.
func holder(req any, path []protoreflect.FieldDescriptor) protoreflect.Message {
	msg := req.(proto.Message).ProtoReflect()
	for _, field := range path {
		msg = msg.Mutable(field).Message()
	}
	return msg
}

// sample returns a value for a field that may be a key, and the key that it is.
func sample(field protoreflect.FieldDescriptor, zero bool) (protoreflect.Value, rpcx.Key) {
	text, number := "key", int64(-2)
	if zero {
		text, number = "", 0
	}
	switch field.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(text), rpcx.TextKey(text)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(text)), rpcx.TextKey(text)
	case protoreflect.EnumKind:
		// The last of the enum's values, which may be negative.
		if values := field.Enum().Values(); !zero {
			number = int64(values.Get(values.Len() - 1).Number())
		}
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(number)), rpcx.IntKey(number)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(number)), rpcx.IntKey(number)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(number), rpcx.IntKey(number)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(number)), rpcx.UintKey(uint64(uint32(number)))
	}
	return protoreflect.ValueOfUint64(uint64(number)), rpcx.UintKey(uint64(number))
}
