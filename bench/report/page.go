package report

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// What stands between these on a page is written by WritePage.
const (
	pageBegin = "<!-- The part up to the next such line is written by make bench-rpc. -->"
	pageEnd   = "<!-- The part written by make bench-rpc ends here. -->"
)

// WritePage replaces the part of a page in Markdown that is about the benchmark,
// and writes its chart, in SVG.
func (r *Report) WritePage(page, chart string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, ok1 := strings.Cut(string(text), pageBegin+"\n")
	_, after, ok2 := strings.Cut(rest, pageEnd+"\n")
	if !ok1 || !ok2 {
		return fmt.Errorf("%s: it does not have the two lines that the benchmark writes between", page)
	}
	part := r.pagePart()
	if chart != "" {
		if err := os.WriteFile(chart, []byte(r.chart()), 0o644); err != nil {
			return err
		}
		part = fmt.Sprintf("\n![How many times as fast as %s](%s)\n", r.Baseline, filepath.Base(chart)) + part
	}
	return os.WriteFile(page, []byte(before+pageBegin+"\n"+part+"\n"+pageEnd+"\n"+after), 0o644)
}

// labels are the headings of floors; those that never share a cell share one.
var labels = map[string]string{
	floorCalls:               "floor",
	floorStreams:             "floor",
	floorIdle:                "floor",
	floorInline:              "floor, inline",
	"mux-rt-go-leadbigy-rdb": "floor, polling",
}

func label(peer string) string {
	if l, ok := labels[peer]; ok {
		return l
	}
	return peer
}

// pagePart returns the tables in Markdown.
func (r *Report) pagePart() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nMedians of %d rounds of %g s; %d processors, of which other processes took %.0f %%; %s, %s.\n",
		r.Rounds, r.Seconds, r.CPUs, 100*r.others(), r.Go, r.Platform)
	for _, t := range []struct {
		title string
		show  Metric
	}{
		{"Calls, or messages of streams, per second", QPS},
		{"Processor time of both processes, µs per call or message", CPU},
		{"p50, µs", P50},
		{"p99, µs", P99},
		{"Allocations of both processes, per call or message", Allocs},
		{"The stream of 4 MiB messages beside the calls, MiB per second", Beside},
		{"Resident memory of the server, KiB per connection or call in flight", KiB},
	} {
		r.pageTable(&b, t.title, t.show)
	}
	return b.String()
}

// others returns the mean share of the machine that went to other processes.
func (r *Report) others() float64 {
	sum, n := 0.0, 0
	for _, run := range r.Runs {
		if _, ok := run.Figures[QPS]; ok {
			sum += run.Others
			n++
		}
	}
	return sum / float64(max(1, n))
}

// pageTable writes a table of a metric: a row per cell, a column per peer.
func (r *Report) pageTable(b *strings.Builder, title string, m Metric) {
	used := map[string]bool{}
	cells := map[string]map[string]string{}
	for _, row := range r.Summary {
		f, ok := row.Figures[m]
		// How long a whole stream takes says nothing beside the messages per second.
		if !ok || (m == P50 || m == P99) && isStream(row.Cell) {
			continue
		}
		used[label(row.Peer)] = true
		if cells[row.Cell] == nil {
			cells[row.Cell] = map[string]string{}
		}
		cells[row.Cell][label(row.Peer)] = m.pageFormat(f.Median)
	}
	if len(cells) == 0 {
		return
	}
	var columns []string
	for _, p := range r.Peers {
		if l := label(p.Name); used[l] && !slices.Contains(columns, l) {
			columns = append(columns, l)
		}
	}
	fmt.Fprintf(b, "\n| %s | %s |\n|---|%s\n", title, strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
	for _, cell := range r.Cells {
		if cells[cell] == nil {
			continue
		}
		fmt.Fprintf(b, "| %s |", cell)
		for _, c := range columns {
			fmt.Fprintf(b, " %s |", cells[cell][c])
		}
		fmt.Fprintln(b)
	}
}

func isStream(cell string) bool {
	return strings.HasPrefix(cell, "sstream/") || strings.HasPrefix(cell, "bidi/")
}

// pageFormat writes a value for readers: with three digits, and commas.
func (m Metric) pageFormat(v float64) string {
	if v < 100 {
		return fmt.Sprintf("%.3g", v)
	}
	digits := fmt.Sprintf("%.0f", v)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}
