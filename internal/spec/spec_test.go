package main

import (
	"io"
	"runtime"
	"strings"
	"testing"
)

// TestSuite runs every case against this repository's testee, which is built
// with the race detector if the test is.
func TestSuite(t *testing.T) {
	var flags []string
	if raceEnabled {
		flags = append(flags, "-race")
		t.Setenv("GORACE", "atexit_sleep_ms=0") // there are hundreds of testees
	}
	bin, remove, err := buildTestee(flags...)
	if err != nil {
		t.Fatal(err)
	}
	defer remove()
	s := &suite{command: []string{bin}, parallel: 12 * runtime.GOMAXPROCS(0), out: io.Discard}
	outcomes, err := s.runAll(choose("both", ""))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range outcomes {
		if o.failure != nil {
			t.Errorf("%s:%s (section %s)\nexpected: %s\ngot:      %s\n%s",
				o.role, o.test.name, o.test.section, o.failure.expected, o.failure.got, o.failure.log)
		}
	}
}

// TestNames makes sure that a name tells a case from all others of its role.
func TestNames(t *testing.T) {
	for _, r := range choose("both", "") {
		seen := map[string]bool{}
		for _, c := range r.cases {
			if seen[c.name] {
				t.Errorf("%s: two cases are called %s", r.role, c.name)
			}
			seen[c.name] = true
			if c.section == "" || !strings.Contains(c.name, "/") {
				t.Errorf("%s: case %s has section %q", r.role, c.name, c.section)
			}
		}
	}
}
