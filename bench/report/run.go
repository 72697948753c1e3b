// Package report turns runs into medians, ratios, tables, goals and a page.
package report

import (
	"fmt"
	"time"

	"github.com/rpcx-go/rpcx/bench/measure"
	"github.com/rpcx-go/rpcx/bench/workload"
)

// A Run is one measurement of one peer in one cell.
type Run struct {
	Round int    `json:"round"`
	Cell  string `json:"cell"`
	Peer  string `json:"peer"`
	// Figures are the values by metric, those that the cell has.
	Figures Figures `json:"figures"`
	// Details that no line shows.
	ServerCPU    float64 `json:"server_cpu_us,omitempty"`
	ClientCPU    float64 `json:"client_cpu_us,omitempty"`
	ServerAllocs float64 `json:"server_allocs,omitempty"`
	ClientAllocs float64 `json:"client_allocs,omitempty"`
	ServerBytes  float64 `json:"server_alloc_bytes,omitempty"`
	ClientBytes  float64 `json:"client_alloc_bytes,omitempty"`
	ServerWrites float64 `json:"server_writes,omitempty"` // system calls
	ClientWrites float64 `json:"client_writes,omitempty"`
	ClientKiB    float64 `json:"client_kib,omitempty"`
	P999         float64 `json:"p999_us,omitempty"`
	Messages     int64   `json:"messages,omitempty"`
	// Others is the share of the machine that went to other processes.
	Others float64 `json:"others,omitempty"`
}

// Metric names a figure.
type Metric string

// The metrics, in the order of the report. All but QPS and Beside are better
// when smaller.
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
	// KiB is resident memory of the server for each connection or call.
	KiB Metric = "kib"
	// Beside is MiB per second of the stream beside the calls of a mixed load.
	Beside Metric = "beside"
)

// Metrics are all metrics in the order of the report.
var Metrics = []Metric{QPS, CPU, P50, P99, Allocs, KiB, Beside}

// MoreIsBetter reports whether larger values are better.
func (m Metric) MoreIsBetter() bool { return m == QPS || m == Beside }

// format writes a value with the digits that mean something for its metric.
func (m Metric) format(v float64) string {
	switch m {
	case QPS, Beside:
		return fmt.Sprintf("%.0f", v)
	case CPU, KiB:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.1f", v)
}

// Figures are one run's values by metric.
type Figures map[Metric]float64

// OfCalls returns the run of a phase: what both processes spent, divided by the
// messages. In a mixed load most of that is spent for the stream beside the
// calls, so that it says nothing about them and is left out.
func OfCalls(phase workload.Phase, server, client measure.Usage) Run {
	n := float64(max(1, phase.Messages))
	r := Run{
		ServerCPU:    micros(server.CPU) / n,
		ClientCPU:    micros(client.CPU) / n,
		ServerAllocs: float64(server.Allocs) / n,
		ClientAllocs: float64(client.Allocs) / n,
		ServerBytes:  float64(server.AllocBytes) / n,
		ClientBytes:  float64(client.AllocBytes) / n,
		ServerWrites: float64(server.Writes) / n,
		ClientWrites: float64(client.Writes) / n,
		P999:         micros(phase.P999),
		Messages:     phase.Messages,
		Figures: Figures{
			QPS: float64(phase.Messages) / phase.Elapsed.Seconds(),
			P50: micros(phase.P50),
			P99: micros(phase.P99),
		},
	}
	if phase.BesideElapsed > 0 {
		r.Figures[Beside] = float64(phase.BesideBytes) / (1 << 20) / phase.BesideElapsed.Seconds()
		return r
	}
	r.Figures[CPU] = r.ServerCPU + r.ClientCPU
	r.Figures[Allocs] = r.ServerAllocs + r.ClientAllocs
	return r
}

// OfMemory returns the run in which n connections or calls took that many
// bytes of the server and the client.
func OfMemory(n int, server, client int64) Run {
	each := func(bytes int64) float64 { return float64(bytes) / float64(n) / 1024 }
	return Run{Figures: Figures{KiB: each(server)}, ClientKiB: each(client)}
}

// String returns the run as a line.
func (r Run) String() string {
	line := fmt.Sprintf("%-18s %-26s", r.Cell, r.Peer)
	if v, ok := r.Figures[KiB]; ok {
		return line + fmt.Sprintf(" %8.2f KiB (client %.2f)", v, r.ClientKiB)
	}
	line += fmt.Sprintf(" %9.0f/s  cpu %7.2f µs (server %.2f)  p50 %.1f  p99 %.1f µs  allocs %.1f+%.1f (%.0f+%.0f B)  writes %.3f+%.3f",
		r.Figures[QPS], r.ServerCPU+r.ClientCPU, r.ServerCPU, r.Figures[P50], r.Figures[P99], r.ServerAllocs, r.ClientAllocs, r.ServerBytes, r.ClientBytes, r.ServerWrites, r.ClientWrites)
	if v, ok := r.Figures[Beside]; ok {
		line += fmt.Sprintf("  beside %.0f MiB/s", v)
	}
	return line + fmt.Sprintf("  others %.0f%%", 100*r.Others)
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
