package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rpcx-go/rpcx/bench/child"
	"github.com/rpcx-go/rpcx/bench/measure"
	"github.com/rpcx-go/rpcx/bench/report"
	"github.com/rpcx-go/rpcx/bench/workload"
)

// plan is what a benchmark runs.
type plan struct {
	cells    []workload.Cell
	peers    []workload.Peer
	baseline string
	rounds   int
	length   time.Duration
	warmup   time.Duration
	rest     time.Duration // without calls, before idle connections are looked at
	tries    int           // of a run that others disturb
	profiles string        // folder; empty: none
	sockets  string        // folder
}

// measureFunc makes one run.
type measureFunc func(round int, cell workload.Cell, peer string) (report.Run, error)

// run measures everything, peers next to each other within cells within
// rounds, and writes a line per run to w. Runs that break are told of there and
// make it fail in the end; those that did not are returned all the same.
func (p *plan) run(ctx context.Context, w io.Writer, measure measureFunc) (runs []report.Run, err error) {
	broken := 0
	for round := range p.rounds {
		for _, cell := range p.cells {
			for _, peer := range p.inTurn(round, cell) {
				r, err := p.leastDisturbed(func() (report.Run, error) { return measure(round, cell, peer.Name) })
				if ctx.Err() != nil {
					return runs, ctx.Err()
				}
				if err != nil {
					broken++
					fmt.Fprintf(w, "round %d/%d broke: %v\n", round+1, p.rounds, err)
					continue
				}
				r.Round, r.Cell, r.Peer = round, cell.String(), peer.Name
				fmt.Fprintf(w, "round %d/%d %s\n", round+1, p.rounds, r)
				runs = append(runs, r)
			}
		}
	}
	if broken > 0 {
		err = fmt.Errorf("%d runs broke", broken)
	}
	return runs, err
}

// disturbed is the share of the machine that may go to others during a run.
const disturbed = 0.1

// leastDisturbed measures until a run is not disturbed by others, and returns
// the one that was least.
func (p *plan) leastDisturbed(measure func() (report.Run, error)) (best report.Run, err error) {
	for try := range max(1, p.tries) {
		r, err := measure()
		if err != nil {
			return report.Run{}, err
		}
		if try == 0 || r.Others < best.Others {
			best = r
		}
		if best.Others <= disturbed {
			break
		}
	}
	return best, nil
}

// inTurn returns the peers of a cell. Each round begins with another one, so
// that none always follows the same.
func (p *plan) inTurn(round int, cell workload.Cell) []workload.Peer {
	var all []workload.Peer
	for _, peer := range p.peers {
		if peer.Supports(cell) {
			all = append(all, peer)
		}
	}
	if len(all) == 0 {
		return nil
	}
	first := round % len(all)
	return slices.Concat(all[first:], all[:first])
}

// profileNames returns where the profiles of the server and the client go; none
// if there are to be none.
func (p *plan) profileNames(round int, cell workload.Cell, peer string) []string {
	if p.profiles == "" || cell.IsMemory() {
		return nil
	}
	var names []string
	for _, role := range []string{"server", "client"} {
		name := fmt.Sprintf("%d-%s-%s-%s.pprof", round, strings.ReplaceAll(cell.String(), "/", "-"), peer, role)
		names = append(names, filepath.Join(p.profiles, name))
	}
	return names
}

// runProcesses is run with processes that measure.
func (p *plan) runProcesses(ctx context.Context, w io.Writer) (runs []report.Run, err error) {
	if p.sockets, err = os.MkdirTemp("", "bench"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(p.sockets)
	return p.run(ctx, w, func(round int, cell workload.Cell, peer string) (report.Run, error) {
		return p.measure(ctx, cell, peer, p.profileNames(round, cell, peer))
	})
}

// measure starts a server and a client, lets the client call, and ends both.
func (p *plan) measure(ctx context.Context, cell workload.Cell, peer string, profiles []string) (report.Run, error) {
	socket := filepath.Join(p.sockets, "s")
	server, err := child.Start(ctx, child.Config{Role: child.Server, Peer: peer, Cell: cell, Socket: socket})
	if err != nil {
		return report.Run{}, err
	}
	defer os.RemoveAll(socket)
	defer server.Stop()
	client := func() (*child.Process, error) {
		return child.Start(ctx, child.Config{Role: child.Client, Peer: peer, Cell: cell, Hello: server.Hello()})
	}
	switch cell.Kind {
	case workload.Idle:
		return p.measureIdle(ctx, cell, server, client)
	case workload.Slow:
		return p.measureSlow(cell, server, client)
	}
	return p.measureCalls(server, client, profiles)
}

// measureCalls measures how fast calls are and what they cost.
func (p *plan) measureCalls(server *child.Process, start func() (*child.Process, error), profiles []string) (report.Run, error) {
	client, err := start()
	if err != nil {
		return report.Run{}, err
	}
	defer client.Stop()
	if _, err := client.Run(p.warmup); err != nil {
		return report.Run{}, err
	}
	both := []*child.Process{server, client}
	for i, name := range profiles {
		if err := both[i].StartProfile(name); err != nil {
			return report.Run{}, err
		}
	}
	before, err := usages(both, true)
	if err != nil {
		return report.Run{}, err
	}
	machine := measure.MachineNow()
	phase, err := client.Run(p.length)
	if err != nil {
		return report.Run{}, err
	}
	machineAfter := measure.MachineNow()
	after, err := usages(both, false)
	if err != nil {
		return report.Run{}, err
	}
	for i := range profiles {
		if err := both[i].EndProfile(); err != nil {
			return report.Run{}, err
		}
	}
	r := report.OfCalls(phase, after[0].Since(before[0]), after[1].Since(before[1]))
	r.Others = machineAfter.OthersSince(machine, after[0].CPU-before[0].CPU+after[1].CPU-before[1].CPU)
	return r, nil
}

// measureIdle measures the memory of connections that have made a call.
func (p *plan) measureIdle(ctx context.Context, cell workload.Cell, server *child.Process, start func() (*child.Process, error)) (report.Run, error) {
	const dialing = 32 // at a time
	client, err := start()
	if err != nil {
		return report.Run{}, err
	}
	defer client.Stop()
	return memoryOf(cell.Callers, server, client, func() error {
		if err := client.Once(cell.Callers, dialing); err != nil {
			return err
		}
		select {
		case <-time.After(p.rest):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// measureSlow measures the memory of calls whose handlers wait. What a first
// call takes for good is not counted.
func (p *plan) measureSlow(cell workload.Cell, server *child.Process, start func() (*child.Process, error)) (r report.Run, err error) {
	client, err := start()
	if err != nil {
		return report.Run{}, err
	}
	defer client.Stop()
	if err := client.Once(1, 1); err != nil {
		return report.Run{}, err
	}
	// The client's answers come when its calls have ended: its memory is not asked for.
	calls := make(chan error, 1)
	r, err = memoryOf(cell.Callers, server, nil, func() error {
		if err := server.Hold(); err != nil {
			return err
		}
		go func() { calls <- client.Once(cell.Callers, cell.Callers) }()
		return server.Await(cell.Callers)
	})
	if err != nil {
		return report.Run{}, err
	}
	return r, errors.Join(server.Release(), <-calls)
}

// memoryOf returns how much more memory the server and the client take after f,
// by n; the client may be nil.
func memoryOf(n int, server, client *child.Process, f func() error) (report.Run, error) {
	memory := func() (of [2]int64, err error) {
		if of[0], err = server.Memory(); err == nil && client != nil {
			of[1], err = client.Memory()
		}
		return of, err
	}
	before, err := memory()
	if err != nil {
		return report.Run{}, err
	}
	if err := f(); err != nil {
		return report.Run{}, err
	}
	after, err := memory()
	if err != nil {
		return report.Run{}, err
	}
	return report.OfMemory(n, after[0]-before[0], after[1]-before[1]), nil
}

// usages asks each child what it has spent, after a garbage collection if fresh.
func usages(children []*child.Process, fresh bool) ([]measure.Usage, error) {
	var all []measure.Usage
	for _, c := range children {
		if fresh {
			if err := c.Collect(); err != nil {
				return nil, err
			}
		}
		u, err := c.Usage()
		if err != nil {
			return nil, err
		}
		all = append(all, u)
	}
	return all, nil
}
