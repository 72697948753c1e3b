package main

import (
	"bytes"
	"fmt"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// output is the Go module into which everything is generated.
type output struct {
	config
	dir, bin                 string
	files, services, methods int
	compared                 int                 // messages and inputs
	packages                 map[string][]string // with messages, by source
	failed                   int
}

// newOutput makes the module and builds the plugins.
func newOutput(c config) (*output, error) {
	o := &output{config: c, dir: filepath.Join(c.run, "out"), bin: filepath.Join(c.run, "bin"), packages: make(map[string][]string)}
	for _, dir := range []string{o.dir, o.bin} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return nil, err
		}
	}
	// It needs what the runtime needs, in the same versions.
	mod, err := os.ReadFile(filepath.Join(c.root, "go.mod"))
	if err != nil {
		return nil, err
	}
	text := regexp.MustCompile(`(?m)^(module|tool) .*\n`).ReplaceAllString(string(mod), "")
	text = "module " + modulePath + "\n" + text +
		"\nrequire github.com/rpcx-go/rpcx v0.0.0\n\nreplace github.com/rpcx-go/rpcx => " + c.root + "\n"
	if err := os.WriteFile(filepath.Join(o.dir, "go.mod"), []byte(text), 0o666); err != nil {
		return nil, err
	}
	sum, err := os.ReadFile(filepath.Join(c.root, "go.sum"))
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(o.dir, "go.sum"), sum, 0o666); err != nil {
		return nil, err
	}
	// Some messages have the wire format of MessageSet.
	_, err = command("go", "build", "-tags", "protolegacy", "-o", o.bin+string(filepath.Separator),
		"./cmd/protoc-gen-rpcx", protobufGo+"/cmd/protoc-gen-go")
	return o, err
}

// generate adds the messages, stubs and fakes of a source to the module.
func (o *output) generate(s *source) error {
	set, err := o.image(s)
	if err != nil {
		return err
	}
	parameters := []string{"module=" + modulePath}
	stubs := o.chooseStubs(s, set)
	needed := reachable(set, stubs)
	var messages []string
	for _, file := range set.File {
		pkg, generate := goPackage(s, file)
		parameters = append(parameters, "M"+file.GetName()+"="+pkg)
		if generate && needed[file.GetName()] {
			messages = append(messages, file.GetName())
			importPath, _, _ := strings.Cut(pkg, ";")
			o.packages[s.name] = append(o.packages[s.name], importPath)
		}
	}
	base := strings.Join(parameters, ",")
	for _, run := range []struct {
		plugin, parameter string
		files             []string
	}{
		{"protoc-gen-go", base, messages},
		{"protoc-gen-rpcx", base + ",fakes=true", messages},
		{"protoc-gen-rpcx", base + ",package_suffix=,glue=false", stubs},
	} {
		if err := o.plugin(run.plugin, &pluginpb.CodeGeneratorRequest{
			FileToGenerate: run.files,
			Parameter:      proto.String(run.parameter),
			ProtoFile:      set.File,
		}); err != nil {
			return err
		}
	}
	fmt.Printf("corpus: %s: generated %d files with messages, %d with services\n", s.name, len(messages), len(stubs))
	return nil
}

// chooseStubs returns the files for which stubs are generated, and counts them.
func (o *output) chooseStubs(s *source, set *descriptorpb.FileDescriptorSet) []string {
	var names []string
	for _, file := range set.File {
		if !isOwn(s, file) || s.only != nil && !slices.Contains(s.only, file.GetName()) {
			continue
		}
		if s.synthetic {
			addService(file)
		}
		if len(file.Service) == 0 {
			continue
		}
		names = append(names, file.GetName())
		o.files++
		o.services += len(file.Service)
		for _, service := range file.Service {
			o.methods += len(service.Method)
		}
	}
	return names
}

// reachable returns the files that roots are or import.
func reachable(set *descriptorpb.FileDescriptorSet, roots []string) map[string]bool {
	needed := make(map[string]bool)
	for _, root := range roots {
		needed[root] = true
	}
	for _, file := range slices.Backward(set.File) {
		if needed[file.GetName()] {
			for _, name := range file.GetDependency() {
				needed[name] = true
			}
		}
	}
	return needed
}

// plugin runs a plugin and writes the files that it returns.
func (o *output) plugin(name string, req *pluginpb.CodeGeneratorRequest) error {
	in, err := proto.Marshal(req)
	if err != nil {
		return err
	}
	cmd := exec.Command(filepath.Join(o.bin, name))
	cmd.Stdin = bytes.NewReader(in)
	out, err := run1(cmd)
	if err != nil {
		return err
	}
	resp := new(pluginpb.CodeGeneratorResponse)
	if err := proto.Unmarshal(out, resp); err != nil {
		return err
	}
	if resp.Error != nil {
		return fmt.Errorf("%s: %s", name, resp.GetError())
	}
	for _, file := range resp.File {
		path := filepath.Join(o.dir, filepath.FromSlash(file.GetName()))
		// What protoc-gen-go names experiment_arm.pb.go would be compiled for
		// that processor only.
		path = strings.Replace(path, "_arm.pb.go", "_arm_.pb.go", 1)
		serialization := strings.HasSuffix(path, "_rpcx.pb.go")
		switch content, err := os.ReadFile(path); {
		case err != nil:
		case serialization && string(content) == file.GetContent():
			continue // it comes with each kind of stubs
		default:
			o.fail("%s is generated twice", file.GetName())
		}
		if serialization || strings.HasSuffix(path, ".rpcx.go") {
			o.checkFormat(file)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(file.GetContent()), 0o666); err != nil {
			return err
		}
	}
	return nil
}

func (o *output) checkFormat(file *pluginpb.CodeGeneratorResponse_File) {
	formatted, err := format.Source([]byte(file.GetContent()))
	switch {
	case err != nil:
		o.fail("%s: %v", file.GetName(), err)
	case string(formatted) != file.GetContent():
		o.fail("%s is not formatted", file.GetName())
	}
}

// compile has the go command build and vet the module.
func (o *output) compile() {
	for _, verb := range []string{"build", "vet"} {
		// Without -trimpath, nothing that another run compiled would be used.
		cmd := o.goCommand(verb, "-trimpath", "-tags", "protolegacy", "./...")
		cmd.Dir = o.dir
		out, err := cmd.CombinedOutput()
		if err == nil {
			continue
		}
		// The go command names each package that fails in a line of its own.
		packages := regexp.MustCompile(`(?m)^# `).FindAllIndex(out, -1)
		o.failed += max(1, len(packages))
		fmt.Printf("go %s: %v\n%s\n", verb, err, out[:min(len(out), maxMessages)])
	}
}

// goCommand returns a go command for the module.
func (o *output) goCommand(args ...string) *exec.Cmd {
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod "+os.Getenv("GOFLAGS"))
	if o.config.services == 0 {
		// The compiled packages are many and of no use elsewhere.
		cmd.Env = append(cmd.Env, "GOCACHE="+filepath.Join(o.work, "gocache"))
	}
	return cmd
}

// maxMessages is how many bytes of the go command's messages are printed.
const maxMessages = 20_000

func (o *output) fail(format string, args ...any) {
	o.failed++
	fmt.Printf(format+"\n", args...)
}
