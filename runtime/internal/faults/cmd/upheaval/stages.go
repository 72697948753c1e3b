package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
)

// size is how much load a stage has.
type size struct {
	callers int
	every   time.Duration // see newLoad
	calls   int           // at least, before and after what happens
	length  time.Duration // likewise
	mean    time.Duration // that a call takes, but for slow servers
}

// errs makes an error of what is wrong.
func (v *verdict) errs() error {
	if len(v.wrong) == 0 {
		return nil
	}
	return errors.New(strings.Join(v.wrong[:min(len(v.wrong), 10)], "\n"))
}

// killOne kills one of three servers under load, and returns the calls and when
// that was.
func killOne(s size) (calls []outcome, killed time.Time, v verdict, err error) {
	f, err := newFleet(3, s.mean, nil)
	if err != nil {
		return nil, killed, v, err
	}
	defer f.stop()
	l, err := newLoad(f.target(), s.callers, s.every)
	if err != nil {
		return nil, killed, v, err
	}
	for _, p := range f.servers {
		l.answers(p.cfg.Name, 1)
	}
	l.pass(s.calls, s.length)
	killed = time.Now()
	f.servers[1].kill()
	l.pass(s.calls, s.length)
	calls = l.end()
	ran, err := f.journals()
	v = judge(calls, ran, f.servers[1].cfg.Addr)
	return calls, killed, v, errors.Join(err, v.errs())
}

// rolling restarts three servers under load, one after the other.
func rolling(s size) (v verdict, err error) {
	f, err := newFleet(3, s.mean, nil)
	if err != nil {
		return v, err
	}
	defer f.stop()
	l, err := newLoad(f.target(), s.callers, s.every)
	if err != nil {
		return v, err
	}
	for i := range f.servers {
		l.pass(s.calls, s.length)
		if err = f.restart(i); err != nil {
			l.end()
			return v, err
		}
		l.answers(f.servers[i].cfg.Name, 10)
	}
	l.pass(s.calls, s.length)
	calls := l.end()
	ran, err := f.journals()
	v = judge(calls, ran, "")
	return v, errors.Join(err, v.errs())
}

// slow has one of ten servers ten times slower than the others, and returns the
// share of the calls that it gets, and the 99th percentile of the latencies of all.
func slow(b address.Balancer, s size) (share float64, tail time.Duration, err error) {
	f, err := newFleet(10, s.mean, func(i int) int {
		if i == 9 {
			return 10
		}
		return 1
	})
	if err != nil {
		return 0, 0, err
	}
	defer f.stop()
	l, err := newLoad(f.target(), s.callers, s.every, rpcx.WithBalancer(b))
	if err != nil {
		return 0, 0, err
	}
	l.pass(1, s.length/4) // connect
	begin := time.Now()
	l.pass(s.calls, s.length)
	all := l.end()
	calls := all[slices.IndexFunc(all, func(o outcome) bool { return o.start.After(begin) }):]
	mine := 0
	for _, o := range calls {
		if o.server == f.servers[9].cfg.Name {
			mine++
		}
	}
	ran, err := f.journals()
	v := judge(all, ran, "")
	return float64(mine) / float64(len(calls)), p99(calls), errors.Join(err, v.errs())
}

// window is how long the calls are that one p99 is of.
const window = 100 * time.Millisecond

// windows returns the p99 of each window between from and to after the kill.
func windows(calls []outcome, killed time.Time, from, to time.Duration) []time.Duration {
	var all []time.Duration
	for at := from; at < to; at += window {
		var some []outcome
		for _, o := range calls {
			if since := o.start.Sub(killed); since >= at && since < at+window {
				some = append(some, o)
			}
		}
		all = append(all, p99(some))
	}
	return all
}

// back checks that the p99s after the first second after the kill are, in the
// median, what they were before it: less than twice as much, as the machine may
// have got busier.
func back(calls []outcome, killed time.Time) (before, after time.Duration, err error) {
	before = median(windows(calls, killed, -2*time.Second, 0))
	after = median(windows(calls, killed, time.Second, 3*time.Second))
	if after > 2*before {
		err = fmt.Errorf("p99 %v in the second and third second after the kill, %v before it", after, before)
	}
	return before, after, err
}

func median[V cmp.Ordered](all []V) V {
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}
