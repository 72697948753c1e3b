package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
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
	peers    []string
	baseline string
	rounds   int
	length   time.Duration
	warmup   time.Duration
	jsonFile string
	profiles string
}

// run measures everything, peers next to each other within cells within
// rounds, and writes a line per run to w. It stops at the first run that breaks.
func (p *plan) run(ctx context.Context, w io.Writer) ([]report.Run, error) {
	var runs []report.Run
	for round := range p.rounds {
		for _, cell := range p.cells {
			for _, name := range p.peers {
				peer, err := workload.FindPeer(name)
				if err != nil {
					return nil, err
				}
				if !peer.Supports(cell.Kind) {
					continue
				}
				r, err := p.measure(ctx, round, cell, name)
				if err != nil {
					return nil, err
				}
				fmt.Fprintf(w, "round %d/%d %-15s %-12s %9.0f/s  cpu %6.2f µs (server %.2f)  p50 %.1f  p99 %.1f µs  allocs %.1f+%.1f  others %.0f%%\n",
					round+1, p.rounds, cell, name, r.Figures[report.QPS], r.Figures[report.CPU], r.ServerCPU,
					r.Figures[report.P50], r.Figures[report.P99], r.ServerAllocs, r.ClientAllocs, 100*r.Others)
				runs = append(runs, r)
			}
		}
	}
	return runs, nil
}

// measure starts a server and a client, lets the client call, and ends both.
func (p *plan) measure(ctx context.Context, round int, cell workload.Cell, peer string) (report.Run, error) {
	server, err := child.Start(ctx, child.Config{Role: child.Server, Peer: peer, Cell: cell})
	if err != nil {
		return report.Run{}, err
	}
	defer server.Stop()
	client, err := child.Start(ctx, child.Config{Role: child.Client, Peer: peer, Cell: cell, Addr: server.Addr()})
	if err != nil {
		return report.Run{}, err
	}
	defer client.Stop()

	if _, err := client.Run(p.warmup); err != nil {
		return report.Run{}, err
	}
	both := []*child.Process{server, client}
	profileName := func(role string) string {
		name := fmt.Sprintf("%d-%s-%s-%s.pprof", round, strings.ReplaceAll(cell.String(), "/", "-"), peer, role)
		return filepath.Join(p.profiles, name)
	}
	if p.profiles != "" {
		if err := errors.Join(server.StartProfile(profileName("server")), client.StartProfile(profileName("client"))); err != nil {
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
	if p.profiles != "" {
		if err := errors.Join(server.EndProfile(), client.EndProfile()); err != nil {
			return report.Run{}, err
		}
	}
	r := result(phase, after[0].Since(before[0]), after[1].Since(before[1]))
	r.Round, r.Cell, r.Peer = round, cell.String(), peer
	r.Others = machineAfter.OthersSince(machine, after[0].CPU-before[0].CPU+after[1].CPU-before[1].CPU)
	return r, nil
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

// result divides what both processes spent by the messages.
func result(phase workload.Phase, server, client measure.Usage) report.Run {
	n := float64(max(1, phase.Messages))
	r := report.Run{
		ServerCPU:    micros(server.CPU) / n,
		ClientCPU:    micros(client.CPU) / n,
		ServerAllocs: float64(server.Allocs) / n,
		ClientAllocs: float64(client.Allocs) / n,
		P999:         micros(phase.P999),
		Messages:     phase.Messages,
	}
	r.Figures = report.Figures{
		report.QPS:    float64(phase.Messages) / phase.Elapsed.Seconds(),
		report.CPU:    r.ServerCPU + r.ClientCPU,
		report.P50:    micros(phase.P50),
		report.P99:    micros(phase.P99),
		report.Allocs: r.ServerAllocs + r.ClientAllocs,
	}
	return r
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
