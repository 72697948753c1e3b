package report

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// PrintTable writes the medians with their spread, (max-min)/median.
func PrintTable(w io.Writer, rows []Row) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(tw, "cell\tpeer\t")
	for _, m := range Metrics {
		fmt.Fprintf(tw, "%s\tspread\t", m)
	}
	fmt.Fprintln(tw)
	for _, row := range rows {
		fmt.Fprintf(tw, "%s\t%s\t", row.Cell, row.Peer)
		for _, m := range Metrics {
			f := row.Figures[m]
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
func PrintLines(w io.Writer, rows []Row, baseline string) {
	base := map[string]Row{}
	for _, row := range rows {
		if row.Peer == baseline {
			base[row.Cell] = row
		}
	}
	for _, row := range rows {
		b, ok := base[row.Cell]
		if !ok || row.Peer == baseline {
			continue
		}
		for _, m := range Metrics {
			fmt.Fprintf(w, "bench-rpc: %s %s %s=%s %s=%s ratio=%.3f\n", row.Cell, m,
				row.Peer, m.format(row.Figures[m].Median),
				baseline, m.format(b.Figures[m].Median), row.Figures[m].Ratio)
		}
	}
}

// format writes a value with the digits that mean something for its metric.
func (m Metric) format(v float64) string {
	switch m {
	case QPS:
		return fmt.Sprintf("%.0f", v)
	case CPU:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.1f", v)
}
