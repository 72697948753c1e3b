package plugin

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rpcx-go/rpcx/cmd/protoc-gen-rpcx/internal/model"
)

// TestGlueLocals checks that the model knows the names of all variables in
// glue, which no import may have, and no others.
func TestGlueLocals(t *testing.T) {
	locals := make(map[string]bool)
	for name, content := range readGolden(t, goldenDir) {
		if !strings.HasSuffix(name, "_rpcx.pb.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, content, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok {
				ast.Inspect(fn, func(n ast.Node) bool {
					for _, id := range declared(n) {
						locals[id.Name] = true
					}
					return true
				})
			}
		}
	}
	delete(locals, "_")
	if diff := cmp.Diff(model.GlueLocals, slices.Sorted(maps.Keys(locals))); diff != "" {
		t.Errorf("variables in glue (-model.GlueLocals +testdata):\n%s", diff)
	}
}

// declared returns the variables that a node declares.
func declared(n ast.Node) []*ast.Ident {
	switch n := n.(type) {
	case *ast.Field:
		return n.Names
	case *ast.ValueSpec:
		return n.Names
	case *ast.RangeStmt:
		if n.Tok == token.DEFINE {
			return idents(n.Key, n.Value)
		}
	case *ast.AssignStmt:
		if n.Tok == token.DEFINE {
			return idents(n.Lhs...)
		}
	}
	return nil
}

func idents(exprs ...ast.Expr) []*ast.Ident {
	var list []*ast.Ident
	for _, e := range exprs {
		if id, ok := e.(*ast.Ident); ok {
			list = append(list, id)
		}
	}
	return list
}
