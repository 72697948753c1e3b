package idle

import (
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"

	"github.com/rpcx-go/rpcx/bench/measure"
)

// memory is what a process takes.
type memory struct {
	Conns      int   // connections that are open
	RSS        int64 // resident bytes
	Heap       int64 // bytes of objects in use
	Objects    int64
	Stacks     int64 // bytes of goroutines' stacks
	Goroutines int64
	Allocs     []allocation
}

// allocation is what one package has allocated that is in use.
type allocation struct {
	Name           string
	Bytes, Objects int64
}

// look returns this process's memory after collections, which without it would
// come within two minutes, and with what they freed given back to the system.
func look(profile string, allocs bool) (memory, error) {
	measure.Settle()
	rss, err := measure.Resident()
	if err != nil {
		return memory{}, err
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	m := memory{RSS: rss, Heap: int64(stats.HeapAlloc), Objects: int64(stats.HeapObjects), Stacks: int64(stats.StackInuse), Goroutines: int64(runtime.NumGoroutine())}
	if allocs {
		m.Allocs = allocations()
	}
	if profile != "" {
		err = writeProfiles(profile)
	}
	return m, err
}

// allocations returns what is in use, by the package whose function asked for
// it, the largest first. What crypto/tls had other packages allocate is its own.
func allocations() []allocation {
	n, _ := runtime.MemProfile(nil, false)
	records := make([]runtime.MemProfileRecord, n+1000)
	n, ok := runtime.MemProfile(records, false)
	if !ok {
		return nil
	}
	byName := map[string]allocation{}
	for _, r := range records[:n] {
		name := owner(r.Stack())
		a := byName[name]
		a.Bytes, a.Objects = a.Bytes+r.InUseBytes(), a.Objects+r.InUseObjects()
		byName[name] = a
	}
	var all []allocation
	for name, a := range byName {
		a.Name = name
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b allocation) int { return int(b.Bytes - a.Bytes) })
	return all
}

// owner returns the package that an allocation with the given stack belongs to.
func owner(stack []uintptr) string {
	frames := runtime.CallersFrames(stack)
	first := ""
	for {
		f, more := frames.Next()
		pkg := packageOf(f.Function)
		if pkg == "crypto/tls" {
			return pkg
		}
		if first == "" && pkg != "runtime" && pkg != "" {
			first = pkg
		}
		if !more {
			break
		}
	}
	if first == "" {
		return "runtime"
	}
	return first
}

// packageOf returns the import path in a function's name.
func packageOf(function string) string {
	slash := strings.LastIndexByte(function, '/') + 1
	path, _, _ := strings.Cut(function[slash:], ".")
	return function[:slash] + path
}

// writeProfiles writes profiles to files whose names begin with prefix.
func writeProfiles(prefix string) error {
	for _, name := range []string{"heap", "goroutine"} {
		f, err := os.Create(prefix + "-" + name + ".pprof")
		if err != nil {
			return err
		}
		err = pprof.Lookup(name).WriteTo(f, 0)
		if closed := f.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return err
		}
	}
	return nil
}
