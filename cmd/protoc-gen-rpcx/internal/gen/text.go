package gen

import (
	"go/format"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
)

// A namer gives imports the names that a person would: usersv1 for a package
// usersv1 in example.com/users/v1, where protogen by itself would say v1.
//
// Protogen names an import after the last element of its path. So the namer
// shows it a path with the package's name at its end, and takes that off again
// when protogen prints the import.
type namer struct {
	packages map[protogen.GoImportPath]protogen.GoPackageName
}

// avoiding returns a namer that gives no import one of the given names.
func (n namer) avoiding(locals []string) namer {
	packages := maps.Clone(n.packages)
	for path, name := range packages {
		if slices.Contains(locals, string(name)) {
			packages[path] = name + "pb"
		}
	}
	return namer{packages}
}

// marker separates a path from the name that was added; no path contains it.
const marker = "/\x00/"

// ident is the one function through which generated code names identifiers of
// Go, in the file g of the package self.
func (n namer) ident(g *protogen.GeneratedFile, self protogen.GoImportPath) func(protogen.GoIdent) string {
	return func(id protogen.GoIdent) string {
		name, ok := n.packages[id.GoImportPath]
		if ok && id.GoImportPath != self && string(name) != path.Base(string(id.GoImportPath)) {
			id.GoImportPath += protogen.GoImportPath(marker + string(name))
		}
		return g.QualifiedGoIdent(id)
	}
}

// RewriteImport undoes what generated code's idents did to an import path. It
// belongs into protogen's options.
func RewriteImport(p protogen.GoImportPath) protogen.GoImportPath {
	original, _, _ := strings.Cut(string(p), marker)
	return protogen.GoImportPath(original)
}

var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

// tidyImports gives the import block of a file the usual form: the standard
// library's packages first, and no name where it only repeats the path.
func tidyImports(content string) string {
	const opening, closing = "\nimport (\n", "\n)\n"
	start := strings.Index(content, opening)
	if start < 0 {
		return content
	}
	start += len(opening)
	length := strings.Index(content[start:], closing)
	var standard, others []string
	for line := range strings.SplitSeq(content[start:start+length], "\n") {
		name, quoted, _ := strings.Cut(strings.TrimSpace(line), " ")
		importPath := strings.Trim(quoted, `"`)
		// A path that ends in a major version does not tell the name to readers.
		if name == path.Base(importPath) && !majorVersion.MatchString(name) {
			line = "\t" + quoted
		}
		if first, _, _ := strings.Cut(importPath, "/"); strings.Contains(first, ".") {
			others = append(others, line)
		} else {
			standard = append(standard, line)
		}
	}
	if len(standard) > 0 && len(others) > 0 {
		standard = append(standard, "")
	}
	block := strings.Join(append(standard, others...), "\n")
	return content[:start] + block + content[start+length:]
}

// settle formats content until that changes nothing. Protogen formats once,
// which is not enough for some doc comments with indented text: how gofmt reads
// a list depends on what is around it.
func settle(content string) (string, error) {
	for strings.Contains(content, "//\t") || strings.Contains(content, "//  ") {
		formatted, err := format.Source([]byte(content))
		if err != nil {
			return "", err
		}
		if string(formatted) == content {
			break
		}
		content = string(formatted)
	}
	return content, nil
}
