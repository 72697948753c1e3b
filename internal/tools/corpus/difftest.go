package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// maxLinked is how many packages one program links, so that the linker's
// memory is bounded.
const maxLinked = 300

// compare has a program for each source fill its messages with random contents
// and compare their serialization with that of protobuf-go.
func (o *output) compare() error {
	for _, s := range slices.Sorted(maps.Keys(o.packages)) {
		packages := slices.Compact(slices.Sorted(slices.Values(o.packages[s])))
		i := 0
		for chunk := range slices.Chunk(packages, maxLinked) {
			i++
			if err := o.compareLinked(s, i, chunk); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
	}
	return nil
}

// compareLinked compares the messages of some packages of a source.
func (o *output) compareLinked(source string, number int, packages []string) error {
	dir := filepath.Join(o.dir, "difftest", source+strconv.Itoa(number))
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	if source == protobufSource {
		zoo, err := zooPackages()
		if err != nil {
			return err
		}
		packages = append(packages[:len(packages):len(packages)], zoo...)
	}
	if err := writePrograms(dir, packages); err != nil {
		return err
	}
	program := filepath.Join(o.bin, "difftest")
	cmd := o.goCommand("build", "-trimpath", "-tags", "protolegacy", "-o", program, ".")
	cmd.Dir = dir
	if _, err := run1(cmd); err != nil {
		return err
	}
	args := []string{"-each", strconv.Itoa(o.each)}
	if source == protobufSource {
		args = append(args, "-inputs", strconv.Itoa(o.inputs))
	}
	cmd = exec.Command(program, args...)
	// Files of different sources may have the same names.
	cmd.Env = append(os.Environ(), "GOLANG_PROTOBUF_REGISTRATION_CONFLICT=ignore")
	out, err := cmd.CombinedOutput()
	if err := o.count(source, out, err); err != nil || source != protobufSource || o.fuzzTime == "" {
		return err
	}
	cmd = o.goCommand("test", "-tags", "protolegacy", "-run", "^$", "-fuzz", "FuzzGlue", "-fuzztime", o.fuzzTime, ".")
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Env = append(cmd.Env, "GOLANG_PROTOBUF_REGISTRATION_CONFLICT=ignore")
	if err := cmd.Run(); err != nil {
		o.fail("%s: FuzzGlue: %v", source, err)
	}
	return nil
}

var difftestSummary = regexp.MustCompile(`(?m)^difftest: types=(\d+) messages=(\d+) inputs=(\d+) failed=(\d+)$`)

// count adds what a program has compared, and prints what it says if that is
// more than the last line.
func (o *output) count(source string, out []byte, failed error) error {
	m := difftestSummary.FindSubmatch(out)
	if m == nil {
		return fmt.Errorf("difftest: %w\n%s", failed, out[:min(len(out), maxMessages)])
	}
	var n [4]int
	for i := range n {
		n[i], _ = strconv.Atoi(string(m[1+i])) // it is digits
	}
	fmt.Printf("corpus: %s: compared %d messages of %d types and %d inputs with protobuf-go\n", source, n[1], n[0], n[2])
	o.compared += n[1] + n[2]
	if n[3] > 0 {
		o.fail("%s", out[:min(len(out), maxMessages)])
		o.failed += n[3] - 1
	}
	return nil
}

// zooPackages returns the import paths of the packages in testdata/zoo.
func zooPackages() ([]string, error) {
	out, err := command("go", "list", "./testdata/zoo/...")
	return strings.Fields(string(out)), err
}

// writePrograms writes a program and a fuzz target that link the packages.
func writePrograms(dir string, packages []string) error {
	var imports strings.Builder
	for _, pkg := range packages {
		fmt.Fprintf(&imports, "\t_ %q\n", pkg)
	}
	const difftest = `"github.com/rpcx-go/rpcx/internal/difftest"`
	program := "package main\n\nimport (\n\t" + difftest + "\n\n" + imports.String() + ")\n\nfunc main() { difftest.Main() }\n"
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o666); err != nil {
		return err
	}
	target := "package main\n\nimport (\n\t\"testing\"\n\n\t" + difftest + "\n)\n\n" +
		"func FuzzGlue(f *testing.F) { difftest.Fuzz(f, difftest.Types()) }\n"
	return os.WriteFile(filepath.Join(dir, "fuzz_test.go"), []byte(target), 0o666)
}
