// Package grpcproto holds the descriptors of gRPC's reflection and health services.
//
// They are in no global registry: a program may also link grpc-go's own packages
// for them, which register the same names and may do so only once. So there are
// no Go types for their messages; they are dynamic.
package grpcproto

import (
	_ "embed"
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/rpcx-go/rpcx/runtime/call"
)

// compiled is a FileDescriptorSet of the files in proto; scripts/generate makes it.
//
//go:embed proto.binpb
var compiled []byte

// Files returns the descriptors. Nobody may add to them.
var Files = sync.OnceValue(func() *protoregistry.Files {
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(compiled, &set); err != nil {
		panic(fmt.Sprintf("grpcproto: %v", err))
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		panic(fmt.Sprintf("grpcproto: %v", err))
	}
	return files
})

// Methods returns the methods of a service by their names. It panics if there is
// no such service. Call it once for each: a method is one value per process.
func Methods(service protoreflect.FullName) map[protoreflect.Name]*call.Method {
	d, err := Files().FindDescriptorByName(service)
	if err != nil {
		panic(fmt.Sprintf("grpcproto: %s: %v", service, err))
	}
	all := map[protoreflect.Name]*call.Method{}
	methods := d.(protoreflect.ServiceDescriptor).Methods()
	for i := range methods.Len() {
		m := methods.Get(i)
		spec := call.MethodSpec{Service: string(service), Name: string(m.Name())}
		if m.IsStreamingClient() {
			spec.Kind |= call.KindClientStream
		}
		if m.IsStreamingServer() {
			spec.Kind |= call.KindServerStream
		}
		all[m.Name()] = call.NewMethod(spec, maker(m.Input()), maker(m.Output()))
	}
	return all
}

func maker(d protoreflect.MessageDescriptor) func() any {
	t := dynamicpb.NewMessageType(d)
	return func() any { return t.New().Interface() }
}

// Message is one of their messages. Its methods panic if it has no such field.
type Message struct{ protoreflect.Message }

// Of returns m, which one of the methods made, as a Message.
func Of(m any) Message { return Message{m.(proto.Message).ProtoReflect()} }

func (m Message) field(name protoreflect.Name) protoreflect.FieldDescriptor {
	return m.Descriptor().Fields().ByName(name)
}

// Text returns a field of text.
func (m Message) Text(name protoreflect.Name) string { return m.Get(m.field(name)).String() }

// Int returns a number.
func (m Message) Int(name protoreflect.Name) int64 { return m.Get(m.field(name)).Int() }

// Enum returns the number of an enum's value.
func (m Message) Enum(name protoreflect.Name) protoreflect.EnumNumber {
	return m.Get(m.field(name)).Enum()
}

// Set sets a field to a string, an int32, an enum's number, or a Message.
func (m Message) Set(name protoreflect.Name, v any) {
	if sub, ok := v.(Message); ok {
		v = sub.Message
	}
	m.Message.Set(m.field(name), protoreflect.ValueOf(v))
}

// Sub returns the message in a field, which is set if it was not.
func (m Message) Sub(name protoreflect.Name) Message {
	return Message{m.Mutable(m.field(name)).Message()}
}

// Append appends a string, bytes or an int32 to a list.
func (m Message) Append(name protoreflect.Name, v any) {
	m.Mutable(m.field(name)).List().Append(protoreflect.ValueOf(v))
}

// AppendNew appends a message to a list and returns it.
func (m Message) AppendNew(name protoreflect.Name) Message {
	return Message{m.Mutable(m.field(name)).List().AppendMutable().Message()}
}

// PutNew puts a message into a map whose keys are text and returns it.
func (m Message) PutNew(name protoreflect.Name, key string) Message {
	return Message{m.Mutable(m.field(name)).Map().Mutable(protoreflect.ValueOfString(key).MapKey()).Message()}
}

// Which returns the name of the field that is set of a oneof, and "" for none.
func (m Message) Which(oneof protoreflect.Name) protoreflect.Name {
	f := m.WhichOneof(m.Descriptor().Oneofs().ByName(oneof))
	if f == nil {
		return ""
	}
	return f.Name()
}
