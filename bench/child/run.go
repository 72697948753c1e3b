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
	cell    workload.Cell
	callers []workload.Caller
	profile *os.File
}

// prepare starts the server or makes the callers.
func (c *child) prepare(cfg Config, peer workload.Peer) reply {
	switch cfg.Role {
	case Server:
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return failed(err)
		}
		go func() {
			// A server that stops takes its process along, which the parent notices.
			fmt.Fprintln(os.Stderr, peer.Name, "stopped serving:", peer.Serve(lis))
			os.Exit(1)
		}()
		return reply{Addr: lis.Addr().String()}
	case Client:
		newCaller, err := peer.Dial(cfg.Addr, cfg.Cell)
		if err != nil {
			return failed(err)
		}
		for range cfg.Cell.Callers {
			call, err := newCaller()
			if err != nil {
				return failed(err)
			}
			c.callers = append(c.callers, call)
		}
		return reply{}
	}
	return failed(fmt.Errorf("no role %q", cfg.Role))
}

func (c *child) do(cmd command) reply {
	switch cmd.Op {
	case opRun:
		phase, err := workload.RunPhase(c.cell, c.callers, cmd.Length)
		if err != nil {
			return failed(err)
		}
		return reply{Phase: phase}
	case opCollect:
		runtime.GC()
		return reply{}
	case opUsage:
		return reply{Usage: measure.Now()}
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

func (c *child) endProfile() reply {
	pprof.StopCPUProfile()
	if err := c.profile.Close(); err != nil {
		return failed(err)
	}
	return reply{}
}

func failed(err error) reply { return reply{Error: err.Error()} }
