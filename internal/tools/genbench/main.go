// Genbench compares how long protoc-gen-rpcx and protoc-gen-go-grpc take to
// generate the stubs of a large tree of protos. Both read the same request, in
// turns, and the medians are printed:
//
//	bench-gen-stubs: rpcx=131ms grpc=142ms ratio=0.92
//
// With -max, it fails if the ratio is above that.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"
)

const protocGenGoGRPC = "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2"

func main() {
	files := flag.Int("files", 200, "proto files")
	messages := flag.Int("messages", 20, "messages per file")
	services := flag.Int("services", 3, "services per file")
	rounds := flag.Int("rounds", 9, "runs of each plugin")
	limit := flag.Float64("max", 1.5, "the highest ratio that is no failure; 0 means any")
	flag.Parse()
	if err := run(treeRequest(*files, *messages, *services), *rounds, *limit); err != nil {
		fmt.Fprintln(os.Stderr, "genbench:", err)
		os.Exit(1)
	}
}

func run(req *pluginpb.CodeGeneratorRequest, rounds int, limit float64) error {
	in, err := proto.Marshal(req)
	if err != nil {
		return err
	}
	bin, err := os.MkdirTemp("", "genbench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(bin)
	if err := install(bin, "./cmd/protoc-gen-rpcx", protocGenGoGRPC); err != nil {
		return err
	}
	plugins := [2]string{filepath.Join(bin, "protoc-gen-rpcx"), filepath.Join(bin, "protoc-gen-go-grpc")}
	var times [2][]time.Duration
	// The first round only warms the caches.
	for round := range rounds + 1 {
		for i := range plugins {
			// The order alternates, so that none always follows the other.
			i = (i + round) % len(plugins)
			took, err := generate(plugins[i], in, len(req.FileToGenerate))
			if err != nil {
				return err
			}
			if round > 0 {
				times[i] = append(times[i], took)
			}
		}
	}
	rpcx, grpc := median(times[0]), median(times[1])
	ratio := float64(rpcx) / float64(grpc)
	fmt.Printf("bench-gen-stubs: rpcx=%v grpc=%v ratio=%.2f\n",
		rpcx.Round(time.Millisecond), grpc.Round(time.Millisecond), ratio)
	if limit > 0 && ratio > limit {
		return fmt.Errorf("the ratio is above %.2f", limit)
	}
	return nil
}

// install builds the programs of packages into bin.
func install(bin string, packages ...string) error {
	for _, pkg := range packages {
		cmd := exec.Command("go", "install", pkg)
		cmd.Env = append(os.Environ(), "GOBIN="+bin)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go install %s: %w\n%s", pkg, err, out)
		}
	}
	return nil
}

// generate runs a plugin and returns how long it took, from its start to its end.
func generate(plugin string, in []byte, wantFiles int) (time.Duration, error) {
	cmd := exec.Command(plugin)
	cmd.Stdin = bytes.NewReader(in)
	var stdout bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, os.Stderr
	start := time.Now()
	err := cmd.Run()
	took := time.Since(start)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", plugin, err)
	}
	resp := new(pluginpb.CodeGeneratorResponse)
	if err := proto.Unmarshal(stdout.Bytes(), resp); err != nil {
		return 0, fmt.Errorf("%s: %w", plugin, err)
	}
	if resp.Error != nil || len(resp.File) != wantFiles {
		return 0, fmt.Errorf("%s generated %d of %d files: %s", plugin, len(resp.File), wantFiles, resp.GetError())
	}
	return took, nil
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
