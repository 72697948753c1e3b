// Package archtest checks the parts of the architecture that a linter cannot
// see: what a program links because of what its imports import, and what the
// root module requires. The direct imports are checked by depguard; its rules
// are in .golangci.yml.
package archtest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/rpcx-go/rpcx"

// maxDirect is how many modules the root module may require for more than its tests.
const maxDirect = 4

// pkg is the part of go list's answer that the tests use.
type pkg struct {
	ImportPath string
	Module     *struct {
		Path string
		Main bool
	}
}

// goTool runs a go command in the root of the module.
func goTool(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("go", append([]string{"-C", "../.."}, args...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return out
}

// linked returns every package that the given ones need when they are built
// without their tests, themselves included.
func linked(t *testing.T, patterns ...string) []pkg {
	t.Helper()
	out := goTool(t, append([]string{"list", "-deps", "-json=ImportPath,Module"}, patterns...)...)
	dec := json.NewDecoder(strings.NewReader(string(out)))
	var all []pkg
	for dec.More() {
		var p pkg
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) == 0 {
		t.Fatalf("go list finds nothing for %v", patterns)
	}
	return all
}

func TestWhatIsLinked(t *testing.T) {
	for _, test := range []struct {
		name     string
		patterns []string
		// forbidden are import paths; a trailing slash forbids what lies below.
		forbidden []string
	}{
		{
			name:     "a native client or server carries no HTTP and no templates",
			patterns: []string{"./runtime/rpcx"},
			forbidden: []string{
				"net/http", "net/http/", "text/template", "html/template",
				module + "/runtime/rpcxtest", module + "/runtime/rpcxtest/", "testing",
			},
		},
		{
			name:     "a program that speaks binary protobuf only carries no JSON codec",
			patterns: []string{"./runtime/rpcx", "./testdata/gen/users/usersv1rpcx"},
			forbidden: []string{
				module + "/runtime/codec/jsoncodec", "google.golang.org/protobuf/encoding/protojson",
				"google.golang.org/protobuf/types/dynamicpb", "regexp", // what protojson's init functions keep
			},
		},
		{
			name:      "clients of connect over the native protocol carry no HTTP",
			patterns:  []string{"./runtime/rpcxconnect"},
			forbidden: []string{"net/http", "net/http/"},
		},
		{
			name:      "messages and their glue need no runtime but wire",
			patterns:  []string{"./proto/...", "./testdata/gen/users", "./testdata/gen/fields"},
			forbidden: []string{module + "/runtime/rpcx", module + "/runtime/codec", module + "/runtime/status", module + "/runtime/internal/"},
		},
		{
			name:      "the generator needs no runtime",
			patterns:  []string{"./cmd/...", "./templates/..."},
			forbidden: []string{module + "/runtime/"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, p := range linked(t, test.patterns...) {
				if slices.ContainsFunc(test.forbidden, func(f string) bool {
					return p.ImportPath == f || strings.HasSuffix(f, "/") && strings.HasPrefix(p.ImportPath, f)
				}) {
					t.Errorf("%v links %s; go mod why -m and go list -deps tell by which way", test.patterns, p.ImportPath)
				}
			}
		})
	}
}

// TestWire checks that what glue calls stands at the bottom, so that messages
// stay importable by anyone.
func TestWire(t *testing.T) {
	const wire = module + "/runtime/wire"
	for pattern, allowed := range map[string][]string{
		"./runtime/wire":         {wire},
		"./runtime/wire/foreign": {wire, wire + "/foreign", "google.golang.org/protobuf"},
		"./runtime/wire/known":   {wire, wire + "/foreign", wire + "/known", "google.golang.org/protobuf"},
	} {
		t.Run(pattern, func(t *testing.T) {
			for _, p := range linked(t, pattern) {
				if p.Module == nil || slices.Contains(allowed, p.ImportPath) || slices.Contains(allowed, p.Module.Path) {
					continue
				}
				t.Errorf("%s links %s", pattern, p.ImportPath)
			}
		})
	}
}

func TestRootModuleIsLean(t *testing.T) {
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
		Replace []struct{ Old struct{ Path string } }
	}
	if err := json.Unmarshal(goTool(t, "mod", "edit", "-json"), &mod); err != nil {
		t.Fatal(err)
	}
	for _, r := range mod.Replace {
		t.Errorf("go.mod replaces %s; go install with a version refuses that", r.Old.Path)
	}
	needed := map[string]bool{}
	for _, p := range linked(t, "./...") {
		if p.Module != nil && !p.Module.Main {
			needed[p.Module.Path] = true
		}
	}
	var direct []string
	for _, r := range mod.Require {
		if !r.Indirect && needed[r.Path] {
			direct = append(direct, r.Path)
		}
	}
	if len(direct) == 0 || len(direct) > maxDirect {
		t.Errorf("the root module requires %d modules for more than tests: %v; want 1 to %d", len(direct), direct, maxDirect)
	}
}

// TestRuntimeTestsLookForLeaks: the tests of every package of the runtime fail
// if they leave goroutines or buffers behind.
func TestRuntimeTestsLookForLeaks(t *testing.T) {
	const want = "goleak.VerifyTestMain(leaktest."
	type tested struct {
		Dir                       string
		TestGoFiles, XTestGoFiles []string
	}
	dec := json.NewDecoder(strings.NewReader(string(goTool(t, "list", "-json=Dir,TestGoFiles,XTestGoFiles", "./runtime/..."))))
	n := 0
	for dec.More() {
		var p tested
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		files := slices.Concat(p.TestGoFiles, p.XTestGoFiles)
		if len(files) == 0 || filepath.Base(p.Dir) == "leaktest" {
			continue
		}
		n++
		if !slices.ContainsFunc(files, func(name string) bool {
			text, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			return strings.Contains(string(text), want)
		}) {
			t.Errorf("no test file of %s calls %s", p.Dir, want)
		}
	}
	if n < 15 {
		t.Errorf("only %d packages with tests were found", n)
	}
}
