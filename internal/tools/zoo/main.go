// Zoo writes testdata/zoo: protos with every kind of field in every way that a
// field can be, in each syntax and API level, and the Go code generated from
// these and from the protos there that were written by hand. Tests compare
// their messages' serialization with that of protobuf-go.
//
//	go run ./internal/tools/zoo
//
// Give folders' names to write these only. A folder's params.txt holds further
// parameters for both plugins.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/rpcx-go/rpcx/internal/tools/generate"
)

const dir = "testdata/zoo"

func main() {
	flag.Parse()
	if err := run(flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "zoo:", err)
		os.Exit(1)
	}
}

func run(names []string) error {
	bin, err := os.MkdirTemp("", "zoo")
	if err != nil {
		return err
	}
	defer os.RemoveAll(bin)
	if err := generate.Build(bin); err != nil {
		return err
	}
	for _, m := range matrices {
		if err := m.write(); err != nil {
			return err
		}
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
		if err := folder(filepath.Join(dir, name), bin); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// folder generates the code of the protos in a folder.
func folder(path, bin string) error {
	set, err := generate.Compile(path)
	if err != nil {
		return err
	}
	req := &pluginpb.CodeGeneratorRequest{ProtoFile: set.File, Parameter: proto.String("paths=source_relative")}
	params, err := os.ReadFile(filepath.Join(path, "params.txt"))
	if err == nil {
		*req.Parameter += "," + strings.TrimSpace(string(params))
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, file := range set.File {
		if _, err := os.Stat(filepath.Join(path, file.GetName())); err == nil {
			req.FileToGenerate = append(req.FileToGenerate, file.GetName())
		}
	}
	old, err := filepath.Glob(filepath.Join(path, "*.go"))
	if err != nil {
		return err
	}
	for _, name := range old {
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	for _, plugin := range []string{generate.GoPlugin, generate.RPCXPlugin} {
		if err := generate.Run(filepath.Join(bin, plugin), req, path); err != nil {
			return err
		}
	}
	return nil
}
