package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
)

// sample is what one run of a variant cost per operation.
type sample struct {
	wall, cpu     float64 // nanoseconds
	bytes, allocs float64
}

// clocks are the times that ratios can be of.
var clocks = map[string]func(sample) float64{
	"wall": func(s sample) float64 { return s.wall },
	"cpu":  func(s sample) float64 { return s.cpu },
}

// result holds the samples of a variant, one for each round.
type result struct {
	shape *shape
	variant
	// n is how many operations a sample is of.
	n       int
	samples []sample
}

// measure runs every variant of the shapes for about benchtime in each of
// count rounds. The variants of an operation run directly after each other.
func measure(shapes []*shape, count int, benchtime time.Duration) ([]*result, error) {
	var results []*result
	for _, s := range shapes {
		for _, op := range []string{opMarshal, opMarshalAlloc, opUnmarshal} {
			var group []*result
			for _, v := range s.variants {
				if v.op == op {
					group = append(group, &result{shape: s, variant: v})
				}
			}
			for _, r := range group {
				if err := r.calibrate(benchtime); err != nil {
					return nil, err
				}
			}
			for round := range count {
				// Who starts changes, so that none always follows the same other.
				for i := range group {
					if err := group[(i+round)%len(group)].sample(); err != nil {
						return nil, err
					}
				}
			}
			results = append(results, group...)
		}
	}
	return results, nil
}

// calibrate finds out how many operations take about benchtime. It also warms up.
func (r *result) calibrate(benchtime time.Duration) error {
	for n := 1; ; n *= 2 {
		start := cpuTime()
		if err := r.run(n); err != nil {
			return r.failed(err)
		}
		if took := cpuTime() - start; took >= benchtime/4 {
			r.n = max(1, int(float64(n)*float64(benchtime)/float64(took)))
			return nil
		}
	}
}

// sample runs the variant once more.
func (r *result) sample() error {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu, start := cpuTime(), time.Now()
	err := r.run(r.n)
	wall, cpu := time.Since(start), cpuTime()-cpu
	runtime.ReadMemStats(&after)
	if err != nil {
		return r.failed(err)
	}
	n := float64(r.n)
	r.samples = append(r.samples, sample{
		wall:   float64(wall) / n,
		cpu:    float64(cpu) / n,
		bytes:  float64((after.TotalAlloc - before.TotalAlloc) / uint64(r.n)),
		allocs: float64((after.Mallocs - before.Mallocs) / uint64(r.n)),
	})
	return nil
}

func (r *result) failed(err error) error {
	return fmt.Errorf("%s of %s by %s: %w", r.op, r.shape.name, r.name, err)
}

// cpuTime returns the processor time that this process has spent.
func cpuTime() time.Duration {
	var ru syscall.Rusage
	// It fails only for a bad argument.
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &ru)
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

// writeBenchmarks writes the results in Go's benchmark format, for benchstat.
func writeBenchmarks(name string, results []*result) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(file)
	fmt.Fprintf(w, "goos: %s\ngoarch: %s\n", runtime.GOOS, runtime.GOARCH)
	for _, r := range results {
		for _, s := range r.samples {
			fmt.Fprintf(w, "Benchmark%s/shape=%s/codec=%s-%d\t%d\t%.2f ns/op\t%.2f cpu-ns/op\t%.0f B/op\t%.0f allocs/op\n",
				r.op, r.shape.name, r.name, runtime.GOMAXPROCS(0), r.n, s.wall, s.cpu, s.bytes, s.allocs)
		}
	}
	if err := w.Flush(); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}
