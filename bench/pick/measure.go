package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// newCaller returns what makes n calls, for one goroutine.
type newCaller func() func(n int)

// sample is what a call cost.
type sample struct {
	ns, allocs float64
}

// batch is how many calls are made between looks at the clock.
const batch = 1000

func measure(caller newCaller, goroutines int, length time.Duration) sample {
	var stop atomic.Bool
	var calls atomic.Int64
	var ready, tasks sync.WaitGroup
	begin := make(chan struct{})
	for range goroutines {
		call := caller()
		ready.Add(1)
		tasks.Go(func() {
			call(batch / 10)
			ready.Done()
			<-begin
			for !stop.Load() {
				call(batch)
				calls.Add(batch)
			}
		})
	}
	ready.Wait()
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := processorTime()
	close(begin)
	time.Sleep(length)
	stop.Store(true)
	tasks.Wait()
	spent := processorTime() - start
	runtime.ReadMemStats(&after)
	n := float64(calls.Load())
	return sample{float64(spent) / n, float64(after.Mallocs-before.Mallocs) / n}
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
