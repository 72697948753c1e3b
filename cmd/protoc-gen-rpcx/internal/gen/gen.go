// Package gen prints the model: it runs the templates into the files that
// protogen returns to protoc or buf.
package gen

import (
	"fmt"
	"strings"
	"sync"
	"text/template"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/rpcx-go/rpcx/cmd/protoc-gen-rpcx/internal/model"
	"github.com/rpcx-go/rpcx/templates"
)

// parsed returns the templates; they are parsed once per process.
var parsed = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("").ParseFS(templates.Files, "*.tmpl"))
})

// Generate returns the files for all services of plugin that are to be
// generated, or the reason why it cannot. The plugin must have been made with
// RewriteImport. Files without services and messages yield nothing.
func Generate(plugin *protogen.Plugin, opts model.Options) (*pluginpb.CodeGeneratorResponse, error) {
	m, err := model.New(plugin, opts)
	if err != nil {
		return nil, err
	}
	imports := namer{m.PackageNames()}
	for _, file := range plugin.Files {
		if !file.Generate {
			continue
		}
		if m.HasGlue(file) {
			if err := generateGlue(plugin, m, file, imports); err != nil {
				return nil, err
			}
		}
		if len(file.Services) == 0 {
			continue
		}
		if err := generateStub(plugin, m, file, imports); err != nil {
			return nil, err
		}
		if !opts.Fakes {
			continue
		}
		if err := generateFake(plugin, m, file, imports); err != nil {
			return nil, err
		}
	}
	resp := plugin.Response()
	for _, file := range resp.File {
		if !strings.HasSuffix(file.GetName(), ".go") {
			continue
		}
		content, err := settle(tidyImports(file.GetContent()))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file.GetName(), err)
		}
		file.Content = proto.String(content)
	}
	return resp, nil
}

func generateStub(plugin *protogen.Plugin, m *model.Model, file *protogen.File, imports namer) error {
	out := m.Output(file).Stub
	g := plugin.NewGeneratedFile(out.Name, out.ImportPath)
	stub, err := m.Stub(file, imports.ident(g, out.ImportPath))
	if err != nil {
		return err
	}
	return parsed().ExecuteTemplate(g, "stub file", stub)
}

func generateGlue(plugin *protogen.Plugin, m *model.Model, file *protogen.File, imports namer) error {
	out := m.Output(file).Glue
	g := plugin.NewGeneratedFile(out.Name, out.ImportPath)
	ident := imports.avoiding(model.GlueLocals).ident(g, out.ImportPath)
	return parsed().ExecuteTemplate(g, "glue file", m.Glue(file, ident))
}

func generateFake(plugin *protogen.Plugin, m *model.Model, file *protogen.File, imports namer) error {
	out := m.Output(file).Fake
	g := plugin.NewGeneratedFile(out.Name, out.ImportPath)
	return parsed().ExecuteTemplate(g, "fake file", m.Fake(file, imports.ident(g, out.ImportPath)))
}
