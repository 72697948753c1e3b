// Command upheaval kills, restarts and slows down servers that are processes, and
// says what calls notice:
//
//	go run ./runtime/internal/faults/cmd/upheaval
//
// The servers note which calls ran, and that is compared with what callers were
// told. The last line is "upheaval: ok", unless something is wrong.
package main

import (
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/rpcx-go/rpcx/runtime/address"
)

// mean is how long calls take: long enough for a busy machine to add little to it.
const mean = 10 * time.Millisecond

func main() {
	serveIfChild()
	log.SetFlags(0)
	for _, stage := range []func() error{reportKill, reportRolling, reportSlow} {
		if err := stage(); err != nil {
			log.Fatalf("upheaval: failed: %v", err)
		}
	}
	fmt.Println("upheaval: ok")
}

func reportKill() error {
	calls, killed, v, err := killOne(size{callers: 64, every: 40 * time.Millisecond, calls: 1000, length: 3500 * time.Millisecond, mean: mean})
	if err != nil {
		return err
	}
	fmt.Printf("kill -9 of one of three: %d calls, %d failed, %d of those say that they never ran\n", v.calls, v.failed, v.notRun)
	for _, o := range calls {
		if since := o.start.Sub(killed); o.err != nil && (since > time.Second || since+o.took < 0) {
			return fmt.Errorf("a call that began %v after the kill and took %v failed: %w", since, o.took, o.err)
		}
	}
	for i, p := range windows(calls, killed, -time.Second, 2*time.Second) {
		fmt.Printf("  from %5v on: p99 %v\n", -time.Second+time.Duration(i)*window, p.Round(10*time.Microsecond))
	}
	before, after, err := back(calls, killed)
	fmt.Printf("  p99 of 100 ms, median: %v before, %v from 1 s after it on\n", before, after)
	return err
}

func reportRolling() error {
	v, err := rolling(size{callers: 64, every: 40 * time.Millisecond, calls: 1000, length: time.Second, mean: mean})
	if err != nil {
		return err
	}
	fmt.Printf("rolling restart of three: %d calls, %d failed\n", v.calls, v.failed)
	return nil
}

// reportSlow runs both balancers in turn and takes the medians: a process that
// stands still for a moment counts as slow, too.
func reportSlow() error {
	var fairs, shares, ratios []float64
	for range 3 {
		s := size{callers: 40, every: 200 * time.Millisecond, calls: 1000, length: 8 * time.Second, mean: 3 * mean}
		fair, even, err := slow(address.RoundRobin{}, s)
		if err != nil {
			return err
		}
		share, tail, err := slow(address.P2C{}, s)
		if err != nil {
			return err
		}
		fmt.Printf("one of ten is ten times slower: round robin gives it %.1f %%, p99 %v; p2c %.2f %%, p99 %v\n",
			100*fair, even.Round(time.Millisecond), 100*share, tail.Round(time.Millisecond))
		fairs, shares, ratios = append(fairs, fair), append(shares, share), append(ratios, float64(tail)/float64(even))
	}
	fmt.Printf("  medians: round robin %.1f %%; p2c %.2f %%, its p99 %.2f of round robin's\n", 100*median(fairs), 100*median(shares), median(ratios))
	if median(shares) > 0.025 || median(ratios) > 0.5 {
		return errors.New("want at most 2.5 % and half of round robin's p99")
	}
	return nil
}
