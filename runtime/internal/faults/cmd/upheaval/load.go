package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// outcome is what a caller saw of a call.
type outcome struct {
	id     uint64
	start  time.Time
	took   time.Duration
	server string // that answered
	err    *status.Error
}

// load is callers that make calls all the time.
type load struct {
	conn *rpcx.Conn
	all  sync.WaitGroup

	mu    sync.Mutex
	more  sync.Cond
	over  bool
	last  uint64
	calls []outcome
	by    map[string]int // server
}

// newLoad starts callers. Each makes a call every interval, or, if that is zero,
// as soon as the last one has ended.
func newLoad(target string, callers int, every time.Duration, opts ...rpcx.DialOption) (*load, error) {
	conn, err := rpcx.Dial(target, opts...)
	if err != nil {
		return nil, err
	}
	l := &load{conn: conn, by: map[string]int{}}
	l.more.L = &l.mu
	for i := range callers {
		l.all.Go(func() { l.caller(every, every*time.Duration(i)/time.Duration(callers)) })
	}
	return l, nil
}

func (l *load) caller(every, phase time.Duration) {
	for next := time.Now().Add(phase); l.call(); next = next.Add(every) {
		if every > 0 {
			time.Sleep(time.Until(next))
		}
	}
}

// call makes a call and reports whether there are to be more.
func (l *load) call() bool {
	l.mu.Lock()
	l.last++
	o := outcome{id: l.last, start: time.Now()}
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	res, err := rpcx.CallUnary(ctx, l.conn, runMethod, wrapperspb.UInt64(o.id))
	o.took, o.server = time.Since(o.start), res.GetValue()
	if err != nil {
		o.err = status.FromError(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, o)
	l.by[o.server]++
	l.more.Broadcast()
	return !l.over
}

// pass returns when n more calls have ended and d has passed.
func (l *load) pass(n int, d time.Duration) {
	time.Sleep(d)
	l.mu.Lock()
	defer l.mu.Unlock()
	for n += len(l.calls); len(l.calls) < n; {
		l.more.Wait()
	}
}

// answers returns when the server has answered n calls.
func (l *load) answers(server string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.by[server] < n {
		l.more.Wait()
	}
}

// end ends the callers and returns what they saw, in the order in which calls began.
func (l *load) end() []outcome {
	l.mu.Lock()
	l.over = true
	l.mu.Unlock()
	l.all.Wait()
	_ = l.conn.Close()
	slices.SortFunc(l.calls, func(a, b outcome) int { return a.start.Compare(b.start) })
	return l.calls
}

// verdict is what came of the calls of a load.
type verdict struct {
	calls, failed, notRun int
	wrong                 []string
}

// judge compares what callers saw with what servers did. Calls may fail only as
// those that were in flight to the server at dead do; with dead empty none may.
func judge(calls []outcome, ran map[uint64]int, dead string) verdict {
	v := verdict{calls: len(calls)}
	for _, o := range calls {
		n := ran[o.id]
		wrong := func(format string, args ...any) {
			v.wrong = append(v.wrong, fmt.Sprintf("call %d (%v): ", o.id, o.err)+fmt.Sprintf(format, args...))
		}
		if n > 1 {
			wrong("it ran %d times", n)
		}
		if o.err == nil {
			if n == 0 {
				wrong("it never ran, and was answered")
			}
			continue
		}
		v.failed++
		if o.err.NotRun() {
			v.notRun++
			if n > 0 {
				wrong("it is said not to have run, and did")
			}
		}
		if dead == "" || o.err.Code() != status.Unavailable || !strings.Contains(o.err.Error(), dead) {
			wrong("it failed, and not as the server at %q died", dead)
		}
	}
	return v
}

// p99 returns the 99th percentile of the latencies of calls that did not fail.
func p99(calls []outcome) time.Duration {
	var took []time.Duration
	for _, o := range calls {
		if o.err == nil {
			took = append(took, o.took)
		}
	}
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}
