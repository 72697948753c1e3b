// Gencost compares what the generated codecs of rpcx and vtprotobuf cost: their
// text, the time to generate and to compile it, and how much a binary grows.
// The protos are made up, with an ordinary mix of fields. protoc-gen-go's own
// output is the base of all; what stands in the ratios is what comes on top.
//
//	go run ./gencost -files 200 -compile 10
//
// Times are processor times, which other processes disturb less than the
// clock. It must run in the folder of its module, and fails if something does
// not generate or build, never because of a figure.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"google.golang.org/protobuf/types/pluginpb"
)

func main() {
	files := flag.Int("files", 200, "proto `files`, a Go package each")
	messages := flag.Int("messages", 20, "`messages` per file")
	compiled := flag.Int("compile", 10, "how many of the `files` are compiled and linked, 0 to leave that out")
	rounds := flag.Int("rounds", 3, "`runs` of each plugin and each build")
	work := flag.String("work", "../../.work/bench-gen", "`folder` for a build cache that is kept and for files that are not")
	flag.Parse()
	if *files < 1 || *messages < 1 || *rounds < 1 || *compiled < 0 || *compiled > *files {
		fmt.Fprintln(os.Stderr, "bench-gen: -files, -messages and -rounds must be positive, and -compile at most -files")
		os.Exit(2)
	}
	if err := run(treeRequest(*files, *messages), *compiled, *rounds, *work); err != nil {
		fmt.Fprintln(os.Stderr, "bench-gen:", err)
		os.Exit(1)
	}
}

// The generators that are compared.
const (
	base = iota // protoc-gen-go
	vt
	rpcx
)

// cost is what a generator writes and takes.
type cost struct {
	text, lines int
	generate    spent
	// compile and binary are of protoc-gen-go's code and the generator's.
	compile spent
	binary  int64
}

func run(req *pluginpb.CodeGeneratorRequest, compiled, rounds int, work string) error {
	if err := os.MkdirAll(work, 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(work, "run")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	generators, err := buildPlugins(dir)
	if err != nil {
		return err
	}
	costs, outputs, err := generateAll(generators, req, rounds)
	if err != nil {
		return err
	}
	if compiled > 0 {
		if err := compileAll(generators, outputs, costs, compiled, rounds, work, dir); err != nil {
			return err
		}
	}
	printCosts(os.Stdout, generators, costs, len(req.FileToGenerate), len(req.ProtoFile[0].MessageType), compiled)
	if costs[rpcx].text == 0 {
		return fmt.Errorf("protoc-gen-rpcx wrote nothing for %d files", len(req.FileToGenerate))
	}
	return nil
}

// compileAll compiles and links the first files, and notes in costs what that takes.
// It keeps a build cache in work and leaves the rest in dir.
func compileAll(generators []generator, outputs [][]*pluginpb.CodeGeneratorResponse_File, costs []cost, files, rounds int, work, dir string) error {
	trees := make([]*tree, len(generators))
	for i, g := range generators {
		own := [][]*pluginpb.CodeGeneratorResponse_File{outputs[base]}
		if i != base {
			own = append(own, outputs[i])
		}
		var err error
		trees[i], err = writeTree(filepath.Join(dir, g.name), own, files, i == vt)
		if err != nil {
			return err
		}
	}
	return buildAll(trees, costs, filepath.Join(work, "cache"), dir, rounds)
}

// spent is what a process took, with all that it started.
type spent struct {
	wall, cpu time.Duration
	// memory is the most that one process held, in KiB.
	memory int64
}

// median returns the median of each figure.
func median(all []spent) spent {
	of := func(get func(spent) int64) int64 {
		values := make([]int64, len(all))
		for i, s := range all {
			values[i] = get(s)
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return spent{
		wall:   time.Duration(of(func(s spent) int64 { return int64(s.wall) })),
		cpu:    time.Duration(of(func(s spent) int64 { return int64(s.cpu) })),
		memory: of(func(s spent) int64 { return s.memory }),
	}
}
