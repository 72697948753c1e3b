package rpcx

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// TestOptionsSayTheirDefaults: the doc comment of every option that takes a
// number or a duration says what the default is, and its range or that it has
// none ("any").
func TestOptionsSayTheirDefaults(t *testing.T) {
	files, err := filepath.Glob("options*.go")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || !strings.HasPrefix(fn.Name.Name, "With") || !numeric(fn) {
				continue
			}
			checked++
			doc := strings.ToLower(strings.Join(strings.Fields(fn.Doc.Text()), " "))
			if !strings.Contains(doc, "default") {
				t.Errorf("%s does not say its default", fn.Name.Name)
			}
			if !containsAny(doc, "range", " any ", "at most", "which are also the most") {
				t.Errorf("%s does not say its range", fn.Name.Name)
			}
		}
	}
	if checked < 20 {
		t.Errorf("only %d options were looked at", checked)
	}
}

// numeric reports whether a parameter is a number or a duration.
func numeric(fn *ast.FuncDecl) bool {
	for _, p := range fn.Type.Params.List {
		switch typ := p.Type.(type) {
		case *ast.Ident:
			if typ.Name == "int" || typ.Name == "int64" {
				return true
			}
		case *ast.SelectorExpr:
			if typ.Sel.Name == "Duration" {
				return true
			}
		}
	}
	return false
}

func containsAny(s string, parts ...string) bool {
	for _, part := range parts {
		if strings.Contains(s, part) {
			return true
		}
	}
	return false
}
