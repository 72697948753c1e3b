// Corpus generates stubs, fakes and serialization from protos that others wrote,
// and has the go command compile and vet them: the test protos of protobuf-go,
// the API of etcd, and services of npm's google-proto-files. Then it fills each
// of their messages with random contents and compares how they are serialized
// with what protobuf-go does.
//
//	go run ./internal/tools/corpus            # 300 services of google-proto-files
//	go run ./internal/tools/corpus -services 40
//	go run ./internal/tools/corpus -all       # all of them; takes long
//	go run ./internal/tools/corpus -only protobuf -inputs 10000000
//
// It works in .work/corpus, where it also installs what it needs; what it
// generates it removes again, except with -keep. It ends with
//
//	corpus: files=N services=N methods=N compared=N failed=0
//
// which counts the protos with services, the messages and inputs that were
// compared, and what could not be generated, formatted, compiled or vetted, or
// was found to differ.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

type config struct {
	root     string // of the repository
	work     string // what one run after the other may use
	run      string // what this run alone uses; several may run at once
	keep     bool   // leave run there
	services int    // of google-proto-files, 0 for all
	seed     uint64
	only     string // the source to take, or all
	each     int    // messages of each type that are compared
	inputs   int    // for the messages of protobuf-go and testdata/zoo
	fuzzTime string // for the fuzz target with these
}

func main() {
	var c config
	var all bool
	flag.StringVar(&c.work, "work", ".work/corpus", "the `folder` to work in")
	flag.IntVar(&c.services, "services", 300, "take at least so many services of google-proto-files")
	flag.BoolVar(&c.keep, "keep", false, "leave what was generated in the work folder")
	flag.BoolVar(&all, "all", false, "take all services of google-proto-files")
	flag.Uint64Var(&c.seed, "seed", 7, "chooses the services of google-proto-files")
	flag.StringVar(&c.only, "only", "", "take only one `source`: protobuf, etcd or google")
	flag.IntVar(&c.each, "each", 10, "compare so many random `messages` of each type")
	flag.IntVar(&c.inputs, "inputs", 0, "compare so many random `inputs` for the messages of protobuf-go and testdata/zoo")
	flag.StringVar(&c.fuzzTime, "fuzztime", "", "run the fuzz target with the same messages for so `long`, as in go test -fuzztime")
	flag.Parse()
	if all {
		c.services = 0
	}
	failed, err := run(c)
	if err != nil {
		fmt.Fprintln(os.Stderr, "corpus:", err)
		os.Exit(1)
	}
	if failed > 0 {
		os.Exit(1)
	}
}

func run(c config) (failed int, err error) {
	if c.root, err = os.Getwd(); err != nil {
		return 0, err
	}
	if _, err := os.Stat(filepath.Join(c.root, "cmd/protoc-gen-rpcx")); err != nil {
		return 0, fmt.Errorf("run it in the root of the repository: %w", err)
	}
	if c.work, err = filepath.Abs(c.work); err != nil {
		return 0, err
	}
	if err := os.MkdirAll(c.work, 0o777); err != nil {
		return 0, err
	}
	if c.run, err = os.MkdirTemp(c.work, "run-"); err != nil {
		return 0, err
	}
	if c.keep {
		fmt.Println("corpus: working in", c.run)
	} else {
		defer os.RemoveAll(c.run)
	}
	sources, err := fetch(c)
	if err != nil {
		return 0, err
	}
	out, err := newOutput(c)
	if err != nil {
		return 0, err
	}
	for _, s := range sources {
		if err := out.generate(s); err != nil {
			return 0, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	// What does not compile cannot be compared.
	if out.compile(); out.failed == 0 {
		if err := out.compare(); err != nil {
			return 0, err
		}
	}
	fmt.Printf("corpus: files=%d services=%d methods=%d compared=%d failed=%d\n",
		out.files, out.services, out.methods, out.compared, out.failed)
	return out.failed, nil
}
