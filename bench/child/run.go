package child

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"

	"github.com/rpcx-go/rpcx/bench/measure"
	"github.com/rpcx-go/rpcx/bench/workload"
)

// Run is a child's life: it prepares what config says, says so on out, and
// answers the commands on in until in ends.
func Run(config string, in io.Reader, out io.Writer) error {
	var cfg Config
	if err := json.Unmarshal([]byte(config), &cfg); err != nil {
		return fmt.Errorf("child: configuration: %w", err)
	}
	peer, err := workload.FindPeer(cfg.Peer)
	if err != nil {
		return err
	}
	c := &child{cell: cfg.Cell}
	replies := json.NewEncoder(out)
	if err := replies.Encode(c.prepare(cfg, peer)); err != nil {
		return err
	}
	commands := json.NewDecoder(in)
	for {
		var cmd command
		if err := commands.Decode(&cmd); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("child: command: %w", err)
		}
		if err := replies.Encode(c.do(cmd)); err != nil {
			return err
		}
	}
}

// child is the state of a child process.
type child struct {
	cell            workload.Cell
	callers, beside []workload.Caller
	profile         *os.File
}

// prepare starts the server or makes the callers.
func (c *child) prepare(cfg Config, peer workload.Peer) reply {
	switch cfg.Role {
	case Server:
		hello, err := serve(cfg, peer)
		if err != nil {
			return failed(err)
		}
		return reply{Hello: hello}
	case Client:
		to := workload.Target{Network: cfg.Cell.Network(), Addr: cfg.Hello.Addr, TLS: workload.Trusting(cfg.Hello.Certificate)}
		var err error
		if c.callers, c.beside, err = peer.Callers(to, cfg.Cell); err != nil {
			return failed(err)
		}
		return reply{}
	}
	return failed(fmt.Errorf("no role %q", cfg.Role))
}

// serve starts the server.
func serve(cfg Config, peer workload.Peer) (Hello, error) {
	if peer.Listen != nil {
		addr, err := peer.Listen()
		return Hello{Addr: addr}, err
	}
	addr := "127.0.0.1:0"
	if cfg.Cell.Network() == "unix" {
		addr = cfg.Socket
	}
	lis, err := net.Listen(cfg.Cell.Network(), addr)
	if err != nil {
		return Hello{}, err
	}
	on, hello := workload.Listener{Listener: lis}, Hello{Addr: lis.Addr().String()}
	if cfg.Cell.Kind == workload.TLS {
		if on.TLS, hello.Certificate, err = workload.SelfSigned(); err != nil {
			return Hello{}, err
		}
	}
	go func() {
		// A server that stops takes its process along, which the parent notices.
		fmt.Fprintln(os.Stderr, peer.Name, "stopped serving:", peer.Serve(on))
		os.Exit(1)
	}()
	return hello, nil
}

func (c *child) do(cmd command) reply {
	switch cmd.Op {
	case opRun:
		phase, err := workload.RunPhase(c.cell, c.callers, c.beside, cmd.Length)
		if err != nil {
			return failed(err)
		}
		return reply{Phase: phase}
	case opOnce:
		return done(workload.CallOnce(c.callers[:min(cmd.Count, len(c.callers))], cmd.AtOnce))
	case opHold:
		workload.Handlers.Close()
		return reply{}
	case opAwait:
		return done(workload.Handlers.Await(cmd.Count, patience))
	case opRelease:
		workload.Handlers.Open()
		return reply{}
	case opCollect:
		runtime.GC()
		return reply{}
	case opUsage:
		return reply{Usage: measure.Now()}
	case opMemory:
		measure.Settle()
		bytes, err := measure.Resident()
		if err != nil {
			return failed(err)
		}
		return reply{Memory: bytes}
	case opProfile:
		return c.startProfile(cmd.File)
	case opProfileEnd:
		return c.endProfile()
	}
	return failed(fmt.Errorf("no command %q", cmd.Op))
}

func (c *child) startProfile(name string) reply {
	f, err := os.Create(name)
	if err != nil {
		return failed(err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return failed(errors.Join(err, f.Close()))
	}
	c.profile = f
	return reply{}
}

// endProfile ends the CPU profile and writes one of all allocations beside it.
func (c *child) endProfile() reply {
	pprof.StopCPUProfile()
	if err := c.profile.Close(); err != nil {
		return failed(err)
	}
	f, err := os.Create(strings.TrimSuffix(c.profile.Name(), ".pprof") + "-allocs.pprof")
	if err != nil {
		return failed(err)
	}
	return done(errors.Join(pprof.Lookup("allocs").WriteTo(f, 0), f.Close()))
}

// done is the reply of a command that has no result but may fail.
func done(err error) reply {
	if err != nil {
		return failed(err)
	}
	return reply{}
}

func failed(err error) reply { return reply{Error: err.Error()} }
