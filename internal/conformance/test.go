package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

// The tests that may fail, of the suite of protobuf and JSON and of that of the
// text format.
const (
	failures     = "internal/conformance/failures.txt"
	textFailures = "internal/conformance/text_failures.txt"
)

// The suites, in their order.
const (
	binarySuite = "protobuf and JSON"
	textSuite   = "text format"
)

// result is what the runner says at the end of a suite.
type result struct {
	suite                             string
	passed, skipped, expected, failed int
}

// maxOutput is how many bytes of the runner's messages are printed.
const maxOutput = 20_000

// test runs the suites against a testee, with a mistake unless that is empty.
// Of a testee that has to fail, it prints nothing.
func (s *suite) test(c config, testee, mistake string) ([]result, error) {
	out := filepath.Join(c.run, "out")
	if err := os.MkdirAll(out, 0o777); err != nil {
		return nil, err
	}
	args := append(s.command[1:len(s.command):len(s.command)],
		"--maximum_edition", "2023", "--enforce_recommended",
		"--failure_list", failures, "--text_format_failure_list", textFailures,
		"--output_dir", out, testee)
	if mistake != "" {
		args = append(args, "-break="+mistake)
	}
	cmd := exec.Command(s.command[0], args...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, err
	}
	results := parse(output.Bytes())
	if err != nil && mistake == "" || c.keep {
		fmt.Printf("%s\n", output.Bytes()[:min(output.Len(), maxOutput)])
	}
	if err == nil {
		return results, nil
	}
	// The runner also fails if the lists of failures are not up to date, and
	// some tests abort it where others would fail.
	if n := divergences(output.Bytes()); len(results) == 0 {
		results = append(results, result{suite: "aborted run", failed: n})
	}
	if last := &results[len(results)-1]; last.failed == 0 {
		last.failed = 1
	}
	return results, nil
}

// summary is the line with which the runner ends a suite.
var summary = regexp.MustCompile(`(?m)^CONFORMANCE SUITE (?:PASSED|FAILED): (\d+) successes, (\d+) skipped, (\d+) expected failures, (\d+) unexpected failures\.$`)

// parse returns the results of the suites that came to their end. A name that
// is no suite's stands for whatever else the runner may run.
func parse(output []byte) []result {
	var results []result
	for i, m := range summary.FindAllSubmatch(output, -1) {
		r := result{suite: "further tests"}
		if suites := [...]string{binarySuite, textSuite}; i < len(suites) {
			r.suite = suites[i]
		}
		for i, n := range []*int{&r.passed, &r.skipped, &r.expected, &r.failed} {
			*n, _ = strconv.Atoi(string(m[1+i])) // it is digits
		}
		results = append(results, r)
	}
	return results
}

// testeeSummary is the line with which a testee ends.
var testeeSummary = regexp.MustCompile(`(?m)^testee: cases=\d+ divergences=(\d+)$`)

// divergences returns how often testees have found the codec and protobuf-go
// to do different things.
func divergences(output []byte) int {
	sum := 0
	for _, m := range testeeSummary.FindAllSubmatch(output, -1) {
		n, _ := strconv.Atoi(string(m[1])) // it is digits
		sum += n
	}
	return sum
}
