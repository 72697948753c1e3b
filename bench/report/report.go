// Package report turns the runs of a benchmark into medians, ratios and lines.
package report

import (
	"slices"

	"github.com/rpcx-go/rpcx/bench/workload"
)

// A Run is one measurement of one peer in one cell.
type Run struct {
	Round int    `json:"round"`
	Cell  string `json:"cell"`
	Peer  string `json:"peer"`
	// Figures are the values by metric.
	Figures Figures `json:"figures"`
	// Details that no line shows.
	ServerCPU    float64 `json:"server_cpu_us"`
	ClientCPU    float64 `json:"client_cpu_us"`
	ServerAllocs float64 `json:"server_allocs"`
	ClientAllocs float64 `json:"client_allocs"`
	P999         float64 `json:"p999_us"`
	Messages     int64   `json:"messages"`
	// Others is the share of the machine that went to other processes.
	Others float64 `json:"others"`
}

// Metric names a figure.
type Metric string

// The metrics, in the order of the report. All but QPS are better when smaller.
const (
	// QPS is calls, or streamed messages, per second.
	QPS Metric = "qps"
	// CPU is microseconds of both processes for each of them.
	CPU Metric = "cpu"
	// P50 and P99 are microseconds that a call, or a whole stream, took.
	P50 Metric = "p50"
	P99 Metric = "p99"
	// Allocs is allocations of both processes for each call or message.
	Allocs Metric = "allocs"
)

// Metrics are all metrics in the order of the report.
var Metrics = []Metric{QPS, CPU, P50, P99, Allocs}

// Figures are one run's values by metric.
type Figures map[Metric]float64

// A Figure is a metric of a peer in a cell over all rounds.
type Figure struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	// Ratio is the median of the rounds' ratios to the baseline. It is zero
	// for the baseline itself and where a round lacks it.
	Ratio float64 `json:"ratio,omitempty"`
}

// A Row is all figures of a peer in a cell.
type Row struct {
	Cell    string            `json:"cell"`
	Peer    string            `json:"peer"`
	Figures map[Metric]Figure `json:"figures"`
}

// Summarize returns a row for each cell and peer in the order of plan. Ratios
// are taken within a round, where both peers met the same machine, and only
// then is their median taken.
func Summarize(runs []Run, cells []workload.Cell, peers []string, baseline string) []Row {
	var rows []Row
	for _, cell := range cells {
		base := roundsOf(runs, cell.String(), baseline)
		for _, peer := range peers {
			rounds := roundsOf(runs, cell.String(), peer)
			if len(rounds) == 0 {
				continue
			}
			row := Row{Cell: cell.String(), Peer: peer, Figures: map[Metric]Figure{}}
			for _, m := range Metrics {
				row.Figures[m] = figureOf(rounds, base, m, peer != baseline)
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// roundsOf returns the figures of a peer in a cell by round.
func roundsOf(runs []Run, cell, peer string) map[int]Figures {
	rounds := map[int]Figures{}
	for _, r := range runs {
		if r.Cell == cell && r.Peer == peer {
			rounds[r.Round] = r.Figures
		}
	}
	return rounds
}

func figureOf(rounds, base map[int]Figures, m Metric, compare bool) Figure {
	var values, ratios []float64
	for round, figures := range rounds {
		values = append(values, figures[m])
		if b := base[round][m]; compare && b > 0 {
			ratios = append(ratios, figures[m]/b)
		}
	}
	return Figure{
		Median: median(values),
		Min:    slices.Min(values),
		Max:    slices.Max(values),
		Ratio:  median(ratios),
	}
}

// median returns the middle value, the mean of the middle two, or zero.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}
