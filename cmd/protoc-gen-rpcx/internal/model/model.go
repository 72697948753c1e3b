// Package model is what protoc-gen-rpcx generates from: a view of the protos in
// which every Go name and every expression that the templates print is
// computed. It is the only place that chooses names.
package model

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
)

// Options say what is generated.
type Options struct {
	// PackageSuffix is what the name of the stubs' package adds to that of the
	// messages. Empty means that the stubs share the messages' package.
	PackageSuffix string
	// Fakes asks for a package with a fake of each service.
	Fakes bool
	// Glue says which messages get serialization glue.
	Glue GlueScope
	// Functions has the glue be functions of the package known, for messages
	// that others generate. No parameter sets it.
	Functions bool
}

// Model knows the names of everything that a run generates. It is built once
// per run and not changed afterwards.
type Model struct {
	opts     Options
	services map[*protogen.Service]*serviceNames
	outputs  map[*protogen.File]*Output
	packages map[protogen.GoImportPath]protogen.GoPackageName
	glue     *glueIndex
}

// Output says where the code for one proto file goes.
type Output struct {
	// Stub, Fake and Glue are the files of the stubs, the fakes and the
	// serialization glue. Their names have slashes.
	Stub, Fake, Glue OutputFile
}

// OutputFile is one generated Go file.
type OutputFile struct {
	Name       string
	Package    protogen.GoPackageName
	ImportPath protogen.GoImportPath
}

// New names everything that is generated for the plugin's files. The names
// depend on the files and on opts only, not on the files' order in the request.
func New(plugin *protogen.Plugin, opts Options) (*Model, error) {
	m := &Model{
		opts:     opts,
		services: make(map[*protogen.Service]*serviceNames),
		outputs:  make(map[*protogen.File]*Output),
		packages: map[protogen.GoImportPath]protogen.GoPackageName{
			contextPackage: "context", rpcxPackage: "rpcx", rpcxtestPackage: "rpcxtest", statusPackage: "status",
			fanoutPackage: "fanout", wirePackage: "wire", foreignPackage: "foreign", knownPackage: "known",
		},
	}
	files := inStableOrder(plugin)
	for _, file := range files {
		out := m.output(file)
		m.outputs[file] = out
		m.packages[file.GoImportPath] = file.GoPackageName
		m.packages[out.Stub.ImportPath] = out.Stub.Package
	}
	m.indexGlue(plugin)
	if err := m.checkOutputs(files); err != nil {
		return nil, err
	}
	m.claimNames(files)
	return m, nil
}

// claimNames chooses the names of what is generated for files. Files that are
// only imported count too: another run generates into the same packages.
func (m *Model) claimNames(files []*protogen.File) {
	imports := make(map[string]bool)
	for _, name := range m.packages {
		imports[string(name)] = true
	}
	scopes := make(map[protogen.GoImportPath]*scope)
	for _, file := range files {
		out := m.outputs[file]
		scopes[out.Stub.ImportPath] = newScope(imports)
		scopes[out.Fake.ImportPath] = newScope(imports)
	}
	for _, file := range files {
		if shared := scopes[file.GoImportPath]; shared != nil {
			shared.reserveMessages(file)
		}
	}
	// The names of services come before those of methods, which are less
	// visible and may better bear an underscore.
	for _, file := range files {
		for _, service := range file.Services {
			m.services[service] = m.nameService(service, scopes[m.outputs[file].Stub.ImportPath])
		}
	}
	for _, file := range files {
		out := m.outputs[file]
		for _, service := range file.Services {
			m.services[service].nameMethods(service, scopes[out.Stub.ImportPath])
			m.services[service].nameFake(service, scopes[out.Fake.ImportPath])
		}
	}
	for _, file := range files {
		for _, service := range file.Services {
			m.services[service].nameOptions(service, scopes[m.outputs[file].Stub.ImportPath])
		}
	}
}

// PackageNames returns the names of the packages that generated code may
// import. It must not be changed.
func (m *Model) PackageNames() map[protogen.GoImportPath]protogen.GoPackageName { return m.packages }

// Output returns where the code for file goes.
func (m *Model) Output(file *protogen.File) *Output { return m.outputs[file] }

// prefix returns the path of file as that of a generated file, without its ending.
func prefix(file *protogen.File) string {
	return strings.ReplaceAll(file.GeneratedFilenamePrefix, `\`, "/")
}

func (m *Model) output(file *protogen.File) *Output {
	dir, base := path.Split(prefix(file))
	stub := OutputFile{
		Name:       dir + fileName(base, ".rpcx.go"),
		Package:    file.GoPackageName,
		ImportPath: file.GoImportPath,
	}
	if m.opts.PackageSuffix != "" {
		stub = subpackage(file, dir, base, m.opts.PackageSuffix)
	}
	suffix := cmp.Or(m.opts.PackageSuffix, "rpcx") + "test"
	glue := OutputFile{Name: dir + fileName(base, "_rpcx.pb.go"), Package: file.GoPackageName, ImportPath: file.GoImportPath}
	if m.opts.Functions {
		glue = OutputFile{Name: fileName(base, ".pb.go"), Package: "known", ImportPath: knownPackage}
	}
	return &Output{Stub: stub, Fake: subpackage(file, dir, base, suffix), Glue: glue}
}

// subpackage places a file into a package of its own below that of the messages.
func subpackage(file *protogen.File, dir, base, suffix string) OutputFile {
	name := string(file.GoPackageName) + suffix
	// A package whose messages' package is named like a keyword has an
	// underscore in front, and the go command passes over such folders.
	if trimmed := strings.TrimLeft(name, "_"); trimmed != "" && (trimmed[0] < '0' || trimmed[0] > '9') {
		name = trimmed
	}
	return OutputFile{
		Name:       dir + name + "/" + fileName(base, ".rpcx.go"),
		Package:    protogen.GoPackageName(name),
		ImportPath: protogen.GoImportPath(path.Join(string(file.GoImportPath), name)),
	}
}

// checkOutputs fails if two protos would be generated into one file, or one
// into what protoc-gen-go writes for the other.
func (m *Model) checkOutputs(files []*protogen.File) error {
	from := make(map[string]*protogen.File)
	for _, file := range files {
		var names []string
		if file.Generate && len(file.Services) > 0 {
			names = append(names, m.outputs[file].Stub.Name)
		}
		if m.HasGlue(file) {
			names = append(names, m.outputs[file].Glue.Name)
		}
		for _, name := range names {
			if other := from[name]; other != nil {
				return errorAtPackage(file, "this file and %s are both generated into %s: rename one, or give one a Go package of its own",
					other.Desc.Path(), name)
			}
			from[name] = file
		}
	}
	for _, file := range files {
		name := prefix(file) + ".pb.go"
		if other := from[name]; other != nil {
			return errorAtPackage(file, "protoc-gen-go generates %s from this file, and the glue of %s has the same name: "+
				"rename one, or turn glue off with the parameter glue=false", name, other.Desc.Path())
		}
	}
	return nil
}

// errorAtPackage is ErrorAt for a file's Go package.
func errorAtPackage(file *protogen.File, format string, args ...any) error {
	return ErrorAt(file.Proto, []int32{fileOptions, goPackage}, format, args...)
}

// inStableOrder returns the plugin's files ordered by name, except that each
// comes after those that it imports. So a file gets the names that it gets when
// it is generated alone with its imports, whatever else the request holds.
func inStableOrder(plugin *protogen.Plugin) []*protogen.File {
	byName := slices.Clone(plugin.Files)
	slices.SortFunc(byName, func(a, b *protogen.File) int {
		return cmp.Compare(a.Desc.Path(), b.Desc.Path())
	})
	ordered := make([]*protogen.File, 0, len(byName))
	seen := make(map[string]bool, len(byName))
	var visit func(file *protogen.File)
	visit = func(file *protogen.File) {
		if file == nil || seen[file.Desc.Path()] {
			return
		}
		seen[file.Desc.Path()] = true
		imports := file.Desc.Imports()
		for i := range imports.Len() {
			visit(plugin.FilesByPath[imports.Get(i).Path()])
		}
		ordered = append(ordered, file)
	}
	for _, file := range byName {
		visit(file)
	}
	return ordered
}
