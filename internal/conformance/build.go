package main

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/rpcx-go/rpcx/internal/tools/generate"
)

// build generates the suite's messages and returns the program that is tested.
func build(c config, s *suite) (testee string, err error) {
	bin, dir := filepath.Join(c.run, "bin"), filepath.Join(c.run, "module")
	if err := generate.Build(bin); err != nil {
		return "", err
	}
	root, err := os.Getwd()
	if err != nil {
		return "", err
	}
	protos, err := filepath.Rel(root, s.protos)
	if err != nil {
		return "", err
	}
	set, err := generate.Compile(protos)
	if err != nil {
		return "", err
	}
	module, err := generate.Module(dir)
	if err != nil {
		return "", err
	}
	req := &pluginpb.CodeGeneratorRequest{ProtoFile: set.File}
	parameter := "module=" + module
	var packages []string
	for _, file := range set.File {
		if _, err := os.Stat(filepath.Join(s.protos, file.GetName())); err != nil {
			continue // it belongs to protobuf-go
		}
		// Their go_packages, if there are any, are one and the same.
		pkg := module + "/" + strings.TrimSuffix(path.Base(file.GetName()), ".proto")
		parameter += ",M" + file.GetName() + "=" + pkg
		packages = append(packages, pkg)
		req.FileToGenerate = append(req.FileToGenerate, file.GetName())
	}
	req.Parameter = proto.String(parameter)
	for _, plugin := range []string{generate.GoPlugin, generate.RPCXPlugin} {
		if err := generate.Run(filepath.Join(bin, plugin), req, dir); err != nil {
			return "", err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(mainText(packages)), 0o666); err != nil {
		return "", err
	}
	testee = filepath.Join(bin, "testee")
	cmd := exec.Command("go", "build", "-mod=mod", "-trimpath", "-tags", "protolegacy", "-o", testee, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	_, err = generate.Output(cmd)
	return testee, err
}

// mainText returns the testee's main.go, which links the packages.
func mainText(packages []string) string {
	var b strings.Builder
	b.WriteString("package main\n\nimport (\n\t\"github.com/rpcx-go/rpcx/internal/conformance/testee\"\n\n")
	for _, pkg := range slices.Sorted(slices.Values(packages)) {
		fmt.Fprintf(&b, "\t_ %q\n", pkg)
	}
	b.WriteString(")\n\nfunc main() { testee.Main() }\n")
	return b.String()
}
