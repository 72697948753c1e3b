package main

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// The numbers of fields that the paths of source positions are made of.
const (
	fileServices   = 6
	serviceMethods = 2
)

// fieldsPerMessage and methodsPerService give the protos an ordinary size. Each
// service has all four kinds of methods.
const (
	fieldsPerMessage  = 8
	methodsPerService = 6
)

// treeRequest returns the request to generate files with the given numbers of
// messages and services each. Services and methods have comments.
func treeRequest(files, messages, services int) *pluginpb.CodeGeneratorRequest {
	req := &pluginpb.CodeGeneratorRequest{Parameter: proto.String("paths=source_relative")}
	for i := range files {
		file := treeFile(i, messages, services)
		req.ProtoFile = append(req.ProtoFile, file)
		req.FileToGenerate = append(req.FileToGenerate, file.GetName())
	}
	return req
}

func treeFile(n, messages, services int) *descriptorpb.FileDescriptorProto {
	pkg := fmt.Sprintf("bench.tree%d.v1", n)
	file := &descriptorpb.FileDescriptorProto{
		Name:           proto.String(fmt.Sprintf("bench/tree%d/v1/tree.proto", n)),
		Package:        proto.String(pkg),
		Syntax:         proto.String("proto3"),
		Options:        &descriptorpb.FileOptions{GoPackage: proto.String(fmt.Sprintf("example.com/bench/tree%d/v1;tree%dv1", n, n))},
		SourceCodeInfo: &descriptorpb.SourceCodeInfo{},
	}
	for i := range messages {
		m := &descriptorpb.DescriptorProto{Name: proto.String(fmt.Sprintf("Message%d", i))}
		for f := range fieldsPerMessage {
			m.Field = append(m.Field, &descriptorpb.FieldDescriptorProto{
				Name:   proto.String(fmt.Sprintf("field_%d", f)),
				Number: proto.Int32(int32(f + 1)),
				Label:  descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
				Type:   descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(),
			})
		}
		file.MessageType = append(file.MessageType, m)
	}
	comment := func(text string, path ...int32) {
		file.SourceCodeInfo.Location = append(file.SourceCodeInfo.Location, &descriptorpb.SourceCodeInfo_Location{
			Path: path, Span: []int32{int32(len(file.SourceCodeInfo.Location)), 0, 80}, LeadingComments: proto.String(text),
		})
	}
	message := func(i int) *string { return proto.String(fmt.Sprintf(".%s.Message%d", pkg, i%messages)) }
	for s := range services {
		service := &descriptorpb.ServiceDescriptorProto{Name: proto.String(fmt.Sprintf("Service%d", s))}
		comment(" This service is one of many.\n\n It has a comment of two paragraphs.\n", fileServices, int32(s))
		for i := range methodsPerService {
			service.Method = append(service.Method, &descriptorpb.MethodDescriptorProto{
				Name:            proto.String(fmt.Sprintf("Method%d", i)),
				InputType:       message(2*i + s),
				OutputType:      message(2*i + s + 1),
				ClientStreaming: proto.Bool(i%4 == 1 || i%4 == 3),
				ServerStreaming: proto.Bool(i%4 == 2 || i%4 == 3),
			})
			comment(" The method does what its name says,\n and tells so in two lines.\n", fileServices, int32(s), serviceMethods, int32(i))
		}
		file.Service = append(file.Service, service)
	}
	return file
}
