package main

import (
	"cmp"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
)

// testCase is one case: what it is called, as group/what, the section of
// docs/protocol.md that it checks, and what it does.
type testCase struct {
	name    string
	section string
	run     func(*T)
}

// T is one run of a case. Its methods are for the goroutine that runs the case;
// failf, helpers and na end the case.
type T struct {
	suite *suite
	test  testCase
	peers []*peer
	ends  []func() error
}

// suite is what all cases share.
type suite struct {
	addr      string        // of the tested server
	handshake time.Duration // what the tested server waits for a preface
	command   []string      // starts testees; empty if there is no command
	parallel  int
	out       io.Writer
	mu        sync.Mutex
	keys      int
}

// outcome is how a case ended.
type outcome struct {
	role          string
	test          testCase
	failure       *failure
	notApplicable string
	took          time.Duration
}

// failure is what failf throws.
type failure struct{ expected, got, log string }

// skipped is what na throws.
type skipped string

// cleanup has f called at the end of the case, which fails if f does.
func (t *T) cleanup(f func() error) { t.ends = append(t.ends, f) }

// failf ends the case as failed.
func (t *T) failf(expected, format string, args ...any) {
	panic(&failure{expected: expected, got: fmt.Sprintf(format, args...)})
}

// na ends the case as one that does not apply to what is tested.
func (t *T) na(format string, args ...any) { panic(skipped(fmt.Sprintf(format, args...))) }

// key returns a text that no other case uses.
func (t *T) key() string {
	t.suite.mu.Lock()
	defer t.suite.mu.Unlock()
	t.suite.keys++
	return fmt.Sprintf("key-%d-%d", t.suite.keys, time.Now().UnixNano())
}

func (s *suite) runCase(role string, c testCase) (o outcome) {
	o = outcome{role: role, test: c}
	t := &T{suite: s, test: c}
	start := time.Now()
	defer func() {
		o.took = time.Since(start)
		switch thrown := recover().(type) {
		case nil:
		case *failure:
			o.failure = thrown
		case skipped:
			o.notApplicable = string(thrown)
		default:
			o.failure = &failure{expected: "a case that runs", got: fmt.Sprintf("panic: %v\n%s", thrown, debug.Stack())}
		}
		for _, f := range slices.Backward(t.ends) {
			if err := f(); err != nil && o.failure == nil {
				o.failure = &failure{expected: "a testee that ends well", got: err.Error()}
			}
		}
		if o.failure != nil {
			for i, p := range t.peers {
				o.failure.log += p.log.dump(i)
			}
		}
	}()
	c.run(t)
	return o
}

// run runs the cases of all roles, several at once, and returns their outcomes
// in order.
func (s *suite) run(chosen []roleCases) []outcome {
	var jobs []outcome
	for _, r := range chosen {
		for _, c := range r.cases {
			jobs = append(jobs, outcome{role: r.role, test: c})
		}
	}
	next := make(chan int)
	var workers sync.WaitGroup
	for range s.parallel {
		workers.Go(func() {
			for i := range next {
				jobs[i] = s.runCase(jobs[i].role, jobs[i].test)
			}
		})
	}
	for i := range jobs {
		next <- i
	}
	close(next)
	workers.Wait()
	return jobs
}

// report prints failures, what does not apply and the sums, and returns how
// many cases failed.
func (s *suite) report(outcomes []outcome) int {
	ran, failed, skipped := map[string]int{}, 0, 0
	for _, o := range outcomes {
		switch {
		case o.failure != nil:
			ran[o.role]++
			failed++
			fmt.Fprintf(s.out, "FAIL %s %s (section %s)\n  expected: %s\n  got:      %s\n%s", o.role, o.test.name, o.test.section,
				o.failure.expected, strings.ReplaceAll(o.failure.got, "\n", "\n    "), o.failure.log)
		case o.notApplicable != "":
			skipped++
			fmt.Fprintf(s.out, "not applicable: %s %s (section %s): %s\n", o.role, o.test.name, o.test.section, o.notApplicable)
		default:
			ran[o.role]++
		}
	}
	if skipped > 0 {
		fmt.Fprintf(s.out, "spec: not applicable=%d\n", skipped)
	}
	fmt.Fprintf(s.out, "spec: server=%d client=%d failed=%d\n", ran["server"], ran["client"], failed)
	return failed
}

// slowest prints the cases that took longest.
func (s *suite) slowest(outcomes []outcome, n int) {
	byTime := slices.SortedFunc(slices.Values(outcomes), func(a, b outcome) int { return cmp.Compare(b.took, a.took) })
	for _, o := range byTime[:min(n, len(byTime))] {
		fmt.Fprintf(s.out, "%8.3fs %s %s\n", o.took.Seconds(), o.role, o.test.name)
	}
}

// tape keeps the bytes of a connection for the report of a failure.
type tape struct{ entries []tapeEntry }

type tapeEntry struct {
	direction byte // '>' sent by the suite, '<' received
	bytes     []byte
	size      int
}

const (
	tapeEntries = 6  // that are kept
	tapeBytes   = 96 // that are kept of each
)

func (l *tape) add(direction byte, b []byte) {
	if len(b) == 0 {
		return
	}
	l.entries = append(l.entries, tapeEntry{direction, slices.Clone(b[:min(len(b), tapeBytes)]), len(b)})
	if len(l.entries) > tapeEntries {
		l.entries = l.entries[1:]
	}
}

func (l *tape) dump(connection int) string {
	var b strings.Builder
	for _, e := range l.entries {
		what := "sent"
		if e.direction == '<' {
			what = "received"
		}
		fmt.Fprintf(&b, "  connection %d, %s %d bytes: % x", connection+1, what, e.size, e.bytes)
		if e.size > len(e.bytes) {
			b.WriteString(" …")
		}
		b.WriteByte('\n')
	}
	return b.String()
}
