// Command spec checks implementations of the native protocol against
// docs/protocol.md, by bytes over sockets and nothing else.
//
//	go run ./internal/spec                                 both roles of this repository's runtime
//	go run ./internal/spec -role server -addr HOST:PORT    a server that runs already
//	go run ./internal/spec -testee "COMMAND ARGUMENTS"     another implementation
//
// README.md says what the tested side has to serve and to call.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// shortHandshake is how long the servers that the suite starts wait for a
// preface, in place of 5 s.
const shortHandshake = 1500 * time.Millisecond

func main() {
	failed, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "spec:", err)
		os.Exit(2)
	}
	if failed > 0 {
		os.Exit(1)
	}
}

func run(args []string) (failed int, err error) {
	flags := flag.NewFlagSet("spec", flag.ExitOnError)
	role := flags.String("role", "both", "which role to test: server, client or both")
	addr := flags.String("addr", "", "test the server at this address instead of starting one")
	command := flags.String("testee", "", "command that starts testees; this repository's own if empty")
	handshake := flags.Duration("handshake", 5*time.Second, "how long the server at -addr waits for a preface")
	only := flags.String("run", "", "run only the cases whose role and name, \"server ping/ack\", contain this")
	list := flags.Bool("list", false, "list the cases and run none")
	times := flags.Int("times", 0, "print this many of the slowest cases")
	parallel := flags.Int("parallel", 12*runtime.GOMAXPROCS(0), "how many cases run at once")
	_ = flags.Parse(args) // ends the program if it fails
	if *role != "server" && *role != "client" && *role != "both" {
		return 0, fmt.Errorf("-role is server, client or both, not %q", *role)
	}
	s := &suite{addr: *addr, handshake: *handshake, parallel: max(*parallel, 1), out: os.Stdout}
	selected := choose(*role, *only)
	if *list {
		for _, r := range selected {
			for _, c := range r.cases {
				fmt.Fprintf(s.out, "%-7s %-44s %s\n", r.role, c.name, c.section)
			}
		}
		return 0, nil
	}
	s.command = strings.Fields(*command)
	if len(s.command) == 0 && (*addr == "" || *role != "server") {
		bin, remove, err := buildTestee()
		if err != nil {
			return 0, err
		}
		defer remove()
		s.command = []string{bin}
	}
	outcomes, err := s.runAll(selected)
	if err != nil {
		return 0, err
	}
	s.slowest(outcomes, *times)
	return s.report(outcomes), nil
}

// roleCases are the chosen cases of one role.
type roleCases struct {
	role  string
	cases []testCase
}

// choose returns the cases of the roles whose names contain a text.
func choose(role, only string) []roleCases {
	var chosen []roleCases
	for _, r := range []roleCases{{"server", serverCases()}, {"client", clientCases()}} {
		if role == "both" || role == r.role {
			unwanted := func(c testCase) bool { return !strings.Contains(r.role+" "+c.name, only) }
			chosen = append(chosen, roleCases{r.role, slices.DeleteFunc(r.cases, unwanted)})
		}
	}
	return chosen
}

// runAll runs the chosen cases and starts the server that they need.
func (s *suite) runAll(chosen []roleCases) (outcomes []outcome, err error) {
	for _, r := range chosen {
		if r.role == "server" && s.addr == "" && len(r.cases) > 0 {
			p, addr, err := startServer(s.command, shortHandshake)
			if err != nil {
				return nil, err
			}
			defer func() {
				if stopped := p.stop(); stopped != nil {
					err = fmt.Errorf("the server did not end well: %w", stopped)
				}
			}()
			s.addr, s.handshake = addr, shortHandshake
		}
	}
	return s.run(chosen), nil
}

const testeePackage = "github.com/rpcx-go/rpcx/internal/spec/testee"

// buildTestee builds this repository's testee, with flags of go build, and
// returns the binary and what removes it.
func buildTestee(flags ...string) (bin string, remove func(), err error) {
	dir, err := os.MkdirTemp("", "spec-testee-")
	if err != nil {
		return "", nil, err
	}
	remove = func() { os.RemoveAll(dir) }
	bin = filepath.Join(dir, "testee")
	if runtime.GOOS == "windows" {
		bin += ".exe"
	}
	out, err := exec.Command("go", slices.Concat([]string{"build", "-o", bin}, flags, []string{testeePackage})...).CombinedOutput()
	if err != nil {
		remove()
		return "", nil, errors.Join(errors.New("cannot build the testee: "+string(out)), err)
	}
	return bin, remove, nil
}
