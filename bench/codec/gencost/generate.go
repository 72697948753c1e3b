package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"
)

// generator is a plugin with its parameter.
type generator struct{ name, binary, parameter string }

// buildPlugins builds the three plugins into dir.
func buildPlugins(dir string) ([]generator, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	generators := []generator{
		base: {name: "protoc-gen-go"},
		vt:   {name: "vtprotobuf", parameter: "features=marshal+size+unmarshal"},
		rpcx: {name: "rpcx"},
	}
	sources := []struct{ module, pkg string }{
		base: {".", "google.golang.org/protobuf/cmd/protoc-gen-go"},
		vt:   {".", "github.com/planetscale/vtprotobuf/cmd/protoc-gen-go-vtproto"},
		rpcx: {"../..", "./cmd/protoc-gen-rpcx"},
	}
	for i := range generators {
		g := &generators[i]
		g.binary = filepath.Join(dir, "plugin-"+g.name)
		if _, err := runProcess(exec.Command("go", "build", "-C", sources[i].module, "-o", g.binary, sources[i].pkg), nil); err != nil {
			return nil, err
		}
	}
	return generators, nil
}

// generateAll runs each plugin alone, in turns, and returns what they cost and wrote.
func generateAll(generators []generator, req *pluginpb.CodeGeneratorRequest, rounds int) ([]cost, [][]*pluginpb.CodeGeneratorResponse_File, error) {
	costs := make([]cost, len(generators))
	outputs := make([][]*pluginpb.CodeGeneratorResponse_File, len(generators))
	times := make([][]spent, len(generators))
	for range rounds {
		for i, g := range generators {
			took, files, err := g.generate(req)
			if err != nil {
				return nil, nil, err
			}
			times[i] = append(times[i], took)
			outputs[i] = files
		}
	}
	for i := range generators {
		costs[i].generate = median(times[i])
		for _, f := range outputs[i] {
			costs[i].text += len(f.GetContent())
			costs[i].lines += bytes.Count([]byte(f.GetContent()), []byte("\n"))
		}
	}
	return costs, outputs, nil
}

func (g generator) generate(req *pluginpb.CodeGeneratorRequest) (spent, []*pluginpb.CodeGeneratorResponse_File, error) {
	req.Parameter = nil
	if g.parameter != "" {
		req.Parameter = proto.String(g.parameter)
	}
	in, err := proto.Marshal(req)
	if err != nil {
		return spent{}, nil, err
	}
	cmd := exec.Command(g.binary)
	var out bytes.Buffer
	cmd.Stdout = &out
	took, err := runProcess(cmd, in)
	if err != nil {
		return spent{}, nil, err
	}
	res := new(pluginpb.CodeGeneratorResponse)
	if err := proto.Unmarshal(out.Bytes(), res); err != nil {
		return spent{}, nil, fmt.Errorf("%s: %w", g.name, err)
	}
	if res.Error != nil {
		return spent{}, nil, fmt.Errorf("%s: %s", g.name, res.GetError())
	}
	return took, res.File, nil
}

// runProcess runs cmd to its end and returns what it spent with its children.
func runProcess(cmd *exec.Cmd, in []byte) (spent, error) {
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return spent{}, fmt.Errorf("%v: %w\n%s", cmd.Args, err, stderr.Bytes())
	}
	took := spent{wall: time.Since(start), cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		took.memory = usage.Maxrss
	}
	return took, nil
}
