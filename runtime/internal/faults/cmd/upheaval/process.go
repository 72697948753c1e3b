package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// process is a running server.
type process struct {
	cfg serverConfig
	cmd *exec.Cmd // which closes its input when it has ended
}

// start starts a server and returns when it listens.
func start(cfg serverConfig) (*process, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), serveVar+"="+string(config))
	cmd.Stderr = os.Stderr
	stdin, errIn := cmd.StdinPipe()
	stdout, errOut := cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut, cmd.Start()); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		_ = stdin.Close()
		return nil, fmt.Errorf("a server did not start: %w", errors.Join(err, cmd.Wait()))
	}
	cfg.Addr = strings.TrimSpace(line)
	return &process{cfg, cmd}, nil
}

// kill ends the server as if its machine had lost its power.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // which says that it was killed
}

// terminate has the server drain, and returns when it has ended.
func (p *process) terminate() error {
	err := p.cmd.Process.Signal(syscall.SIGTERM)
	return errors.Join(err, p.cmd.Wait())
}

// fleet is servers that are processes.
type fleet struct {
	dir     string
	servers []*process
	started int
}

// newFleet starts n servers; slower says how many times slower server i is.
func newFleet(n int, mean time.Duration, slower func(i int) int) (*fleet, error) {
	dir, err := os.MkdirTemp("", "upheaval")
	if err != nil {
		return nil, err
	}
	f := &fleet{dir: dir}
	for i := range n {
		cfg := serverConfig{Addr: "127.0.0.1:0", Mean: mean, Workers: 1 << 16}
		if slower != nil {
			cfg.Mean, cfg.Workers = mean*time.Duration(slower(i)), 8
		}
		p, err := f.start(cfg)
		if err != nil {
			f.stop()
			return nil, err
		}
		f.servers = append(f.servers, p)
	}
	return f, nil
}

// start starts a server that has a journal and a name of its own.
func (f *fleet) start(cfg serverConfig) (*process, error) {
	f.started++
	cfg.Name = fmt.Sprintf("server-%d", f.started)
	cfg.Journal = filepath.Join(f.dir, cfg.Name)
	return start(cfg)
}

// restart has server i drain, and starts another one on its port.
func (f *fleet) restart(i int) error {
	if err := f.servers[i].terminate(); err != nil {
		return fmt.Errorf("%s did not drain: %w", f.servers[i].cfg.Name, err)
	}
	p, err := f.start(f.servers[i].cfg)
	if err == nil {
		f.servers[i] = p
	}
	return err
}

// target returns what rpcx.Dial takes for the servers.
func (f *fleet) target() string {
	var addrs []string
	for _, p := range f.servers {
		addrs = append(addrs, p.cfg.Addr)
	}
	return "static:///" + strings.Join(addrs, ",")
}

// stop ends all servers that run and removes their journals.
func (f *fleet) stop() {
	for _, p := range f.servers {
		p.kill()
	}
	_ = os.RemoveAll(f.dir)
}

// journals returns how often each call ran, on whichever server.
func (f *fleet) journals() (map[uint64]int, error) {
	files, err := filepath.Glob(filepath.Join(f.dir, "server-*"))
	if err != nil {
		return nil, err
	}
	ran := map[uint64]int{}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		for ; len(b) >= 8; b = b[8:] {
			ran[binary.BigEndian.Uint64(b)]++
		}
	}
	return ran, nil
}
