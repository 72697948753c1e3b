package report

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// PrintTable writes the medians with their spread, (max-min)/median.
func (r *Report) PrintTable(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(tw, "cell\tpeer\t")
	for _, m := range Metrics {
		fmt.Fprintf(tw, "%s\tspread\t", m)
	}
	fmt.Fprintln(tw)
	for _, row := range r.Summary {
		fmt.Fprintf(tw, "%s\t%s\t", row.Cell, row.Peer)
		for _, m := range Metrics {
			f, ok := row.Figures[m]
			if !ok {
				fmt.Fprint(tw, "–\t–\t")
				continue
			}
			spread := 0.0
			if f.Median > 0 {
				spread = 100 * (f.Max - f.Min) / f.Median
			}
			fmt.Fprintf(tw, "%s\t%.0f%%\t", m.format(f.Median), spread)
		}
		fmt.Fprintln(tw)
	}
	return tw.Flush()
}

// PrintLines writes a line for each figure that can be compared with the baseline's:
//
//	bench-rpc: unary/128/64 qps rpcx=100000 grpc=50000 ratio=2.000
func (r *Report) PrintLines(w io.Writer) {
	base := map[string]Row{}
	for _, row := range r.Summary {
		if row.Peer == r.Baseline {
			base[row.Cell] = row
		}
	}
	for _, row := range r.Summary {
		b, ok := base[row.Cell]
		if !ok || row.Peer == r.Baseline {
			continue
		}
		for _, m := range Metrics {
			f, ok := row.Figures[m]
			if !ok {
				continue
			}
			fmt.Fprintf(w, "bench-rpc: %s %s %s=%s %s=%s ratio=%.3f\n", row.Cell, m,
				row.Peer, m.format(f.Median), r.Baseline, m.format(b.Figures[m].Median), f.Ratio)
		}
	}
}
