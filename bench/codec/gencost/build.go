package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"google.golang.org/protobuf/types/pluginpb"
)

// tree is a module with generated packages and a program that links all.
type tree struct{ dir string }

// writeTree writes the files of the first packages into dir, with a go.mod and
// a program. The program reaches every message's methods, those of vtprotobuf
// if callVT is set: without that the linker would drop them.
func writeTree(dir string, outputs [][]*pluginpb.CodeGeneratorResponse_File, packages int, callVT bool) (*tree, error) {
	wanted := map[string]bool{}
	var imports strings.Builder
	for i := range packages {
		wanted[path.Join(treeModule, treePackage(i))] = true
		fmt.Fprintf(&imports, "\t_ %q\n", path.Join(treeModule, treePackage(i)))
	}
	files := map[string]string{}
	for _, output := range outputs {
		for _, f := range output {
			if wanted[path.Dir(f.GetName())] {
				files[strings.TrimPrefix(f.GetName(), treeModule+"/")] = f.GetContent()
			}
		}
	}
	goMod, err := os.ReadFile("go.mod")
	if err != nil {
		return nil, err
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		return nil, err
	}
	_, requirements, _ := strings.Cut(string(goMod), "\n")
	files["go.mod"] = "module " + treeModule + "\n" + strings.Replace(requirements, "=> ../../", "=> "+root, 1)
	goSum, err := os.ReadFile("go.sum")
	if err != nil {
		return nil, err
	}
	files["go.sum"] = string(goSum)
	calls := ""
	if callVT {
		calls = vtCalls
	}
	files["main/main.go"] = fmt.Sprintf(program, imports.String(), calls)
	for name, content := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			return nil, err
		}
	}
	return &tree{dir: dir}, nil
}

// program links the packages that it imports and a runtime that unmarshals and
// marshals any message.
const program = `package main

import (
	"fmt"
	"os"

	"github.com/rpcx-go/rpcx/runtime/codec"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

%s)

func main() {
	protoregistry.GlobalTypes.RangeMessages(func(t protoreflect.MessageType) bool {
		m := t.New().Interface()
		fmt.Println(codec.Proto.Unmarshal([]byte(os.Args[1]), m))
		size, err := codec.Size(codec.Proto, m)
		fmt.Println(err)
		fmt.Println(codec.Append(codec.Proto, nil, m, size))
		fmt.Println(proto.Marshal(m))
%s		return true
	})
}
`

const vtCalls = `		if v, ok := m.(interface {
			SizeVT() int
			MarshalToSizedBufferVT([]byte) (int, error)
			UnmarshalVT([]byte) error
		}); ok {
			fmt.Println(v.UnmarshalVT([]byte(os.Args[1])))
			fmt.Println(v.MarshalToSizedBufferVT(make([]byte, v.SizeVT())))
		}
`

// buildAll compiles each tree, in turns, and links it. What the trees import
// is compiled before, into cache, which stays for the next time.
func buildAll(trees []*tree, costs []cost, cache, scratch string, rounds int) error {
	for _, t := range trees {
		if err := t.buildImports(cache); err != nil {
			return err
		}
	}
	times := make([][]spent, len(trees))
	for range rounds {
		for i, t := range trees {
			copied := filepath.Join(scratch, "cache")
			if err := linkFolder(copied, cache); err != nil {
				return err
			}
			took, err := t.build(copied, "./...")
			if err != nil {
				return err
			}
			times[i] = append(times[i], took)
			if _, err := t.build(copied, "-ldflags=-s -w", "-o", "linked", "./main"); err != nil {
				return err
			}
			info, err := os.Stat(filepath.Join(t.dir, "linked"))
			if err != nil {
				return err
			}
			costs[i].binary = info.Size()
			if err := os.RemoveAll(copied); err != nil {
				return err
			}
		}
	}
	for i := range trees {
		costs[i].compile = median(times[i])
	}
	return nil
}

// buildImports compiles what the tree imports from elsewhere.
func (t *tree) buildImports(cache string) error {
	const notMain = "{{with .Module}}{{if not .Main}}{{$.ImportPath}}{{end}}{{end}}"
	_, out, err := t.goTool(cache, "list", "-deps", "-f", notMain, "./...")
	if err != nil {
		return err
	}
	_, err = t.build(cache, strings.Fields(out)...)
	return err
}

// build runs go build in the tree with the given build cache.
func (t *tree) build(cache string, args ...string) (spent, error) {
	took, _, err := t.goTool(cache, "build", append([]string{"-p", "2"}, args...)...)
	return took, err
}

// goTool runs a go command in the tree and returns what it prints.
func (t *tree) goTool(cache, command string, args ...string) (spent, string, error) {
	cache, err := filepath.Abs(cache)
	if err != nil {
		return spent{}, "", err
	}
	cmd := exec.Command("go", append([]string{command}, args...)...)
	cmd.Dir = t.dir
	cmd.Env = append(os.Environ(), "GOCACHE="+cache, "GOFLAGS=-mod=mod", "GOWORK=off")
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	took, err := runProcess(cmd, nil)
	return took, stdout.String(), err
}

// linkFolder makes dst a copy of src whose files are hard links.
func linkFolder(dst, src string) error {
	return filepath.WalkDir(src, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(src, name)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(dst, rel), 0o755)
		}
		err = os.Link(name, filepath.Join(dst, rel))
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the go command trims its cache now and then
		}
		return err
	})
}
