package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// comparison is a figure of the summary: how many times as fast as a variant of
// vtprotobuf one of rpcx is.
type comparison struct{ name, op, rpcx, vt string }

var speeds = []comparison{
	{"marshal", opMarshal, rpcx, vt},
	{"unmarshal", opUnmarshal, rpcx, vt},
	{"unmarshal-unsafe", opUnmarshal, rpcx, vtUnsafe},
	{"unmarshal-copy", opUnmarshal, rpcxCopy, vt},
	{"marshal-alloc", opMarshalAlloc, rpcx, vt},
}

// counts are compared likewise, by allocations of rpcx for each one of
// vtprotobuf. The name allocs belongs to the strictest of them.
var counts = []comparison{
	{"allocs", opUnmarshal, rpcx, vtUnsafe},
	{"allocs-copy", opUnmarshal, rpcxCopy, vt},
	{"allocs-marshal", opMarshal, rpcx, vt},
	{"allocs-marshal-alloc", opMarshalAlloc, rpcx, vt},
}

// row is what is said of a shape.
type row struct {
	shape  *shape
	ratios map[string]float64
	// std is how many times as fast as protobuf-go rpcx marshals and unmarshals.
	stdMarshal, stdUnmarshal float64
}

// summarize compares the results of each shape. cost says which time counts.
func summarize(shapes []*shape, results []*result, cost func(sample) float64) []row {
	var rows []row
	for _, s := range shapes {
		find := func(op, name string) []sample {
			for _, r := range results {
				if r.shape == s && r.op == op && r.name == name {
					return r.samples
				}
			}
			return nil
		}
		r := row{shape: s, ratios: map[string]float64{}}
		for _, c := range speeds {
			// A shape that vtprotobuf does not know has no such ratio.
			if base := find(c.op, c.vt); base != nil {
				r.ratios[c.name] = medianRatio(base, find(c.op, c.rpcx), cost)
			}
		}
		for _, c := range counts {
			if base := find(c.op, c.vt); base != nil {
				// The message itself, which the caller allocates, counts as well.
				r.ratios[c.name] = medianRatio(find(c.op, c.rpcx), base, func(s sample) float64 { return s.allocs })
			}
		}
		r.stdMarshal = medianRatio(find(opMarshal, std), find(opMarshal, rpcx), cost)
		r.stdUnmarshal = medianRatio(find(opUnmarshal, std), find(opUnmarshal, rpcx), cost)
		rows = append(rows, r)
	}
	return rows
}

// medianRatio returns the median of the rounds' ratios of a to b. Nothing to
// nothing is 1.
func medianRatio(a, b []sample, cost func(sample) float64) float64 {
	ratios := make([]float64, len(a))
	for i := range a {
		x, y := cost(a[i]), cost(b[i])
		ratios[i] = x / y
		if x == y {
			ratios[i] = 1
		}
	}
	slices.Sort(ratios)
	n := len(ratios)
	return (ratios[(n-1)/2] + ratios[n/2]) / 2
}

// geomean returns the geometric mean of a ratio over the rows that have it and
// are not extra, NaN if there are none.
func geomean(rows []row, name string) float64 {
	sum, n := 0.0, 0
	for _, r := range rows {
		if v, ok := r.ratios[name]; ok && !r.shape.extra {
			sum += math.Log(v)
			n++
		}
	}
	return math.Exp(sum / float64(n))
}

// printSummary prints a table with the ratios of each shape, the shapes where
// rpcx loses, and the geometric means.
func printSummary(w io.Writer, rows []row) error {
	fmt.Fprintln(w, "Times as fast as vtprotobuf, allocations per one of vtprotobuf, times as fast as protobuf-go:")
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(tw, "shape\tbytes\t")
	for _, c := range slices.Concat(speeds, counts) {
		fmt.Fprintf(tw, "%s\t", c.name)
	}
	fmt.Fprintln(tw, "std marshal\tstd unmarshal\t")
	for _, r := range rows {
		fmt.Fprintf(tw, "%s\t%d\t", r.shape.name, len(r.shape.data))
		for _, c := range slices.Concat(speeds, counts) {
			if v, ok := r.ratios[c.name]; ok {
				fmt.Fprintf(tw, "%.2f\t", v)
			} else {
				fmt.Fprint(tw, "–\t")
			}
		}
		fmt.Fprintf(tw, "%.2f\t%.2f\t\n", r.stdMarshal, r.stdUnmarshal)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, loss := range losses(rows) {
		fmt.Fprintln(w, "bench-codec:", loss)
	}
	mean := func(name string) string { return fmt.Sprintf("%s=%.2f", name, geomean(rows, name)) }
	fmt.Fprintln(w, "bench-codec: geomean", mean("unmarshal-copy"), mean("marshal-alloc"),
		mean("allocs-copy"), mean("allocs-marshal-alloc"))
	_, err := fmt.Fprintln(w, "bench-codec: geomean", mean("marshal"), mean("unmarshal"),
		mean("unmarshal-unsafe"), mean("allocs"))
	return err
}

// losses lists what rpcx does slower than vtprotobuf, or with more allocations.
func losses(rows []row) []string {
	var lines []string
	for _, r := range rows {
		var slower, more []string
		for _, c := range speeds {
			if v, ok := r.ratios[c.name]; ok && v < 1 {
				slower = append(slower, fmt.Sprintf("%s=%.2f", c.name, v))
			}
		}
		for _, c := range counts {
			if v, ok := r.ratios[c.name]; ok && v > 1 {
				more = append(more, fmt.Sprintf("%s=%.2f", c.name, v))
			}
		}
		if len(slower) > 0 {
			lines = append(lines, fmt.Sprintf("SLOWER than vtprotobuf: %s %s", r.shape.name, strings.Join(slower, " ")))
		}
		if len(more) > 0 {
			lines = append(lines, fmt.Sprintf("MORE allocations than vtprotobuf: %s %s", r.shape.name, strings.Join(more, " ")))
		}
	}
	return lines
}
