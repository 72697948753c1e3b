// Package idle measures the memory of a server whose connections are idle: a
// server and a client in two processes, many connections that have made one call
// each and then nothing, plain and over TLS.
package idle

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/rpcx-go/rpcx/bench/child"
)

// Argument is the first argument of the command line that asks for this
// measurement; ChildArgument is that of the two processes which it starts.
const (
	Argument      = "idle"
	ChildArgument = "idle-child"
)

// options is what the measurement is told on the command line.
type options struct {
	conns    int
	rest     time.Duration
	kind     string
	allocs   bool
	profiles string
}

// Main measures as the flags in args say and prints a line per kind of
// connection and one for all.
func Main(ctx context.Context, args []string, out io.Writer) error {
	var o options
	flags := flag.NewFlagSet(Argument, flag.ContinueOnError)
	flags.IntVar(&o.conns, "conns", 10_000, "`number` of connections")
	flags.DurationVar(&o.rest, "rest", 10*time.Second, "`time` without calls before memory is looked at")
	flags.StringVar(&o.kind, "kind", "", "`kind` of connections, plain or tls; empty: both")
	flags.BoolVar(&o.allocs, "allocs", false, "count every allocation that is in use, by the package that made it; the count itself takes memory")
	flags.StringVar(&o.profiles, "prof", "", "`folder` for heap and goroutine profiles of the server")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || o.kind != "" && o.kind != "plain" && o.kind != "tls" {
		return fmt.Errorf("idle: %v is no use", args)
	}
	if o.profiles != "" {
		if err := os.MkdirAll(o.profiles, 0o755); err != nil {
			return err
		}
	}
	last := "bench-idle:"
	for _, kind := range []string{"plain", "tls"} {
		if o.kind != "" && o.kind != kind {
			continue
		}
		each, err := o.measure(ctx, kind, out)
		if err != nil {
			return fmt.Errorf("idle: %s: %w", kind, err)
		}
		last += fmt.Sprintf(" %s=%.1f", kind, each)
	}
	fmt.Fprintln(out, last, "KiB per connection")
	return nil
}

// measure returns the KiB of resident memory that a connection of that kind takes.
func (o *options) measure(ctx context.Context, kind string, out io.Writer) (float64, error) {
	server, err := start(ctx, childConfig{Role: "server", TLS: kind == "tls", Allocs: o.allocs})
	if err != nil {
		return 0, err
	}
	defer server.stop()
	hello, err := server.receive()
	if err != nil {
		return 0, err
	}
	before, err := server.ask(request{})
	if err != nil {
		return 0, err
	}
	client, err := start(ctx, childConfig{Role: "client", TLS: kind == "tls", Addr: hello.Addr, Roots: hello.Roots, Conns: o.conns})
	if err != nil {
		return 0, err
	}
	defer client.stop()
	if _, err := client.receive(); err != nil {
		return 0, err
	}
	select {
	case <-time.After(o.rest):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	var profile string
	if o.profiles != "" {
		profile = o.profiles + "/" + kind
	}
	after, err := server.ask(request{Profile: profile})
	if err != nil {
		return 0, err
	}
	if after.Conns != o.conns {
		return 0, fmt.Errorf("the server has %d connections of %d", after.Conns, o.conns)
	}
	return report(out, kind, before, after), nil
}

// report prints what the connections take each and returns the resident memory.
func report(out io.Writer, kind string, before, after reply) float64 {
	each := func(get func(reply) int64) float64 {
		return float64(get(after)-get(before)) / float64(after.Conns) / 1024
	}
	rss := each(func(r reply) int64 { return r.RSS })
	fmt.Fprintf(out, "%s: %d connections: resident %.2f KiB each, of which heap %.2f, stacks %.2f; %.1f objects, %.1f goroutines\n",
		kind, after.Conns, rss, each(func(r reply) int64 { return r.Heap }), each(func(r reply) int64 { return r.Stacks }),
		1024*each(func(r reply) int64 { return r.Objects }), 1024*each(func(r reply) int64 { return r.Goroutines }))
	for _, p := range after.Allocs {
		if size := float64(p.Bytes) / float64(after.Conns); size >= 1 {
			fmt.Fprintf(out, "  %6.0f bytes, %5.2f objects each: %s\n", size, float64(p.Objects)/float64(after.Conns), p.Name)
		}
	}
	return rss
}

// process is a child, as its parent sees it.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *bufio.Reader
}

func start(ctx context.Context, cfg childConfig) (*process, error) {
	exe, err := child.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, exe, ChildArgument, string(text))
	cmd.Env = append(os.Environ(), child.Variable+"=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &process{cmd: cmd, stdin: stdin, out: bufio.NewReader(stdout)}, nil
}

func (p *process) ask(r request) (reply, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return reply{}, err
	}
	if _, err := p.stdin.Write(append(text, '\n')); err != nil {
		return reply{}, err
	}
	return p.receive()
}

func (p *process) receive() (r reply, err error) {
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return r, fmt.Errorf("a process ended: %w", err)
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return r, err
	}
	if r.Error != "" {
		return r, fmt.Errorf("%s", r.Error)
	}
	return r, nil
}

// stop ends the child by closing its input.
func (p *process) stop() {
	// Both fail only if it is gone already.
	_ = p.stdin.Close()
	_ = p.cmd.Wait()
}
