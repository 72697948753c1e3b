package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// patience is how long a process may take to start, and to stop.
const patience = 20 * time.Second

// process is a server: this program, run once more.
type process struct {
	name  string
	addr  string // where it serves
	cmd   *exec.Cmd
	stdin io.Closer
	ended chan struct{} // closed when it has ended
	err   error         // how, once it has; nil if it was to be killed
}

// startProcess starts a server and waits until it serves. It ends with this
// process, however that ends, as its standard input does then.
func startProcess(name string, args ...string) (*process, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{name: name, cmd: exec.Command(exe, append(args, "-with-stdin")...), ended: make(chan struct{})}
	p.cmd.Stderr = os.Stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	impatient := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	impatient.Stop()
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	if err != nil {
		_ = p.cmd.Process.Kill()
		<-p.ended
		return nil, fmt.Errorf("%s did not start: %w", name, errors.Join(err, p.err))
	}
	p.addr = strings.TrimSpace(strings.TrimPrefix(line, ready))
	return p, nil
}

// stop has the server finish what it does and waits for its end. It fails if the
// server does, or takes too long, and is killed.
func (p *process) stop() error {
	// An error says that it has ended already.
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.kill()
		return fmt.Errorf("%s did not stop in %v", p.name, patience)
	}
	if p.err != nil {
		return fmt.Errorf("%s: %w", p.name, p.err)
	}
	return nil
}

// kill ends the server at once, as kill -9 does.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
	p.err = nil // it was to end like that
}
