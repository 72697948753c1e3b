// Package measure takes the figures of a run: latencies, and what a process
// and the machine spent.
package measure

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Usage is what a process has spent since it started. The fields of two
// values are subtracted to get what it spent in between.
type Usage struct {
	// CPU is user and system time.
	CPU time.Duration `json:"cpu_ns"`
	// Allocs and AllocBytes count heap allocations.
	Allocs     uint64 `json:"allocs"`
	AllocBytes uint64 `json:"alloc_bytes"`
	// Switches counts context switches that the process asked for by waiting.
	Switches int64 `json:"switches"`
	// Reads and Writes count system calls, where the system tells.
	Reads  int64 `json:"reads"`
	Writes int64 `json:"writes"`
}

// Now returns what this process has spent so far.
func Now() Usage {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	var ru syscall.Rusage
	// It fails only for a bad argument.
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &ru)
	reads, writes := systemCalls()
	return Usage{
		Reads: reads, Writes: writes,
		CPU:        time.Duration(ru.Utime.Nano() + ru.Stime.Nano()),
		Allocs:     mem.Mallocs,
		AllocBytes: mem.TotalAlloc,
		Switches:   ru.Nvcsw,
	}
}

// systemCalls returns how often this process has called read and write and
// their kin; zeros where the system does not tell.
func systemCalls() (reads, writes int64) {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(text)) {
		name, count, _ := strings.Cut(line, ":")
		n, err := strconv.ParseInt(strings.TrimSpace(count), 10, 64)
		switch {
		case err != nil:
		case name == "syscr":
			reads = n
		case name == "syscw":
			writes = n
		}
	}
	return reads, writes
}

// Since returns what was spent between earlier and u.
func (u Usage) Since(earlier Usage) Usage {
	return Usage{
		CPU:        u.CPU - earlier.CPU,
		Allocs:     u.Allocs - earlier.Allocs,
		AllocBytes: u.AllocBytes - earlier.AllocBytes,
		Switches:   u.Switches - earlier.Switches,
		Reads:      u.Reads - earlier.Reads,
		Writes:     u.Writes - earlier.Writes,
	}
}
