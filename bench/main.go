// Bench compares rpcx with other RPC frameworks: the same service, server and
// client in two processes on loopback, peers interleaved so that all meet the
// same machine.
//
//	go run . -cells unary/128/64,bidi/128/1 -peers rpcx,grpc -rounds 5
//
// It prints medians with their spread, and a line per figure with its ratio to
// the baseline. It fails if a run breaks, never because of a figure.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/rpcx-go/rpcx/bench/child"
	"github.com/rpcx-go/rpcx/bench/idle"
	_ "github.com/rpcx-go/rpcx/bench/peers"
	"github.com/rpcx-go/rpcx/bench/report"
	"github.com/rpcx-go/rpcx/bench/workload"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == child.Argument {
		exitOn(child.Run(os.Args[2], os.Stdin, os.Stdout))
		return
	}
	if len(os.Args) == 3 && os.Args[1] == idle.ChildArgument {
		exitOn(idle.Child(os.Args[2], os.Stdin, os.Stdout))
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) >= 2 && os.Args[1] == idle.Argument {
		exitOn(idle.Main(ctx, os.Args[2:], os.Stdout))
		return
	}
	plan, err := parseFlags()
	exitOn(err)
	runs, err := plan.run(ctx, os.Stdout)
	exitOn(err)
	rows := report.Summarize(runs, plan.cells, plan.peers, plan.baseline)
	fmt.Println()
	exitOn(report.PrintTable(os.Stdout, rows))
	fmt.Println()
	report.PrintLines(os.Stdout, rows, plan.baseline)
	exitOn(plan.writeJSON(runs, rows))
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// parseFlags reads the plan from the command line.
func parseFlags() (*plan, error) {
	var (
		cells    = flag.String("cells", "unary/128/64,unary/128/1,unary/128/1000,sstream/128/1,bidi/128/1", "`cells` as kind/bytes/callers, the kinds being unary, sstream and bidi")
		peers    = flag.String("peers", "grpc,rpcx,rpcx-inline", "`names` of the peers")
		baseline = flag.String("baseline", "grpc", "`name` of the peer that the others are compared with")
		rounds   = flag.Int("rounds", 5, "`number` of rounds")
		seconds  = flag.Float64("seconds", 3, "`length` of a run")
		warmup   = flag.Float64("warmup", 0.3, "`length` in seconds of the unmeasured run before it")
		jsonFile = flag.String("json", "", "`file` for the results in JSON")
		profiles = flag.String("prof", "", "`folder` for CPU profiles of both processes of each run")
	)
	flag.Parse()
	if flag.NArg() > 0 {
		return nil, fmt.Errorf("%q is no flag", flag.Arg(0))
	}
	p := &plan{
		peers:    strings.Split(*peers, ","),
		baseline: *baseline,
		rounds:   *rounds,
		length:   inSeconds(*seconds),
		warmup:   inSeconds(*warmup),
		jsonFile: *jsonFile,
		profiles: *profiles,
	}
	for _, text := range strings.Split(*cells, ",") {
		cell, err := workload.ParseCell(text)
		if err != nil {
			return nil, err
		}
		p.cells = append(p.cells, cell)
	}
	for _, name := range p.peers {
		if _, err := workload.FindPeer(name); err != nil {
			return nil, err
		}
	}
	if p.profiles != "" {
		return p, os.MkdirAll(p.profiles, 0o755)
	}
	return p, nil
}

func inSeconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// writeJSON writes everything that was measured, if a file was asked for.
func (p *plan) writeJSON(runs []report.Run, rows []report.Row) error {
	if p.jsonFile == "" {
		return nil
	}
	data, err := json.MarshalIndent(map[string]any{
		"go":       runtime.Version(),
		"platform": runtime.GOOS + "/" + runtime.GOARCH,
		"cpus":     runtime.NumCPU(),
		"baseline": p.baseline,
		"rounds":   p.rounds,
		"seconds":  p.length.Seconds(),
		"runs":     runs,
		"summary":  rows,
	}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(p.jsonFile), 0o755); err != nil {
		return err
	}
	return os.WriteFile(p.jsonFile, append(data, '\n'), 0o644)
}
