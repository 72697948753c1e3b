package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// printCosts prints what each generator costs and, as the last line, the
// ratios of rpcx to vtprotobuf.
func printCosts(w io.Writer, generators []generator, costs []cost, files, messages, compiled int) {
	fmt.Fprintf(w, "Generated: %d files, %d messages. Compiled with protoc-gen-go's code and linked: %d files, %d messages.\n",
		files, files*messages, compiled, compiled*messages)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "\ttext MB\tlines\tgenerate cpu\twall\tcompile cpu\twall\tpeak MB\tbinary MB\tgrowth MB\t")
	const megabyte = 1e6
	for i, g := range generators {
		c := costs[i]
		fmt.Fprintf(tw, "%s\t%.1f\t%d\t%v\t%v\t%v\t%v\t%d\t%.2f\t%.2f\t\n", g.name,
			float64(c.text)/megabyte, c.lines,
			round(c.generate.cpu), round(c.generate.wall), round(c.compile.cpu), round(c.compile.wall),
			c.compile.memory/1024, float64(c.binary)/megabyte, float64(c.binary-costs[base].binary)/megabyte)
	}
	tw.Flush()
	fmt.Fprintln(w)
	fmt.Fprintln(w, "bench-gen:", ratios(costs))
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }

// ratios returns rpcx to vtprotobuf, each without what protoc-gen-go costs.
func ratios(costs []cost) string {
	of := func(get func(cost) float64) float64 { return get(costs[rpcx]) / get(costs[vt]) }
	return fmt.Sprintf("text=%.2f generate=%.2f compile=%.2f binary=%.2f",
		of(func(c cost) float64 { return float64(c.text) }),
		of(func(c cost) float64 { return float64(c.generate.cpu) }),
		of(func(c cost) float64 { return float64(c.compile.cpu - costs[base].compile.cpu) }),
		of(func(c cost) float64 { return float64(c.binary - costs[base].binary) }))
}
