// Pick compares what it costs to choose a server for a call, and to account for
// it, with grpc-go's balancers, which are built by their public interface over
// connections that pretend to be ready. All run in one process, in turns, so that
// they meet the same machine.
//
//	go run . -endpoints 10,100,1000 -goroutines 1,64 -rounds 5
//
// Times are processor time per call, the median of the rounds: other processes
// disturb it less than wall time, and goroutines that wait for each other's cache
// lines use it up as well. It never fails because of a figure.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench-pick:", err)
		os.Exit(1)
	}
}

// numbers is a flag with several numbers.
type numbers []int

func (n *numbers) String() string { return strings.Trim(fmt.Sprint(*n), "[]") }

func (n *numbers) Set(s string) error {
	*n = nil
	for field := range strings.SplitSeq(s, ",") {
		v, err := strconv.Atoi(field)
		if err != nil || v < 1 {
			return fmt.Errorf("%q is not a positive number", field)
		}
		*n = append(*n, v)
	}
	return nil
}

// cell is one line of the table and one column.
type cell struct {
	subject, endpoints, goroutines int
}

func run() error {
	endpoints, goroutines := numbers{10, 100, 1000}, numbers{1, 64}
	flag.Var(&endpoints, "endpoints", "`numbers` of endpoints")
	flag.Var(&goroutines, "goroutines", "`numbers` of goroutines that pick")
	rounds := flag.Int("rounds", 7, "`number` of rounds")
	length := flag.Duration("time", 50*time.Millisecond, "`time` that a cell runs in a round")
	flag.Parse()
	if flag.NArg() > 0 || *rounds < 1 {
		return fmt.Errorf("want -rounds of at least 1 and no arguments, have %q", flag.Args())
	}
	results := make(map[cell][]sample)
	for _, n := range endpoints {
		callers := make([]newCaller, len(subjects))
		for i, s := range subjects {
			var err error
			if callers[i], err = s.build(n); err != nil {
				return fmt.Errorf("%s with %d endpoints: %w", s.name, n, err)
			}
		}
		for range *rounds {
			for i := range subjects {
				for _, g := range goroutines {
					c := cell{i, n, g}
					results[c] = append(results[c], measure(callers[i], g, *length))
				}
			}
		}
	}
	table(results, endpoints, goroutines)
	last(results, endpoints[len(endpoints)-1], goroutines[0])
	return nil
}

func table(results map[cell][]sample, endpoints, goroutines numbers) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "ns/call (allocations)\t")
	for _, n := range endpoints {
		for _, g := range goroutines {
			fmt.Fprintf(w, "%d endpoints, %d goroutines\t", n, g)
		}
	}
	fmt.Fprintln(w)
	for i, s := range subjects {
		fmt.Fprintf(w, "%s\t", s.name)
		for _, n := range endpoints {
			for _, g := range goroutines {
				m := median(results[cell{i, n, g}])
				fmt.Fprintf(w, "%.1f (%.1f)\t", m.ns, m.allocs)
			}
		}
		fmt.Fprintln(w)
	}
	w.Flush()
}

// last prints the line that other programs read.
func last(results map[cell][]sample, endpoints, goroutines int) {
	fmt.Printf("%d endpoints, %d goroutines:\nbench-pick:", endpoints, goroutines)
	for i, s := range subjects {
		if s.label != "" {
			fmt.Printf(" %s=%.1f", s.label, median(results[cell{i, endpoints, goroutines}]).ns)
		}
	}
	fmt.Println(" ns")
}

func median(samples []sample) sample {
	slices.SortFunc(samples, func(a, b sample) int {
		if a.ns < b.ns {
			return -1
		}
		return 1
	})
	return samples[len(samples)/2]
}
