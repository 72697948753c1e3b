package plugin

import (
	"cmp"
	"fmt"
	"go/token"
	"path"
	"strings"
	"unicode"

	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/rpcx-go/rpcx/cmd/protoc-gen-rpcx/internal/model"
)

// The numbers of fields that paths of source positions are made of.
const (
	fileMessages = 4
	fileOptions  = 8
	filePackage  = 2
	fileSyntax   = 12
	fileEdition  = 14

	goPackage = 11

	nestedMessages   = 3
	messageOptions   = 7
	messageSetFormat = 1
)

// check finds the mistakes that protogen would find too, but whose position it
// does not tell.
func check(req *pluginpb.CodeGeneratorRequest, params *parameters) error {
	files := make(map[string]*descriptorpb.FileDescriptorProto)
	for _, file := range req.GetProtoFile() {
		files[file.GetName()] = file
	}
	generated := make(map[string]bool)
	for _, path := range req.GetFileToGenerate() {
		if files[path] == nil {
			return fmt.Errorf("%s: the request does not contain %s, which it wants generated", name, path)
		}
		generated[path] = true
	}
	c := checker{
		params:    params,
		files:     files,
		generated: generated,
		seen:      make(map[string]bool),
		packages:  make(map[string]namedPackage),
	}
	for _, path := range req.GetFileToGenerate() {
		if err := c.file(files[path]); err != nil {
			return err
		}
	}
	return nil
}

// checker walks files and what they import, each once.
type checker struct {
	params    *parameters
	files     map[string]*descriptorpb.FileDescriptorProto
	generated map[string]bool
	seen      map[string]bool
	packages  map[string]namedPackage // by import path
}

// namedPackage is the name of a Go package and the file that says so.
type namedPackage struct{ name, file string }

func (c *checker) file(file *descriptorpb.FileDescriptorProto) error {
	if file == nil || c.seen[file.GetName()] {
		return nil
	}
	c.seen[file.GetName()] = true
	for _, path := range file.GetDependency() {
		if err := c.file(c.files[path]); err != nil {
			return err
		}
	}
	if file.GetSyntax() == "editions" && (file.GetEdition() < descriptorpb.Edition_EDITION_2023 || file.GetEdition() > maxEdition) {
		return model.ErrorAt(file, []int32{fileEdition},
			"edition %s is not supported: use edition 2023 or 2024, or a newer %s",
			strings.TrimPrefix(file.GetEdition().String(), "EDITION_"), name)
	}
	for i, m := range file.GetMessageType() {
		if err := checkMessageSet(file, m, []int32{fileMessages, int32(i)}); err != nil {
			return err
		}
	}
	return c.goPackage(file)
}

// checkMessageSet fails for messages with the wire format of MessageSet, of
// which only a build with protolegacy can make descriptors.
func checkMessageSet(file *descriptorpb.FileDescriptorProto, m *descriptorpb.DescriptorProto, path []int32) error {
	if protolegacy {
		return nil
	}
	if m.GetOptions().GetMessageSetWireFormat() {
		return model.ErrorAt(file, append(path, messageOptions, messageSetFormat),
			"message %s has message_set_wire_format, which only a %s built with -tags protolegacy supports",
			m.GetName(), name)
	}
	for i, nested := range m.GetNestedType() {
		if err := checkMessageSet(file, nested, append(path[:len(path):len(path)], nestedMessages, int32(i))); err != nil {
			return err
		}
	}
	return nil
}

// goPackage checks that the file's Go package is known, and agrees with other
// files and with the parameters.
func (c *checker) goPackage(file *descriptorpb.FileDescriptorProto) error {
	// The M parameter wins over the option, part by part.
	optionPath, optionName, _ := strings.Cut(file.GetOptions().GetGoPackage(), ";")
	paramPath, paramName, _ := strings.Cut(c.params.goPackages[file.GetName()], ";")
	importPath := cmp.Or(paramPath, optionPath)
	at := func(format string, args ...any) error {
		return model.ErrorAt(file, goPackagePosition(file), format, args...)
	}
	switch {
	case importPath == "":
		return at("no Go package: add `option go_package = \"example.com/path/to/package\";`, "+
			"or pass the parameter M%s=example.com/path/to/package, or enable buf's managed mode", file.GetName())
	case !strings.ContainsAny(importPath, "./"):
		return at("go_package %q has no dot or slash and so is no Go import path: "+
			"write example.com/path/to/%s", importPath, importPath)
	}
	name := cmp.Or(paramName, optionName)
	if name == "" {
		name = packageName(path.Base(cmp.Or(optionPath, importPath)))
	}
	if !token.IsIdentifier(name) {
		return at("Go package %s is named %q, which cannot be the name of a Go package: choose another one", importPath, name)
	}
	if other, ok := c.packages[importPath]; ok && other.name != name {
		return at("Go package %s is named %s here and %s in %s: give both the same name",
			importPath, name, other.name, other.file)
	}
	c.packages[importPath] = namedPackage{name, file.GetName()}
	module := c.params.module
	if module != "" && c.generated[file.GetName()] && !strings.HasPrefix(importPath+"/", module+"/") {
		return at("Go package %s is not in the module %s that the parameter \"module\" names: mend one of the two",
			importPath, module)
	}
	return nil
}

// packageName returns the name that protogen gives a package whose import path
// ends in base.
func packageName(base string) string {
	name := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return '_'
	}, base)
	if !token.IsIdentifier(name) {
		name = "_" + name
	}
	return name
}

// goPackagePosition returns the path of the option go_package, or of what it
// would stand after.
func goPackagePosition(file *descriptorpb.FileDescriptorProto) []int32 {
	switch {
	case file.GetOptions().GetGoPackage() != "":
		return []int32{fileOptions, goPackage}
	case file.GetPackage() != "":
		return []int32{filePackage}
	case file.GetSyntax() == "editions":
		return []int32{fileEdition}
	}
	return []int32{fileSyntax}
}
