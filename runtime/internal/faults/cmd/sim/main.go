// Command sim runs random schedules of calls over a bad network in memory and
// says how many promises were broken:
//
//	go run ./runtime/internal/faults/cmd/sim -schedules 10000 -seed 1
//
// A schedule that fails prints its seed and what happened in it; -schedules 1
// -seed N runs it again.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/faults/sim"
)

func main() {
	testing.Init() // bubbles belong to tests
	schedules := flag.Uint64("schedules", 1000, "how many schedules run")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()>>10), "seed of the first schedule; each further one has the next")
	parallel := flag.Int("workers", runtime.GOMAXPROCS(0), "how many run at a time")
	most := flag.Int64("most", 3, "how many failed schedules are printed before it stops")
	flag.Parse()
	// The default of one test at a time would also bound ours.
	if err := flag.Set("test.parallel", fmt.Sprint(*parallel)); err != nil {
		panic(err)
	}

	s := &series{first: *seed, count: *schedules, most: *most}
	testing.Main(func(string, string) (bool, error) { return true, nil },
		[]testing.InternalTest{{Name: "sim", F: func(t *testing.T) { s.run(t, *parallel) }}}, nil, nil)
}

// series is a number of schedules that workers share.
type series struct {
	first, count uint64
	most         int64

	next, ran   atomic.Uint64
	calls, good atomic.Int64
	failed      atomic.Int64
	violations  atomic.Int64
	printing    sync.Mutex
}

// run runs all schedules, and ends the program: the last line is ours, not that
// of package testing.
func (s *series) run(t *testing.T, workers int) {
	started := time.Now()
	t.Run("all", func(t *testing.T) {
		for i := range workers {
			t.Run(fmt.Sprint(i), s.work)
		}
	})
	fmt.Printf("sim: seed %d, %d calls, %d of them succeeded, %v\n", s.first, s.calls.Load(), s.good.Load(), time.Since(started).Round(time.Second))
	fmt.Printf("sim: schedules=%d violations=%d\n", s.ran.Load(), s.violations.Load())
	if t.Failed() || s.violations.Load() > 0 || s.ran.Load() < s.count {
		os.Exit(1)
	}
	os.Exit(0)
}

func (s *series) work(t *testing.T) {
	t.Parallel()
	for s.failed.Load() < s.most {
		n := s.next.Add(1) - 1
		if n >= s.count {
			return
		}
		res := sim.Run(t, s.first+n, nil)
		s.ran.Add(1)
		s.calls.Add(int64(res.Calls))
		s.good.Add(int64(res.Good))
		if len(res.Wrong) > 0 {
			s.failed.Add(1)
			s.violations.Add(int64(len(res.Wrong)))
			s.printing.Lock()
			fmt.Println(res)
			s.printing.Unlock()
		}
	}
}
