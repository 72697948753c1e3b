package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// The runner's package, and how busy it may be: servers that run at once and calls
// that its own client makes at once.
const (
	runnerPackage = "connectrpc.com/conformance/cmd/connectconformance"
	runnerModule  = "connectrpc.com/conformance"
	maxServers    = "2"
	parallel      = "8"
)

// programs are where everything has been built.
type programs struct{ dir string }

func build(ctx context.Context, dir string) (*programs, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", dir+string(filepath.Separator), runnerPackage, "./server", "./client")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return &programs{dir}, nil
}

// command returns a command of ours as the runner is given it.
func (p *programs) command(c []string) []string {
	return append([]string{filepath.Join(p.dir, c[0])}, c[1:]...)
}

// arguments returns those of the runner for a role.
func (p *programs) arguments(r role, conf string, suites []string, only string) []string {
	var mode string
	var commands []string
	switch {
	case r.client == nil:
		mode, commands = "server", p.command(r.server)
	case r.server == nil:
		mode, commands = "client", p.command(r.client)
	default:
		mode = "both"
		commands = append(append(p.command(r.client), "----"), p.command(r.server)...)
	}
	args := []string{"--mode", mode, "--conf", conf, "--max-servers", maxServers}
	if mode == "server" {
		args = append(args, "--parallel", parallel)
	}
	for _, s := range suites {
		args = append(args, "--test-file", s)
	}
	if only != "" {
		args = append(args, "--run", only)
	}
	return append(append(args, "--"), commands...)
}

// run has the runner test a role, and prints what it says of failures.
func (p *programs) run(ctx context.Context, r role, c config) (summary, error) {
	conf, least := r.config, r.least
	if c.short {
		conf, least = r.short, r.leastShort
	}
	sum, output, err := p.outcome(ctx, r, conf, c.only)
	if err != nil || sum.failed > 0 {
		fmt.Printf("%s\n", output)
	}
	if err == nil && c.only == "" && sum.cases < least {
		err = fmt.Errorf("there are %d cases, not %d", sum.cases, least)
	}
	return sum, err
}

// outcome has the runner test a role and returns what came out and what it said.
func (p *programs) outcome(ctx context.Context, r role, conf, only string) (summary, []byte, error) {
	var suites []string
	if r.neutral {
		var err error
		if suites, err = neutralSuites(ctx, filepath.Join(p.dir, "suites")); err != nil {
			return summary{}, nil, err
		}
	}
	cmd := exec.CommandContext(ctx, filepath.Join(p.dir, "connectconformance"), p.arguments(r, conf, suites, only)...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return summary{}, nil, err
	}
	sum, found := parse(output.Bytes())
	switch {
	case !found:
		err = fmt.Errorf("the runner came to no end: %w", errors.Join(err, ctx.Err()))
	case sum.failed > 0:
		err = nil
	}
	return sum, output.Bytes(), err
}

// selfCheck has the suite test programs that make a mistake.
func (p *programs) selfCheck(ctx context.Context) error {
	for _, r := range roles {
		command := &r.server
		if r.server == nil {
			command = &r.client
		}
		*command = append(slices.Clip(*command), "-break")
		sum, output, err := p.outcome(ctx, r, "native.yaml", "Basic/**")
		if err != nil {
			return fmt.Errorf("%w\n%s", err, output)
		}
		if sum.failed == 0 {
			return fmt.Errorf("%s: it passes with a mistake", r.name)
		}
	}
	return nil
}

// summary is what the runner says in the end.
type summary struct{ cases, failed int }

var (
	totals   = regexp.MustCompile(`(?m)^Total cases: (\d+)\n(\d+) passed, (\d+) failed$`)
	notRun   = regexp.MustCompile(`(?m)^Another (\d+) could not be run`)
	expected = regexp.MustCompile(`(?m)^\(Another (\d+) failed as expected`)
)

// parse returns the summary in the runner's output and whether there is one. What
// could not be run, or was allowed to fail, has failed.
func parse(output []byte) (summary, bool) {
	m := totals.FindSubmatch(output)
	if m == nil {
		return summary{}, false
	}
	number := func(digits []byte) int {
		n, _ := strconv.Atoi(string(digits)) // it is digits
		return n
	}
	s := summary{cases: number(m[1]), failed: number(m[3])}
	s.failed = max(s.failed, s.cases-number(m[2]))
	if m := expected.FindSubmatch(output); m != nil {
		s.failed = max(s.failed, number(m[1]))
	}
	if m := notRun.FindSubmatch(output); m != nil {
		s.cases += number(m[1])
		s.failed += number(m[1])
	}
	return s, true
}
