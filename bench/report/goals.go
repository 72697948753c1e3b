package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// The peers that goals are about.
const (
	goalPeer      = "rpcx"
	inlinePeer    = "rpcx-inline"
	pollingPeer   = "rpcx-poll"
	floorCalls    = "mux-rt-go-leadbigy-rd"
	floorInline   = "mux-rt-inline-leadbigy-rd"
	floorStreams  = "stream-vtu-q-loopy"
	floorIdle     = "floor-connlazy"
	messageAllocs = 6 // of a unary call: two messages made, two decoded with a buffer each
)

// A goal is what a figure of a peer is to be, as ratios to the baseline and to
// a floor. Zero means no goal.
type goal struct {
	about     string
	cell      string
	metric    Metric
	peer      string
	want      float64 // against the baseline
	stretch   float64
	floor     string
	wantFloor float64
}

var goals = []goal{
	{"unary 128 B, 64 callers, calls/s", "unary/128/64", QPS, goalPeer, 7, 9, floorCalls, 0.95},
	{"unary 128 B, 64 callers, CPU/call", "unary/128/64", CPU, goalPeer, 0.14, 0.10, floorCalls, 1.05},
	{"unary 128 B, 1,000 callers, calls/s", "unary/128/1000", QPS, goalPeer, 13, 25, floorCalls, 0.95},
	{"unary 128 B, 1,000 callers, CPU/call", "unary/128/1000", CPU, goalPeer, 0.08, 0.04, floorCalls, 1.05},
	{"unary 128 B, 1 caller, p50", "unary/128/1", P50, goalPeer, 0.65, 0.5, floorCalls, 1.05},
	{"the same with brief polling", "unary/128/1", P50, pollingPeer, 0.25, 0.2, "", 0},
	{"unary 1 KiB, 64 callers, calls/s", "unary/1024/64", QPS, goalPeer, 6, 10, floorCalls, 0.95},
	{"unary 64 KiB, 64 callers, calls/s", "unary/65536/64", QPS, goalPeer, 2.5, 4, floorCalls, 0.95},
	{"unary 128 B, 64 callers, p99", "unary/128/64", P99, goalPeer, 1.0 / 4, 0, floorCalls, 1.2},
	{"unary 128 B, 1,000 callers, p99", "unary/128/1000", P99, goalPeer, 1.0 / 8, 0, floorCalls, 1.2},
	{"server stream 128 B, messages/s", "sstream/128/1", QPS, goalPeer, 4, 6, floorStreams, 0.7},
	{"bidi 128 B, messages/s", "bidi/128/1", QPS, goalPeer, 5, 8, floorStreams, 0.7},
	{"bidi 128 B, 16 streams, messages/s", "bidi/128/16", QPS, goalPeer, 5, 8, floorStreams, 0.7},
	{"server stream 1 MiB, messages/s", "sstream/1048576/1", QPS, goalPeer, 1.7, 2.2, floorStreams, 0.9},
	{"unary p99 beside a 4 MiB stream", "mixed/128/16", P99, goalPeer, 1.0 / 4, 0, "", 0},
	{"server memory per idle connection", "idle/128/10000", KiB, goalPeer, 1.0 / 4, 0, floorIdle, 1.3},
	{"server memory per call in flight", "slow/128/2000", KiB, goalPeer, 1.0 / 2, 0, "", 0},
	{"non-blocking handlers, 64 callers, calls/s", "unary/128/64", QPS, inlinePeer, 8.5, 10, floorInline, 0.95},
}

// PrintGoals writes a line for each goal: what was reached, what was wanted,
// and whether that is met; then what is not a ratio, and where others are ahead.
func (r *Report) PrintGoals(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "goal\tagainst %s\twant\tmet\tstretch\tmet\tagainst the floor\twant\tmet\n", r.Baseline)
	for _, g := range goals {
		value, known := r.Ratio(g.cell, g.peer, r.Baseline, g.metric)
		fmt.Fprintf(tw, "%s\t%s", g.about, column(g.metric, value, known, g.want))
		_, stretch, _ := strings.Cut(column(g.metric, value, known, g.stretch), "\t")
		value, known = r.Ratio(g.cell, g.peer, g.floor, g.metric)
		fmt.Fprintf(tw, "\t%s\t%s\n", stretch, column(g.metric, value, known && g.wantFloor > 0, g.wantFloor))
	}
	r.printAllocs(tw)
	if err := tw.Flush(); err != nil {
		return err
	}
	r.printAhead(w)
	return nil
}

// column returns a value, the goal and whether it is met.
func column(m Metric, value float64, known bool, want float64) string {
	sign := "≤"
	if m.MoreIsBetter() {
		sign = "≥"
	}
	text, met := "–", "–"
	if known {
		text = fmt.Sprintf("%.3g", value)
	}
	if want == 0 {
		return text + "\t–\t–"
	}
	if known {
		met = met01(reaches(m, value, want))
	}
	return fmt.Sprintf("%s\t%s %.3g\t%s", text, sign, want, met)
}

func met01(met bool) string {
	if met {
		return "yes"
	}
	return "no"
}

func reaches(m Metric, value, want float64) bool {
	if m.MoreIsBetter() {
		return value >= want
	}
	return value <= want
}

// printAllocs writes the goal for allocations, which is a number of its own.
func (r *Report) printAllocs(w io.Writer) {
	const want, stretch = 6, 2
	value, known := r.Median("unary/128/64", goalPeer, Allocs)
	if !known {
		return
	}
	value = max(0, value-messageAllocs)
	fmt.Fprintf(w, "allocations per unary call, beyond the messages' %d\t%.1f\t≤ %d\t%s\t≤ %d\t%s\t–\t–\t–\n",
		messageAllocs, value, want, met01(value <= want), stretch, met01(value <= stretch))
}

// headline returns the metric by which peers are compared in a cell.
func headline(cell string) Metric {
	switch {
	case strings.HasPrefix(cell, "idle/") || strings.HasPrefix(cell, "slow/"):
		return KiB
	case strings.HasPrefix(cell, "mixed/"):
		return P99
	}
	return QPS
}

// printAhead writes the cells in which another framework is ahead.
func (r *Report) printAhead(w io.Writer) {
	behind := 0
	for _, cell := range r.Cells {
		m := headline(cell)
		if _, ok := r.Median(cell, goalPeer, m); !ok {
			continue
		}
		var ahead []string
		for _, p := range r.Peers {
			if p.Floor || strings.HasPrefix(p.Name, goalPeer) {
				continue
			}
			if v, ok := r.Ratio(cell, goalPeer, p.Name, m); ok && !reaches(m, v, 1) {
				ahead = append(ahead, fmt.Sprintf("%s (%s is at %.3g of its %s)", p.Name, goalPeer, v, m))
			}
		}
		if len(ahead) > 0 {
			behind++
			fmt.Fprintf(w, "ahead of %s in %s: %s\n", goalPeer, cell, strings.Join(ahead, ", "))
		}
	}
	fmt.Fprintf(w, "bench-goals: cells in which another framework is ahead: %d of %d\n", behind, len(r.Cells))
}
