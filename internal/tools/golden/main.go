// Golden prepares the packages in testdata/gen, which show and test what
// protoc-gen-rpcx generates. For each folder it compiles the protos into
// image.binpb with buf, and generates the messages' code with protoc-gen-go
// and, where the folder is a module that requires grpc, with
// protoc-gen-go-grpc. The tests generate the stubs, from the images:
//
//	go run ./internal/tools/golden
//	go test ./cmd/protoc-gen-rpcx/internal/plugin -run Golden -update
//
// Give folders' names to prepare these only.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

const (
	dir         = "testdata/gen"
	grpcVersion = "v1.6.2"
)

func main() {
	flag.Parse()
	if err := run(flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "golden:", err)
		os.Exit(1)
	}
}

func run(names []string) error {
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("run it in the root of the repository: %w", err)
	}
	bin, err := os.MkdirTemp("", "golden")
	if err != nil {
		return err
	}
	defer os.RemoveAll(bin)
	protocGenGo := filepath.Join(bin, "protoc-gen-go")
	if _, err := output("go", nil, "build", "-o", protocGenGo, "google.golang.org/protobuf/cmd/protoc-gen-go"); err != nil {
		return err
	}
	if len(names) == 0 {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.IsDir() {
				names = append(names, e.Name())
			}
		}
	}
	for _, name := range names {
		folder := filepath.Join(dir, name)
		if err := writeLarge(folder); err != nil {
			return err
		}
		req, err := compile(folder)
		if err != nil {
			return err
		}
		if err := generate(folder, protocGenGo, nil, req); err != nil {
			return err
		}
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err != nil {
			continue
		}
		grpc := []string{"run", "google.golang.org/grpc/cmd/protoc-gen-go-grpc@" + grpcVersion}
		if err := generate(folder, "go", grpc, req); err != nil {
			return err
		}
	}
	return nil
}

// compile writes the image of the protos in folder, and returns the request
// that has plugins generate code for all of them.
func compile(folder string) (*pluginpb.CodeGeneratorRequest, error) {
	config := fmt.Sprintf(`{"version":"v2","modules":[{"path":%q},{"path":"proto"}]}`, filepath.ToSlash(folder))
	out, err := output("scripts/buf", nil, "build", ".", "--config", config, "-o", "-#format=binpb")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", folder, err)
	}
	set := new(descriptorpb.FileDescriptorSet)
	if err := proto.Unmarshal(out, set); err != nil {
		return nil, err
	}
	req := new(pluginpb.CodeGeneratorRequest)
	for _, file := range set.File {
		// What buf notes of each file is of no use here.
		file.ProtoReflect().SetUnknown(nil)
		if _, err := os.Stat(filepath.Join(folder, file.GetName())); err != nil {
			file.SourceCodeInfo = nil
			continue
		}
		req.FileToGenerate = append(req.FileToGenerate, file.GetName())
	}
	slices.Sort(req.FileToGenerate)
	set.File = reachable(set.File, req.FileToGenerate)
	req.ProtoFile = set.File
	image, err := proto.MarshalOptions{Deterministic: true}.Marshal(set)
	if err != nil {
		return nil, err
	}
	return req, os.WriteFile(filepath.Join(folder, "image.binpb"), image, 0o666)
}

// reachable returns those files that roots are or import, in their order.
func reachable(files []*descriptorpb.FileDescriptorProto, roots []string) []*descriptorpb.FileDescriptorProto {
	needed := make(map[string]bool)
	for _, root := range roots {
		needed[root] = true
	}
	// A file comes after those that it imports.
	for _, file := range slices.Backward(files) {
		if needed[file.GetName()] {
			for _, path := range file.GetDependency() {
				needed[path] = true
			}
		}
	}
	return slices.DeleteFunc(files, func(file *descriptorpb.FileDescriptorProto) bool {
		return !needed[file.GetName()]
	})
}

// generate runs a plugin on req and writes what it returns into folder.
func generate(folder, plugin string, args []string, req *pluginpb.CodeGeneratorRequest) error {
	parameter := "paths=source_relative"
	if text, err := os.ReadFile(filepath.Join(folder, "params.txt")); err == nil && args == nil {
		for p := range strings.SplitSeq(strings.TrimSpace(string(text)), ",") {
			if strings.HasPrefix(p, "default_api_level=") || strings.HasPrefix(p, "apilevelM") {
				parameter += "," + p
			}
		}
	}
	req.Parameter = &parameter
	in, err := proto.Marshal(req)
	if err != nil {
		return err
	}
	out, err := output(plugin, in, args...)
	if err != nil {
		return fmt.Errorf("%s: %w", folder, err)
	}
	resp := new(pluginpb.CodeGeneratorResponse)
	if err := proto.Unmarshal(out, resp); err != nil {
		return err
	}
	if resp.Error != nil {
		return fmt.Errorf("%s: %s: %s", folder, plugin, resp.GetError())
	}
	for _, file := range resp.File {
		target := filepath.Join(folder, filepath.FromSlash(file.GetName()))
		if err := os.WriteFile(target, []byte(file.GetContent()), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// output runs a command and returns its standard output.
func output(command string, stdin []byte, args ...string) ([]byte, error) {
	cmd := exec.Command(command, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", command, strings.Join(args, " "), err, stderr.Bytes())
	}
	return stdout.Bytes(), nil
}
