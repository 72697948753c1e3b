// Package gen prints the model: it runs the templates into the files that
// protogen returns to protoc or buf.
package gen

import (
	"io/fs"
	"sync"
	"text/template"

	"google.golang.org/protobuf/compiler/protogen"

	"github.com/rpcx-go/rpcx/cmd/protoc-gen-rpcx/internal/model"
	"github.com/rpcx-go/rpcx/templates"
)

// parsed returns the templates; they are parsed once per process.
var parsed = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("").ParseFS(fs.FS(templates.Files), "*.tmpl"))
})

// Generate adds the files for all services of plugin that are to be generated.
// Files without services yield nothing.
func Generate(plugin *protogen.Plugin, opts model.Options) error {
	m, err := model.New(plugin, opts)
	if err != nil {
		return err
	}
	for _, file := range plugin.Files {
		if !file.Generate || len(file.Services) == 0 {
			continue
		}
		if err := generateStub(plugin, m, file); err != nil {
			return err
		}
		if !opts.Fakes {
			continue
		}
		if err := generateFake(plugin, m, file); err != nil {
			return err
		}
	}
	return nil
}

func generateStub(plugin *protogen.Plugin, m *model.Model, file *protogen.File) error {
	out := m.Output(file).Stub
	g := plugin.NewGeneratedFile(out.Name, out.ImportPath)
	stub, err := m.Stub(file, g.QualifiedGoIdent)
	if err != nil {
		return err
	}
	return parsed().ExecuteTemplate(g, "stub file", stub)
}

func generateFake(plugin *protogen.Plugin, m *model.Model, file *protogen.File) error {
	out := m.Output(file).Fake
	g := plugin.NewGeneratedFile(out.Name, out.ImportPath)
	return parsed().ExecuteTemplate(g, "fake file", m.Fake(file, g.QualifiedGoIdent))
}
