package report

import (
	"strings"
	"testing"

	"github.com/rpcx-go/rpcx/bench/workload"
)

// runsOf returns a run per value of qps, with the other metrics derived from it.
func runsOf(cell workload.Cell, peer string, qps ...float64) []Run {
	var runs []Run
	for round, v := range qps {
		figures := Figures{QPS: v, CPU: 1e6 / v, P50: 10, P99: 20, Allocs: 3}
		runs = append(runs, Run{Round: round, Cell: cell.String(), Peer: peer, Figures: figures})
	}
	return runs
}

func TestRatioIsTheMedianOfTheRounds(t *testing.T) {
	cell := workload.Cell{Kind: workload.Unary, Bytes: 128, Callers: 64}
	// The machine slows down from round to round: the ratio of the medians
	// would be 300/100, that of each round tells 2, 3 and 6.
	runs := append(runsOf(cell, "fast", 400, 300, 300), runsOf(cell, "base", 200, 100, 50)...)
	rows := Summarize(runs, []workload.Cell{cell}, []string{"fast", "base"}, "base")
	if len(rows) != 2 {
		t.Fatalf("%d rows, want 2", len(rows))
	}
	want := Figure{Median: 300, Min: 300, Max: 400, Ratio: 3}
	if got := rows[0].Figures[QPS]; got != want {
		t.Errorf("qps of the fast peer is %+v, want %+v", got, want)
	}
	if got := rows[1].Figures[QPS].Ratio; got != 0 {
		t.Errorf("the baseline has ratio %v to itself", got)
	}
}

func TestPrintLines(t *testing.T) {
	cell := workload.Cell{Kind: workload.Unary, Bytes: 128, Callers: 64}
	other := workload.Cell{Kind: workload.Bidi, Bytes: 128, Callers: 1}
	runs := append(runsOf(cell, "rpcx", 100000), runsOf(cell, "grpc", 50000)...)
	runs = append(runs, runsOf(other, "rpcx", 7)...)
	rows := Summarize(runs, []workload.Cell{cell, other}, []string{"rpcx", "grpc"}, "grpc")
	var out strings.Builder
	PrintLines(&out, rows, "grpc")
	want := `bench-rpc: unary/128/64 qps rpcx=100000 grpc=50000 ratio=2.000
bench-rpc: unary/128/64 cpu rpcx=10.00 grpc=20.00 ratio=0.500
bench-rpc: unary/128/64 p50 rpcx=10.0 grpc=10.0 ratio=1.000
bench-rpc: unary/128/64 p99 rpcx=20.0 grpc=20.0 ratio=1.000
bench-rpc: unary/128/64 allocs rpcx=3.0 grpc=3.0 ratio=1.000
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
