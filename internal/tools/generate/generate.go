// Package generate compiles protos and runs code generators on them, for the
// tools beside it. All of it runs in the root of the repository.
package generate

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// The plugins that Build builds.
const (
	GoPlugin   = "protoc-gen-go"
	RPCXPlugin = "protoc-gen-rpcx"
)

// Build builds both plugins into the folder bin. They generate code for
// messages in the format of MessageSet too.
func Build(bin string) error {
	if err := os.MkdirAll(bin, 0o777); err != nil {
		return err
	}
	_, err := Output(exec.Command("go", "build", "-tags", "protolegacy", "-o", bin+string(filepath.Separator),
		"./cmd/"+RPCXPlugin, "google.golang.org/protobuf/cmd/"+GoPlugin))
	return err
}

// Compile returns the protos in the given folders with everything that they
// import, imports first. The folders are relative to the current one, and the
// roots of the names of the protos.
func Compile(folders ...string) (*descriptorpb.FileDescriptorSet, error) {
	var modules []string
	for _, folder := range folders {
		modules = append(modules, fmt.Sprintf(`{"path":%q}`, filepath.ToSlash(folder)))
	}
	config := `{"version":"v2","modules":[` + strings.Join(modules, ",") + `]}`
	out, err := Output(exec.Command("scripts/buf", "build", ".", "--config", config, "-o", "-#format=binpb"))
	if err != nil {
		return nil, err
	}
	set := new(descriptorpb.FileDescriptorSet)
	if err := proto.Unmarshal(out, set); err != nil {
		return nil, err
	}
	for _, file := range set.File {
		file.ProtoReflect().SetUnknown(nil) // what buf notes of the file
	}
	return set, nil
}

// Run runs a plugin and writes the files that it returns below dir.
func Run(plugin string, req *pluginpb.CodeGeneratorRequest, dir string) error {
	in, err := proto.Marshal(req)
	if err != nil {
		return err
	}
	cmd := exec.Command(plugin)
	cmd.Stdin = bytes.NewReader(in)
	out, err := Output(cmd)
	if err != nil {
		return err
	}
	resp := new(pluginpb.CodeGeneratorResponse)
	if err := proto.Unmarshal(out, resp); err != nil {
		return err
	}
	if resp.Error != nil {
		return fmt.Errorf("%s: %s", plugin, resp.GetError())
	}
	for _, file := range resp.File {
		path := filepath.Join(dir, filepath.FromSlash(file.GetName()))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(file.GetContent()), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// rootModule is the module of this repository.
const rootModule = "github.com/rpcx-go/rpcx"

// Module makes the folder dir a Go module that uses this checkout, and the
// modules that it needs in the same versions. It returns the module's path,
// which lets it import internal packages.
func Module(dir string) (path string, err error) {
	root, err := os.Getwd()
	if err != nil {
		return "", err
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		return "", err
	}
	sum, err := os.ReadFile("go.sum")
	if err != nil {
		return "", err
	}
	path = rootModule + "/scratch"
	text := regexp.MustCompile(`(?m)^(module|tool) .*\n`).ReplaceAllString(string(mod), "")
	text = fmt.Sprintf("module %s\n%s\nrequire %s v0.0.0\n\nreplace %[3]s => %s\n", path, text, rootModule, root)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(text), 0o666); err != nil {
		return "", err
	}
	return path, os.WriteFile(filepath.Join(dir, "go.sum"), sum, 0o666)
}

// Output runs a command and returns its standard output; the error has its
// standard error.
func Output(cmd *exec.Cmd) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args[:min(3, len(cmd.Args))], " "), err, stderr.Bytes())
	}
	return stdout.Bytes(), nil
}
