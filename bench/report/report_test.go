package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rpcx-go/rpcx/bench/measure"
	"github.com/rpcx-go/rpcx/bench/workload"
)

// runsOf returns a run per value of qps, with the other metrics derived from it.
func runsOf(cell, peer string, qps ...float64) []Run {
	var runs []Run
	for round, v := range qps {
		figures := Figures{QPS: v, CPU: 1e6 / v, P50: 10, P99: 20, Allocs: 3}
		runs = append(runs, Run{Round: round, Cell: cell, Peer: peer, Figures: figures})
	}
	return runs
}

// reportOf returns a report on runs, with the peers in the order given.
func reportOf(runs []Run, cells []string, peers ...string) *Report {
	r := &Report{Baseline: "grpc", Cells: cells, Runs: runs, Rounds: 1, Seconds: 1, CPUs: 2, Go: "go1", Platform: "os/arch"}
	for _, p := range peers {
		r.Peers = append(r.Peers, Peer{Name: p, Floor: p == floorCalls})
	}
	r.Summarize()
	return r
}

func TestRatioIsTheMedianOfTheRounds(t *testing.T) {
	const cell = "unary/128/64"
	// The machine slows down from round to round: the ratio of the medians
	// would be 300/100, that of each round tells 2, 3 and 6.
	r := reportOf(append(runsOf(cell, "fast", 400, 300, 300), runsOf(cell, "grpc", 200, 100, 50)...), []string{cell}, "fast", "grpc")
	if len(r.Summary) != 2 {
		t.Fatalf("%d rows, want 2", len(r.Summary))
	}
	want := Figure{Median: 300, Min: 300, Max: 400, Ratio: 3}
	if got := r.Summary[0].Figures[QPS]; got != want {
		t.Errorf("qps of the fast peer is %+v, want %+v", got, want)
	}
	if got := r.Summary[1].Figures[QPS].Ratio; got != 0 {
		t.Errorf("the baseline has ratio %v to itself", got)
	}
	if _, ok := r.Summary[0].Figures[KiB]; ok {
		t.Error("there is a figure that was not measured")
	}
	if v, ok := r.Ratio(cell, "fast", "grpc", KiB); ok {
		t.Errorf("there is a ratio, %v, of what was not measured", v)
	}
}

func TestPrintLines(t *testing.T) {
	runs := append(runsOf("unary/128/64", "rpcx", 100000), runsOf("unary/128/64", "grpc", 50000)...)
	runs = append(runs, runsOf("bidi/128/1", "rpcx", 7)...)
	runs = append(runs, Run{Cell: "idle/128/9", Peer: "rpcx", Figures: Figures{KiB: 5}}, Run{Cell: "idle/128/9", Peer: "grpc", Figures: Figures{KiB: 20}})
	var out strings.Builder
	reportOf(runs, []string{"unary/128/64", "bidi/128/1", "idle/128/9"}, "rpcx", "grpc").PrintLines(&out)
	want := `bench-rpc: unary/128/64 qps rpcx=100000 grpc=50000 ratio=2.000
bench-rpc: unary/128/64 cpu rpcx=10.00 grpc=20.00 ratio=0.500
bench-rpc: unary/128/64 p50 rpcx=10.0 grpc=10.0 ratio=1.000
bench-rpc: unary/128/64 p99 rpcx=20.0 grpc=20.0 ratio=1.000
bench-rpc: unary/128/64 allocs rpcx=3.0 grpc=3.0 ratio=1.000
bench-rpc: idle/128/9 kib rpcx=5.00 grpc=20.00 ratio=0.250
`
	if got := out.String(); got != want {
		t.Errorf("lines are\n%swant\n%s", got, want)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1}, 5}, {[]float64{9, 1, 4}, 4}} {
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.values, got, c.want)
		}
	}
}

func TestRunOfCalls(t *testing.T) {
	phase := workload.Phase{Messages: 1000, Elapsed: time.Second, P50: time.Millisecond, P99: 2 * time.Millisecond}
	spent := measure.Usage{CPU: 10 * time.Millisecond, Allocs: 3000}
	r := OfCalls(phase, spent, spent)
	for m, want := range map[Metric]float64{QPS: 1000, CPU: 20, P50: 1000, P99: 2000, Allocs: 6} {
		if got := r.Figures[m]; got != want {
			t.Errorf("%s is %v, want %v", m, got, want)
		}
	}
	phase.BesideBytes, phase.BesideElapsed = 10<<20, 2*time.Second
	r = OfCalls(phase, spent, spent)
	if _, ok := r.Figures[CPU]; ok || r.Figures[Beside] != 5 {
		t.Errorf("figures with a stream beside are %v, want 5 MiB/s and no CPU per call", r.Figures)
	}
}

func TestRunOfMemory(t *testing.T) {
	r := OfMemory(4, 40<<10, 8<<10)
	if r.Figures[KiB] != 10 || r.ClientKiB != 2 {
		t.Errorf("10 KiB of the server and 2 of the client became %+v", r)
	}
}

func TestGoals(t *testing.T) {
	const cell = "unary/128/64"
	for _, c := range []struct {
		rpcx, floor, other float64
		want               []string
	}{
		{800, 800, 50, []string{"≥ 7 yes ≥ 9 no 1 ≥ 0.95 yes", "ahead: 0 of 1"}},
		{500, 1000, 600, []string{"≥ 7 no ≥ 9 no 0.5 ≥ 0.95 no", "ahead of rpcx in unary/128/64: other (rpcx is at 0.833 of its qps)", "ahead: 1 of 1"}},
	} {
		runs := append(runsOf(cell, "rpcx", c.rpcx), runsOf(cell, "grpc", 100)...)
		runs = append(runs, runsOf(cell, floorCalls, c.floor)...)
		runs = append(runs, runsOf(cell, "other", c.other)...)
		var out strings.Builder
		if err := reportOf(runs, []string{cell}, "rpcx", "grpc", "other", floorCalls).PrintGoals(&out); err != nil {
			t.Fatal(err)
		}
		text := strings.Join(strings.Fields(out.String()), " ")
		for _, want := range c.want {
			if !strings.Contains(text, want) {
				t.Errorf("goals at %v lack %q:\n%s", c.rpcx, want, out.String())
			}
		}
	}
}

func TestPage(t *testing.T) {
	const cell = "unary/128/64"
	runs := append(runsOf(cell, "rpcx", 123456), runsOf(cell, "grpc", 50000)...)
	runs = append(runs, runsOf("sstream/128/1", "rpcx", 7e6)...)
	runs[0].Others = 0.3
	r := reportOf(runs, []string{cell, "sstream/128/1"}, "rpcx", "grpc")
	page, chart := filepath.Join(t.TempDir(), "page.md"), filepath.Join(t.TempDir(), "chart.svg")
	if err := os.WriteFile(page, []byte("before\n"+pageBegin+"\nold\n"+pageEnd+"\nafter\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 { // it can be written again
		if err := r.WritePage(page, chart); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, want := range []string{
		"of which other processes took 10 %;",
		"before\n" + pageBegin, pageEnd + "\nafter\n", "(chart.svg)",
		"per second | rpcx | grpc |", "| unary/128/64 | 123,456 | 50,000 |", "| sstream/128/1 | 7,000,000 |  |",
		"| p99, µs | rpcx | grpc |\n|---|---|---|\n| unary/128/64 | 20 | 20 |\n\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "old") {
		t.Errorf("the page still has what was replaced:\n%s", text)
	}
	if svg, err := os.ReadFile(chart); err != nil || !strings.Contains(string(svg), ">2.47</text>") {
		t.Errorf("chart, %v:\n%s", err, svg)
	}
	if err := os.WriteFile(page, []byte("no such lines\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := r.WritePage(page, ""); err == nil {
		t.Error("a page without the lines was written")
	}
}
