package main

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// modulePath is that of the generated code. It lies below the repository's, so
// that programs there may import internal packages.
const modulePath = "github.com/rpcx-go/rpcx/corpus"

// image has buf compile the protos of s that are generated, and returns them
// with everything that they import, imports first.
func (c config) image(s *source) (*descriptorpb.FileDescriptorSet, error) {
	var modules []string
	for _, dir := range s.dirs {
		rel, err := filepath.Rel(c.run, dir)
		if err != nil {
			return nil, err
		}
		modules = append(modules, fmt.Sprintf(`{"path":%q}`, filepath.ToSlash(rel)))
	}
	args := []string{"build", ".", "-o", "-#format=binpb", "--config", `{"version":"v2","modules":[` + strings.Join(modules, ",") + `]}`}
	for _, name := range s.only {
		args = append(args, "--path", filepath.Join(s.own, name))
	}
	cmd := exec.Command(filepath.Join(c.root, "scripts/buf"), args...)
	cmd.Dir = c.run
	out, err := run1(cmd)
	if err != nil {
		return nil, err
	}
	set := new(descriptorpb.FileDescriptorSet)
	if err := proto.Unmarshal(out, set); err != nil {
		return nil, err
	}
	for _, file := range set.File {
		file.ProtoReflect().SetUnknown(nil) // what buf notes of the file
	}
	return set, nil
}

// goPackage returns the Go package in which the messages of a file lie, as the
// parameter M wants it, and whether they have to be generated: those of
// protobuf itself are not.
func goPackage(s *source, file *descriptorpb.FileDescriptorProto) (pkg string, generate bool) {
	importPath, name, _ := strings.Cut(file.GetOptions().GetGoPackage(), ";")
	if strings.HasPrefix(file.GetName(), "google/protobuf/") && strings.HasPrefix(importPath, protobufGo+"/types/") {
		return importPath, false
	}
	if importPath == "" || importPath == "." {
		importPath = "unnamed/" + path.Dir(file.GetName())
	}
	// The Go package of these is given messages of several proto packages, some
	// with the same name.
	if strings.HasPrefix(file.GetName(), "google/devtools/containeranalysis/v1beta1/") {
		importPath, name = importPath+"/"+path.Dir(file.GetName()), ""
	}
	importPath = path.Join(modulePath, s.name, strings.ReplaceAll(importPath, "internal", "inside"))
	if name != "" {
		importPath += ";" + name
	}
	return importPath, true
}

// isOwn reports whether file lies in the part of s that is generated.
func isOwn(s *source, file *descriptorpb.FileDescriptorProto) bool {
	_, err := os.Stat(filepath.Join(s.own, filepath.FromSlash(file.GetName())))
	return err == nil
}

// addService gives a file a service that uses all of its messages, if it has
// messages but no service.
func addService(file *descriptorpb.FileDescriptorProto) {
	if len(file.Service) > 0 || len(file.MessageType) == 0 {
		return
	}
	// Several files share a package, and some folders have files of one name.
	name := "Corpus_" + strings.Map(wordOnly, strings.TrimSuffix(file.GetName(), ".proto"))
	service := &descriptorpb.ServiceDescriptorProto{Name: proto.String(name)}
	add := func(name string) {
		n := len(service.Method)
		service.Method = append(service.Method, &descriptorpb.MethodDescriptorProto{
			Name:            proto.String("Method" + strconv.Itoa(n)),
			InputType:       proto.String(name),
			OutputType:      proto.String(name),
			ClientStreaming: proto.Bool(n&1 != 0),
			ServerStreaming: proto.Bool(n&2 != 0),
		})
	}
	scope := "."
	if file.GetPackage() != "" {
		scope += file.GetPackage() + "."
	}
	for _, m := range file.MessageType {
		walkMessages(scope, m, add)
	}
	file.Service = append(file.Service, service)
}

// walkMessages calls f with the full names of m and the messages in it.
func walkMessages(scope string, m *descriptorpb.DescriptorProto, f func(string)) {
	if m.GetOptions().GetMapEntry() {
		return
	}
	f(scope + m.GetName())
	for _, nested := range m.NestedType {
		walkMessages(scope+m.GetName()+".", nested, f)
	}
}

func wordOnly(r rune) rune {
	if r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
		return r
	}
	return '_'
}
