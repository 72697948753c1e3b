package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// output is what a runner prints.
const output = `CONFORMANCE TEST BEGIN ====================================

CONFORMANCE SUITE PASSED: 5566 successes, 0 skipped, 1 expected failures, 0 unexpected failures.

CONFORMANCE TEST BEGIN ====================================

CONFORMANCE SUITE FAILED: 860 successes, 1 skipped, 20 expected failures, 2 unexpected failures.

testee: cases=883 divergences=2
testee: cases=5567 divergences=1
`

func TestParse(t *testing.T) {
	want := []result{
		{suite: binarySuite, passed: 5566, expected: 1},
		{suite: textSuite, passed: 860, skipped: 1, expected: 20, failed: 2},
	}
	if diff := cmp.Diff(want, parse([]byte(output)), cmp.AllowUnexported(result{})); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if n := divergences([]byte(output)); n != 3 {
		t.Errorf("%d divergences, want 3", n)
	}
	if got := parse([]byte("aborted")); got != nil {
		t.Errorf("results of a run that ended early: %v", got)
	}
}

func TestJudge(t *testing.T) {
	binary := result{suite: binarySuite, passed: 5566, expected: 1}
	text := result{suite: textSuite, passed: 863, expected: 20}
	change := func(r result, f func(*result)) result {
		f(&r)
		return r
	}
	for _, test := range []struct {
		name    string
		results []result
		ok      bool
	}{
		{"good", []result{binary, text}, true},
		{"one suite", []result{binary}, false},
		{"none", nil, false},
		{"a failure", []result{binary, change(text, func(r *result) { r.failed = 1 })}, false},
		{"too few", []result{change(binary, func(r *result) { r.passed-- }), text}, false},
		{"skipped", []result{change(binary, func(r *result) { r.skipped++ }), text}, false},
		{"aborted", []result{{suite: "aborted run", failed: 7}}, false},
	} {
		if err := judge(test.results); (err == nil) != test.ok {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestRunnerPlatform(t *testing.T) {
	for platform, want := range map[[2]string]string{
		{"linux", "amd64"}: "linux-x64", {"darwin", "arm64"}: "darwin-x64",
		{"linux", "arm64"}: "", {"windows", "amd64"}: "",
	} {
		got, err := runnerPlatform(platform[0], platform[1])
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%v: %q, %v", platform, got, err)
		}
	}
}

func TestUnpack(t *testing.T) {
	archive := func(name string) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		w := tar.NewWriter(z)
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: 2, Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("hi")); err != nil {
			t.Fatal(err)
		}
		w.Close()
		z.Close()
		return b.Bytes()
	}
	dir := t.TempDir()
	if err := unpack(archive("package/bin/x"), dir); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "package/bin/x")); err != nil || string(got) != "hi" {
		t.Errorf("unpacked %q, %v", got, err)
	}
	if err := unpack(archive("../x"), dir); err == nil {
		t.Error("unpacks a file outside of the folder")
	}
}
