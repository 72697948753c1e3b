package child

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/rpcx-go/rpcx/bench/measure"
	"github.com/rpcx-go/rpcx/bench/workload"
)

// Argument is the first argument of a child's command line; its configuration
// is the second.
const Argument = "child"

// Variable is set in the environment of children.
const Variable = "RPCX_BENCH_CHILD"

// Executable returns the program that children run, which is this one. It fails
// in a child: a program that does not know the arguments of a child would start
// itself without end.
func Executable() (string, error) {
	if os.Getenv(Variable) != "" {
		return "", errors.New("a child of the benchmark starts no children")
	}
	return os.Executable()
}

// patience is how long a child may take for anything that should be instant.
const patience = 30 * time.Second

// longPatience is how long it may take for thousands of calls or connections.
const longPatience = 2 * time.Minute

// A Process is a running child, as its parent sees it. Its methods may not be
// called concurrently.
type Process struct {
	cfg      Config
	hello    Hello
	cmd      *exec.Cmd
	stdin    io.WriteCloser
	commands *json.Encoder
	replies  *json.Decoder
	kill     context.CancelFunc
}

// Start starts a child and waits until it is ready. The caller must Stop it.
func Start(ctx context.Context, cfg Config) (*Process, error) {
	exe, err := Executable()
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	ctx, kill := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, exe, Argument, string(config))
	cmd.Env = append(os.Environ(), Variable+"=1")
	cmd.Stderr = os.Stderr
	stdin, errIn := cmd.StdinPipe()
	stdout, errOut := cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut, cmd.Start()); err != nil {
		kill()
		return nil, err
	}
	p := &Process{
		cfg: cfg, cmd: cmd, stdin: stdin, kill: kill,
		commands: json.NewEncoder(stdin), replies: json.NewDecoder(stdout),
	}
	ready, err := p.await(patience)
	if err != nil {
		p.Stop()
		return nil, err
	}
	p.hello = ready.Hello
	return p, nil
}

// Hello returns what a server said about itself.
func (p *Process) Hello() Hello { return p.hello }

// Run lets a client's callers call for the given time.
func (p *Process) Run(length time.Duration) (workload.Phase, error) {
	r, err := p.do(command{Op: opRun, Length: length}, length+patience)
	return r.Phase, err
}

// Once lets each of a client's first n callers make one call, at most as many at
// a time as said.
func (p *Process) Once(n, atOnce int) error {
	_, err := p.do(command{Op: opOnce, Count: n, AtOnce: atOnce}, longPatience)
	return err
}

// Hold makes a server's handlers wait until Release.
func (p *Process) Hold() error {
	_, err := p.do(command{Op: opHold}, patience)
	return err
}

// Await waits until n of a server's handlers wait.
func (p *Process) Await(n int) error {
	_, err := p.do(command{Op: opAwait, Count: n}, longPatience)
	return err
}

// Release lets a server's handlers go on.
func (p *Process) Release() error {
	_, err := p.do(command{Op: opRelease}, patience)
	return err
}

// Memory returns the child's resident memory in bytes, after collections.
func (p *Process) Memory() (int64, error) {
	r, err := p.do(command{Op: opMemory}, patience)
	return r.Memory, err
}

// Collect runs the child's garbage collector.
func (p *Process) Collect() error {
	_, err := p.do(command{Op: opCollect}, patience)
	return err
}

// Usage returns what the child has spent since it started.
func (p *Process) Usage() (measure.Usage, error) {
	r, err := p.do(command{Op: opUsage}, patience)
	return r.Usage, err
}

// StartProfile begins a CPU profile of the child, to be written to file.
func (p *Process) StartProfile(file string) error {
	_, err := p.do(command{Op: opProfile, File: file}, patience)
	return err
}

// EndProfile ends the profile and writes it.
func (p *Process) EndProfile() error {
	_, err := p.do(command{Op: opProfileEnd}, patience)
	return err
}

// Stop ends the child by closing its input, and kills it if that does not help.
func (p *Process) Stop() {
	// Both fail only if the child is gone already.
	_ = p.stdin.Close()
	timer := time.AfterFunc(5*time.Second, p.kill)
	_ = p.cmd.Wait()
	timer.Stop()
	p.kill()
}

func (p *Process) do(cmd command, limit time.Duration) (reply, error) {
	if err := p.commands.Encode(cmd); err != nil {
		return reply{}, p.errorf("%s: %w", cmd.Op, err)
	}
	return p.await(limit)
}

// await reads the next reply, and kills a child that does not give one in time.
func (p *Process) await(limit time.Duration) (reply, error) {
	timer := time.AfterFunc(limit, p.kill)
	defer timer.Stop()
	var r reply
	switch err := p.replies.Decode(&r); {
	case err != nil && !timer.Stop():
		return reply{}, p.errorf("no answer within %v", limit)
	case err != nil:
		return reply{}, p.errorf("it ended: %w", err)
	case r.Error != "":
		return reply{}, p.errorf("%s", r.Error)
	}
	return r, nil
}

func (p *Process) errorf(format string, args ...any) error {
	return fmt.Errorf("%s %s of %s: %w", p.cfg.Peer, p.cfg.Role, p.cfg.Cell, fmt.Errorf(format, args...))
}
