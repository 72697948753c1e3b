package main

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// treeModule is the Go module that the generated packages are in.
const treeModule = "example.com/tree"

// treeRequest returns the request to generate so many files with so many
// messages each. Each file is a Go package of its own, and every tenth file
// has messages that the next nine refer to.
func treeRequest(files, messages int) *pluginpb.CodeGeneratorRequest {
	req := &pluginpb.CodeGeneratorRequest{
		CompilerVersion: &pluginpb.Version{Major: proto.Int32(7), Minor: proto.Int32(0), Patch: proto.Int32(0)},
	}
	for i := range files {
		file := treeFile(i, messages)
		req.ProtoFile = append(req.ProtoFile, file)
		req.FileToGenerate = append(req.FileToGenerate, file.GetName())
	}
	return req
}

// treePackage returns the folder of a file below the module.
func treePackage(n int) string { return fmt.Sprintf("p%d", n) }

func treeFile(n, messages int) *descriptorpb.FileDescriptorProto {
	file := &descriptorpb.FileDescriptorProto{
		Name:    proto.String(treePackage(n) + "/tree.proto"),
		Package: proto.String("bench.tree." + treePackage(n)),
		Syntax:  proto.String("proto3"),
		Options: &descriptorpb.FileOptions{GoPackage: proto.String(treeModule + "/" + treePackage(n))},
		EnumType: []*descriptorpb.EnumDescriptorProto{{
			Name: proto.String("State"),
			Value: []*descriptorpb.EnumValueDescriptorProto{
				{Name: proto.String("STATE_UNSPECIFIED"), Number: proto.Int32(0)},
				{Name: proto.String("STATE_ON"), Number: proto.Int32(1)},
				{Name: proto.String("STATE_OFF"), Number: proto.Int32(2)},
			},
		}},
	}
	other := n - n%10
	if other != n {
		file.Dependency = []string{treePackage(other) + "/tree.proto"}
	}
	for i := range messages {
		b := &messageBuilder{
			pkg:     "." + file.GetPackage(),
			message: &descriptorpb.DescriptorProto{Name: proto.String(messageName(i))},
			sibling: messageName((i + 1) % messages),
		}
		// From 6 to 20 fields, and each message starts at another kind.
		for f := range 6 + i*7%15 {
			fieldKinds[(i*5+f)%len(fieldKinds)](b)
		}
		if i == 0 && other != n {
			b.add(descriptorpb.FieldDescriptorProto_TYPE_MESSAGE).TypeName = proto.String(
				".bench.tree." + treePackage(other) + "." + messageName(0))
		}
		// Oneofs that optional fields bring must follow the others.
		b.message.OneofDecl = append(b.message.OneofDecl, b.optional...)
		for _, f := range b.message.Field {
			if f.GetProto3Optional() {
				*f.OneofIndex += int32(len(b.message.OneofDecl) - len(b.optional))
			}
		}
		file.MessageType = append(file.MessageType, b.message)
	}
	return file
}

func messageName(i int) string { return fmt.Sprintf("Message%d", i) }

// messageBuilder adds fields to a message.
type messageBuilder struct {
	pkg, sibling string
	message      *descriptorpb.DescriptorProto
	optional     []*descriptorpb.OneofDescriptorProto
}

// add adds a singular field and returns it.
func (b *messageBuilder) add(t descriptorpb.FieldDescriptorProto_Type) *descriptorpb.FieldDescriptorProto {
	n := int32(len(b.message.Field) + 1)
	f := &descriptorpb.FieldDescriptorProto{
		Name:   proto.String(fmt.Sprintf("field_%d", n)),
		Number: proto.Int32(n),
		Label:  descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		Type:   t.Enum(),
	}
	switch t {
	case descriptorpb.FieldDescriptorProto_TYPE_MESSAGE:
		f.TypeName = proto.String(b.pkg + "." + b.sibling)
	case descriptorpb.FieldDescriptorProto_TYPE_ENUM:
		f.TypeName = proto.String(b.pkg + ".State")
	}
	b.message.Field = append(b.message.Field, f)
	return f
}

// addOptional adds a field with presence.
func (b *messageBuilder) addOptional(t descriptorpb.FieldDescriptorProto_Type) {
	f := b.add(t)
	f.Proto3Optional = proto.Bool(true)
	f.OneofIndex = proto.Int32(int32(len(b.optional)))
	b.optional = append(b.optional, &descriptorpb.OneofDescriptorProto{Name: proto.String("_" + f.GetName())})
}

// addOneof adds a oneof with a member of each of the given types.
func (b *messageBuilder) addOneof(types ...descriptorpb.FieldDescriptorProto_Type) {
	index := int32(len(b.message.OneofDecl))
	b.message.OneofDecl = append(b.message.OneofDecl,
		&descriptorpb.OneofDescriptorProto{Name: proto.String(fmt.Sprintf("choice_%d", index))})
	for _, t := range types {
		b.add(t).OneofIndex = proto.Int32(index)
	}
}

// addMap adds a map from key to value.
func (b *messageBuilder) addMap(key, value descriptorpb.FieldDescriptorProto_Type) {
	f := b.add(descriptorpb.FieldDescriptorProto_TYPE_MESSAGE)
	f.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
	entry := &messageBuilder{pkg: b.pkg, sibling: b.sibling, message: &descriptorpb.DescriptorProto{
		Name:    proto.String(fmt.Sprintf("Field%dEntry", f.GetNumber())),
		Options: &descriptorpb.MessageOptions{MapEntry: proto.Bool(true)},
	}}
	entry.add(key).Name = proto.String("key")
	entry.add(value).Name = proto.String("value")
	b.message.NestedType = append(b.message.NestedType, entry.message)
	f.TypeName = proto.String(b.pkg + "." + b.message.GetName() + "." + entry.message.GetName())
}

// fieldKinds add one field each, a oneof more. The mix is that of ordinary
// schemas: strings and integers first, and some of everything.
var fieldKinds = func() []func(*messageBuilder) {
	singular := func(t descriptorpb.FieldDescriptorProto_Type) func(*messageBuilder) {
		return func(b *messageBuilder) { b.add(t) }
	}
	repeated := func(t descriptorpb.FieldDescriptorProto_Type) func(*messageBuilder) {
		return func(b *messageBuilder) {
			b.add(t).Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		}
	}
	const (
		boolean  = descriptorpb.FieldDescriptorProto_TYPE_BOOL
		bytes    = descriptorpb.FieldDescriptorProto_TYPE_BYTES
		double   = descriptorpb.FieldDescriptorProto_TYPE_DOUBLE
		enum     = descriptorpb.FieldDescriptorProto_TYPE_ENUM
		fixed64  = descriptorpb.FieldDescriptorProto_TYPE_FIXED64
		int32s   = descriptorpb.FieldDescriptorProto_TYPE_INT32
		int64s   = descriptorpb.FieldDescriptorProto_TYPE_INT64
		message  = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
		sint64   = descriptorpb.FieldDescriptorProto_TYPE_SINT64
		str      = descriptorpb.FieldDescriptorProto_TYPE_STRING
		unsigned = descriptorpb.FieldDescriptorProto_TYPE_UINT32
	)
	return []func(*messageBuilder){
		singular(str), singular(int64s), singular(boolean), singular(message), repeated(str),
		singular(str), singular(int32s), singular(enum), singular(double), repeated(message),
		singular(str), singular(int64s), singular(bytes), repeated(int64s),
		func(b *messageBuilder) { b.addMap(str, str) },
		singular(str), singular(unsigned), singular(message), singular(boolean),
		func(b *messageBuilder) { b.addOptional(str) },
		func(b *messageBuilder) { b.addOptional(int64s) },
		func(b *messageBuilder) { b.addOneof(str, message, int64s) },
		singular(sint64), singular(fixed64), repeated(enum),
		func(b *messageBuilder) { b.addMap(int64s, message) },
	}
}()
