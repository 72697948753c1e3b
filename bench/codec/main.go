// Codec times the codecs of rpcx, vtprotobuf and protobuf-go on the same
// messages: the variants run next to each other in short rounds, so that all
// meet the same machine.
//
//	go run . -shapes small,nested -count 10 -o codec.txt
//
// The file is for benchstat. What is printed are ratios of rpcx to vtprotobuf,
// each the median of the rounds' ratios. It fails if a codec fails, never
// because of a figure.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench-codec:", err)
		os.Exit(1)
	}
}

func run() error {
	var (
		names     = flag.String("shapes", "", "`names` of the shapes, or all of them")
		count     = flag.Int("count", 20, "`number` of rounds")
		benchtime = flag.Duration("benchtime", 20*time.Millisecond, "processor `time` that a variant runs in a round")
		cpu       = flag.Int("cpu", 1, "`GOMAXPROCS`; with one, collecting garbage counts in the time")
		clock     = flag.String("clock", "cpu", "the `time` that ratios are of: wall, or cpu, which other processes disturb less")
		output    = flag.String("o", "", "`file` for the results in Go's benchmark format")
	)
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("%q is no flag", flag.Arg(0))
	}
	shapes, err := chooseShapes(*names)
	if err != nil {
		return err
	}
	cost, ok := clocks[*clock]
	if !ok {
		return fmt.Errorf("there is no clock %q", *clock)
	}
	if *count < 1 || *benchtime <= 0 || *cpu < 1 {
		return fmt.Errorf("-count, -benchtime and -cpu must be positive")
	}
	runtime.GOMAXPROCS(*cpu)
	results, err := measure(shapes, *count, *benchtime)
	if err != nil {
		return err
	}
	if *output != "" {
		if err := writeBenchmarks(*output, results); err != nil {
			return err
		}
	}
	return printSummary(os.Stdout, summarize(shapes, results, cost))
}
