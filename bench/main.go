// Bench compares rpcx with other RPC frameworks: the same service, server and
// client in two processes on loopback, peers interleaved so that all meet the
// same machine.
//
//	go run . -cells 'unary/128/.*,bidi/128/1' -peers 'rpcx|grpc' -rounds 5
//
// It prints medians with their spread, and a line per figure with its ratio to
// the baseline. It fails if a run breaks, after the others, never because of a figure.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
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
	exitOn(bench(ctx))
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// settings are the flags that say what comes of the plan.
type settings struct {
	from  string
	json  string
	goals bool
	page  string
	chart string
}

// bench measures, or reads what was measured, and reports it.
func bench(ctx context.Context) error {
	plan, set, err := parseFlags()
	if err != nil {
		return err
	}
	r := &report.Report{
		Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(),
		Baseline: plan.baseline, Rounds: plan.rounds, Seconds: plan.length.Seconds(),
	}
	for _, c := range plan.cells {
		r.Cells = append(r.Cells, c.String())
	}
	for _, p := range plan.peers {
		r.Peers = append(r.Peers, report.Peer{Name: p.Name, Floor: p.Floor})
	}
	var broken error
	if set.from != "" {
		data, err := os.ReadFile(set.from)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(data, r); err != nil {
			return fmt.Errorf("%s: %w", set.from, err)
		}
	} else {
		r.Runs, broken = plan.runProcesses(ctx, os.Stdout)
	}
	if broken != nil {
		set.page = "" // it is not written from a part of the runs
	}
	r.Summarize()
	return errors.Join(write(r, set), broken)
}

// write prints the report and writes the files that were asked for.
func write(r *report.Report, set settings) error {
	fmt.Println()
	if err := r.PrintTable(os.Stdout); err != nil {
		return err
	}
	fmt.Println()
	r.PrintLines(os.Stdout)
	if set.goals {
		fmt.Println()
		if err := r.PrintGoals(os.Stdout); err != nil {
			return err
		}
	}
	if set.json != "" {
		data, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(set.json), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(set.json, append(data, '\n'), 0o644); err != nil {
			return err
		}
	}
	if set.page == "" {
		return nil
	}
	if !isComplete(r) {
		fmt.Fprintf(os.Stderr, "bench: %s is left as it is: it is about all cells and peers\n", set.page)
		return nil
	}
	return r.WritePage(set.page, set.chart)
}

// isComplete reports whether a report is about all cells and peers.
func isComplete(r *report.Report) bool {
	for _, cell := range strings.Split(wholeCells, ",") {
		if !slices.Contains(r.Cells, cell) {
			return false
		}
	}
	for _, p := range workload.Peers() {
		if !slices.Contains(r.Peers, report.Peer{Name: p.Name, Floor: p.Floor}) {
			return false
		}
	}
	return true
}

// parseFlags reads the plan from the command line.
func parseFlags() (*plan, settings, error) {
	var (
		p               plan
		set             settings
		cells           = flag.String("cells", ".*", "`list` of cells as kind/bytes/callers, or of regular expressions for some of the usual ones")
		peers           = flag.String("peers", ".*", "`list` of regular expressions for the names of peers")
		smoke           = flag.Bool("smoke", false, "run everything once and as short as can be, to see that it works")
		seconds, warmup float64
	)
	flag.StringVar(&p.baseline, "baseline", "grpc", "`name` of the peer that the others are compared with")
	flag.IntVar(&p.rounds, "rounds", 5, "`number` of rounds")
	flag.Float64Var(&seconds, "seconds", 1, "`length` of a run")
	flag.Float64Var(&warmup, "warmup", 0.2, "`length` in seconds of the unmeasured run before it")
	flag.DurationVar(&p.rest, "rest", 2500*time.Millisecond, "`time` without calls before idle connections are looked at")
	flag.IntVar(&p.tries, "tries", 3, "`number` of times at most that a run is made while others take more than a tenth of the machine; the least disturbed counts")
	flag.StringVar(&p.profiles, "prof", "", "`folder` for profiles of processor time and allocations of both processes of each run")
	flag.StringVar(&set.from, "from", "", "`file` that -json wrote, reported again instead of measuring")
	flag.StringVar(&set.json, "json", "", "`file` for the results in JSON")
	flag.BoolVar(&set.goals, "goals", false, "print the goals and whether they are met")
	flag.StringVar(&set.page, "page", "", "`file` with the page whose part about the benchmark is written anew, if all cells and peers were run")
	flag.StringVar(&set.chart, "chart", "", "`file` for the page's chart, in SVG")
	flag.Parse()
	if flag.NArg() > 0 {
		return nil, set, fmt.Errorf("%q is no flag", flag.Arg(0))
	}
	list := wholeCells
	if *smoke {
		list, p.rounds, p.tries, seconds, warmup, p.rest = smokeCells, 1, 1, 0.01, 0, 0
	}
	p.length, p.warmup = inSeconds(seconds), inSeconds(warmup)
	known, err := selectCells(list, nil)
	if err != nil {
		return nil, set, err
	}
	if p.cells, err = selectCells(*cells, known); err != nil {
		return nil, set, err
	}
	if p.peers, err = selectPeers(*peers, workload.Peers()); err != nil {
		return nil, set, err
	}
	if p.profiles != "" {
		err = os.MkdirAll(p.profiles, 0o755)
	}
	return &p, set, err
}

func inSeconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
