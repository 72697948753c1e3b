package difftest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Main runs a program that compares the messages of all types that are linked
// in. Its last line is
//
//	difftest: types=N messages=N inputs=N failed=N
func Main() {
	each := flag.Int("each", 10, "compare so many random `messages` of each type")
	inputs := flag.Int("inputs", 0, "compare so many random `inputs`")
	seed := flag.Uint64("seed", 1, "begin with this `seed`")
	flag.Parse()
	types := Types()
	errs := RoundTrip(types, *each, *seed)
	start := time.Now()
	ran, err := manyInputs(types, *inputs, *seed)
	if err != nil {
		errs = append(errs, err)
	}
	if ran > 0 {
		took := time.Since(start)
		fmt.Printf("difftest: %d inputs in %.1f s, %.0f a second\n", ran, took.Seconds(), float64(ran)/took.Seconds())
	}
	for _, err := range errs {
		fmt.Println("difftest:", err)
	}
	fmt.Printf("difftest: types=%d messages=%d inputs=%d failed=%d\n", len(types), len(types)**each, ran, len(errs))
	if len(errs) > 0 {
		os.Exit(1)
	}
}

// perSeed is how many inputs are made from a seed, so that one that fails is
// found again in a short time.
const perSeed = 20_000

// manyInputs compares n inputs, from the given seed on, on all processors.
func manyInputs(types []protoreflect.MessageType, n int, seed uint64) (ran int, err error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	var done, next atomic.Int64
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for {
				i := int(next.Add(1) - 1)
				count := min(perSeed, n-i*perSeed)
				if count <= 0 {
					return
				}
				if err := Inputs(ctx, types, count, seed+uint64(i)); err != nil {
					cancel(err) // the first one counts
					return
				}
				done.Add(int64(count))
			}
		})
	}
	all.Wait()
	err = context.Cause(ctx)
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return int(done.Load()), err
}
