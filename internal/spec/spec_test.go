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
	failing := map[string]bool{}
	for _, name := range strings.Fields(deviations) {
		failing[name] = true
	}
	for _, o := range outcomes {
		name := o.role + ":" + o.test.name
		switch {
		case o.failure == nil && failing[name]:
			t.Logf("%s passes", name)
		case o.failure != nil && failing[name]:
			t.Logf("%s: expected %s, got %s", name, o.failure.expected, o.failure.got)
		case o.failure != nil:
			t.Errorf("%s (section %s)\nexpected: %s\ngot:      %s\n%s", name, o.test.section, o.failure.expected, o.failure.got, o.failure.log)
		}
		delete(failing, name)
	}
	for name := range failing {
		t.Errorf("there is no case %s, which is said to fail", name)
	}
}

// deviations are cases in which the runtime does not do what the protocol says
// yet. The command runs and counts them like all others.
const deviations = `
	server:settings/first-goaway-no-error
	server:frames/ping-checksum-wrong-and-not-agreed
	server:frames/ignorable-checksum-not-agreed
	server:frames/goaway-id-rises
	server:frames/name-slash
	server:frames/nothing-behind-goaway
	server:late/data-unread
	server:fragments/format-again
	server:deadline/answered-for-stuck-handler
	server:flood/progress-of-messages
	server:flood/refused-opens-are-no-progress
	server:flood/open-and-cancel
	client:settings/first-goaway-no-error
	client:frames/ping-checksum-wrong-and-not-agreed
	client:frames/ignorable-checksum-not-agreed
	client:late/data-unread
	client:credit/client-cancels-while-blocked
	client:credit/client-ended-while-blocked
	client:flood/just-below
	client:drain/no-new-calls
	client:drain/closes-when-idle
	client:drain/streams-go-on
`

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
