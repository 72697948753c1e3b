// Conformance runs protobuf's official conformance suite against the messages
// and the serialization that protoc-gen-rpcx generates:
//
//	go run ./internal/conformance
//
// It installs the runner into .tools, generates the suite's messages into a
// module in .work, builds the testee there (see the package testee), and ends with
//
//	conformance-proto: passed=N failed=0 expected=M
//
// of which N and M are about protobuf and JSON. M counts the tests that fail as
// they do with protobuf-go alone; they are in failures.txt. The suite of the
// text format, which is protobuf-go's own here, has a line above that and its
// failures in text_failures.txt; failed counts those of both suites that are in
// neither file. Testees that make a mistake are run too, and have to fail.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// minPassed is the least that has to pass in each suite, so that nothing is
// left out unnoticed.
var minPassed = map[string]int{binarySuite: 5566, textSuite: 863}

// mistakes are those of the package difftest with which the suite is run too.
// The runner itself sees the first one; only the comparison with protobuf-go
// sees the second one.
var mistakes = []string{"flip", "alias"}

func main() {
	var c config
	flag.StringVar(&c.tools, "tools", ".tools", "the `folder` to install the runner into")
	flag.StringVar(&c.work, "work", ".work/conformance", "the `folder` to work in")
	flag.StringVar(&c.mistake, "break", "", "run a testee with a `mistake` instead: it has to fail")
	flag.BoolVar(&c.keep, "keep", false, "leave what was generated and the runner's output in the work folder")
	flag.Parse()
	if err := run(c); err != nil {
		fmt.Fprintln(os.Stderr, "conformance-proto:", err)
		os.Exit(1)
	}
}

type config struct {
	tools, work string
	mistake     string
	keep        bool
	run         string // what this run alone uses, within work
}

func run(c config) (err error) {
	if _, err := os.Stat("cmd/protoc-gen-rpcx"); err != nil {
		return fmt.Errorf("run it in the root of the repository: %w", err)
	}
	for _, dir := range []*string{&c.tools, &c.work} {
		if *dir, err = filepath.Abs(*dir); err != nil {
			return err
		}
		if err := os.MkdirAll(*dir, 0o777); err != nil {
			return err
		}
	}
	suite, err := install(c.tools)
	if err != nil {
		return err
	}
	if c.run, err = os.MkdirTemp(c.work, "run-"); err != nil {
		return err
	}
	if c.keep {
		fmt.Println("conformance-proto: working in", c.run)
	} else {
		defer os.RemoveAll(c.run)
	}
	testee, err := build(c, suite)
	if err != nil {
		return err
	}
	if c.mistake == "" {
		if err := selfCheck(c, suite, testee); err != nil {
			return err
		}
	}
	res, err := suite.test(c, testee, c.mistake)
	if err != nil {
		return err
	}
	return judge(res)
}

// judge prints the results and returns an error unless they are good.
func judge(results []result) error {
	var wrong []string
	var last result
	ran := make(map[string]bool)
	for _, r := range results {
		ran[r.suite] = true
		last.failed += r.failed
		switch {
		case r.skipped > 0:
			wrong = append(wrong, fmt.Sprintf("%s: %d tests are skipped", r.suite, r.skipped))
		case r.failed == 0 && r.passed < minPassed[r.suite]:
			wrong = append(wrong, fmt.Sprintf("%s: %d tests pass where %d are known to", r.suite, r.passed, minPassed[r.suite]))
		}
		if r.suite == binarySuite {
			last.passed, last.expected = r.passed, r.expected
		} else {
			fmt.Printf("conformance-proto: %s: passed=%d failed=%d expected=%d\n", r.suite, r.passed, r.failed, r.expected)
		}
	}
	if last.failed > 0 {
		wrong = append(wrong, "tests fail that pass with protobuf-go")
	}
	for suite := range minPassed {
		if !ran[suite] {
			wrong = append(wrong, suite+" did not run to its end")
		}
	}
	fmt.Printf("conformance-proto: passed=%d failed=%d expected=%d\n", last.passed, last.failed, last.expected)
	if len(wrong) > 0 {
		return errors.New(strings.Join(wrong, "; "))
	}
	return nil
}

// selfCheck runs testees that make a mistake. They have to fail.
func selfCheck(c config, s *suite, testee string) error {
	for _, mistake := range mistakes {
		res, err := s.test(config{run: c.run}, testee, mistake)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(res, func(r result) bool { return r.failed > 0 }) {
			return fmt.Errorf("a testee with the mistake %q passes", mistake)
		}
		fmt.Printf("conformance-proto: a testee with the mistake %q fails, as it has to\n", mistake)
	}
	return nil
}
