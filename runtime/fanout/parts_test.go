package fanout

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rpcx-go/rpcx/runtime/status"
)

// step is what a part of a test does: it waits, and then answers with its number or
// fails. It notices the end of its context, unless it is deaf.
type step struct {
	after time.Duration
	err   error
	deaf  bool
}

func ok(after time.Duration) step               { return step{after: after} }
func fails(after time.Duration, err error) step { return step{after: after, err: err} }

// play runs steps as the parts of a fan-out, and counts.
type play struct {
	steps            []step
	begun, cancelled atomic.Int32
	running, most    atomic.Int32
}

// indexes returns the parts, which are the numbers of the steps.
func (p *play) indexes() []int {
	list := make([]int, len(p.steps))
	for i := range list {
		list[i] = i
	}
	return list
}

func (p *play) part(ctx context.Context, i int) (string, error) {
	p.begun.Add(1)
	if n := p.running.Add(1); n > p.most.Load() {
		p.most.Store(n) // under synctest with few parts nobody is lost
	}
	defer p.running.Add(-1)
	s := p.steps[i]
	done := ctx.Done()
	if s.deaf {
		done = nil
	}
	timer := time.NewTimer(s.after)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-done:
		p.cancelled.Add(1)
		return "", ctx.Err()
	}
	if s.err != nil {
		return "", s.err
	}
	return fmt.Sprint("r", i), nil
}

var (
	errMissing = status.New(status.NotFound, "no such user")
	errAway    = status.New(status.Unavailable, "away").WithNotRun()
	errBusy    = status.New(status.ResourceExhausted, "busy").WithRetryAfter(time.Second)
)

func TestParts(t *testing.T) {
	type result struct {
		Results          []string
		Err              string
		NotRun           bool
		Took             time.Duration
		Begun, Cancelled int32
	}
	all := func(opts ...Option) func(context.Context, *play) ([]string, error) {
		return func(ctx context.Context, p *play) ([]string, error) {
			return All(ctx, p.indexes(), p.part, opts...)
		}
	}
	quorum := func(n int, opts ...Option) func(context.Context, *play) ([]string, error) {
		return func(ctx context.Context, p *play) ([]string, error) {
			return Quorum(ctx, n, p.indexes(), p.part, opts...)
		}
	}
	first := func(opts ...Option) func(context.Context, *play) ([]string, error) {
		return func(ctx context.Context, p *play) ([]string, error) {
			one, err := First(ctx, p.indexes(), p.part, opts...)
			if err != nil {
				return nil, err
			}
			return []string{one}, nil
		}
	}
	const s = time.Second
	for _, test := range []struct {
		name  string
		do    func(context.Context, *play) ([]string, error)
		steps []step
		want  result
	}{
		{"all: none", all(), nil, result{Results: []string{}}},
		{"all: one", all(), []step{ok(s)}, result{Results: []string{"r0"}, Took: s, Begun: 1}},
		{"all: one fails", all(), []step{fails(s, errMissing)},
			result{Err: "NOT_FOUND: 1 of 1 parts failed: part 0: NOT_FOUND: no such user", Took: s, Begun: 1}},
		{"all: in the order of the parts", all(), []step{ok(3 * s), ok(s), ok(2 * s)},
			result{Results: []string{"r0", "r1", "r2"}, Took: 3 * s, Begun: 3}},
		{"all: the first failure cancels", all(), []step{ok(3 * s), fails(s, errMissing), ok(0), ok(2 * s)},
			result{Err: "NOT_FOUND: 1 of 4 parts failed: part 1: NOT_FOUND: no such user", Took: s, Begun: 4, Cancelled: 2}},
		{"all: parts that do not hear are waited for", all(), []step{{after: 3 * s, deaf: true}, fails(s, errMissing)},
			result{Err: "NOT_FOUND: 1 of 2 parts failed: part 1: NOT_FOUND: no such user", Took: 3 * s, Begun: 2}},
		{"all: failures after the first count", all(), []step{{after: 3 * s, err: errBusy, deaf: true}, fails(s, errAway)},
			result{Err: "RESOURCE_EXHAUSTED: 2 of 2 parts failed: part 0: RESOURCE_EXHAUSTED: busy; part 1: UNAVAILABLE: away", Took: 3 * s, Begun: 2}},
		{"all: nothing ran", all(WithPartialResults()), []step{fails(0, errAway), fails(0, errAway)},
			result{Results: []string{"", ""}, Err: "UNAVAILABLE: 2 of 2 parts failed: part 0: UNAVAILABLE: away; part 1: UNAVAILABLE: away", NotRun: true, Begun: 2}},
		{"all: a nil error of package status is none", all(), []step{fails(0, (*status.Error)(nil)), ok(0)},
			result{Results: []string{"", "r1"}, Begun: 2}},
		{"all: what succeeded has run", all(), []step{ok(0), fails(s, errAway)},
			result{Err: "UNAVAILABLE: 1 of 2 parts failed: part 1: UNAVAILABLE: away", Took: s, Begun: 2}},
		{"all: what was cancelled may have run", all(), []step{ok(3 * s), fails(s, errAway)},
			result{Err: "UNAVAILABLE: 1 of 2 parts failed: part 1: UNAVAILABLE: away", Took: s, Begun: 2, Cancelled: 1}},
		{"all: partial results", all(WithPartialResults()), []step{ok(3 * s), fails(s, errMissing), ok(0), ok(2 * s)},
			result{Results: []string{"r0", "", "r2", "r3"},
				Err: "NOT_FOUND: 1 of 4 parts failed: part 1: NOT_FOUND: no such user", Took: 3 * s, Begun: 4}},
		{"all: not begun after a failure", all(WithLimit(1)), []step{ok(s), fails(s, errAway), ok(s), ok(s)},
			result{Err: "UNAVAILABLE: 1 of 4 parts failed: part 1: UNAVAILABLE: away", Took: 2 * s, Begun: 2}},
		{"all: not begun and nothing ran", all(WithLimit(1)), []step{fails(s, errAway), ok(s)},
			result{Err: "UNAVAILABLE: 1 of 2 parts failed: part 0: UNAVAILABLE: away", NotRun: true, Took: s, Begun: 1}},
		{"all: one deadline", all(WithTimeout(2*s), WithPartialResults(), WithLimit(1)), []step{ok(s), ok(3 * s), ok(s)},
			result{Results: []string{"r0", "", ""},
				Err:  "DEADLINE_EXCEEDED: 2 of 3 parts failed: part 1: context deadline exceeded; part 2: DEADLINE_EXCEEDED: context deadline exceeded",
				Took: 2 * s, Begun: 2, Cancelled: 1}},
		{"all: no time left", all(WithTimeout(0)), []step{ok(s), ok(s)},
			result{Err: "DEADLINE_EXCEEDED: 1 of 2 parts failed: part 0: DEADLINE_EXCEEDED: context deadline exceeded", NotRun: true}},
		{"all: names", all(WithNames(func(i int) string { return "db" + strings.Repeat("!", i) })), []step{ok(0), fails(s, errMissing)},
			result{Err: "NOT_FOUND: 1 of 2 parts failed: db!: NOT_FOUND: no such user", Took: s, Begun: 2}},
		{"all: many failures", all(WithPartialResults()), []step{fails(0, errAway), fails(0, errAway), fails(0, errAway), fails(0, errAway), fails(0, errAway), fails(0, errMissing)},
			result{Results: []string{"", "", "", "", "", ""}, Begun: 6,
				Err: "NOT_FOUND: 6 of 6 parts failed: part 0: UNAVAILABLE: away; part 1: UNAVAILABLE: away; part 2: UNAVAILABLE: away; part 3: UNAVAILABLE: away; and 2 more"}},

		{"quorum: reached", quorum(2), []step{ok(3 * s), ok(2 * s), fails(0, errAway), ok(s)},
			result{Results: []string{"r1", "r3"}, Took: 2 * s, Begun: 4, Cancelled: 1}},
		{"quorum: exactly n", quorum(1), []step{ok(s), {after: 2 * s, deaf: true}},
			result{Results: []string{"r0"}, Took: 2 * s, Begun: 2}},
		{"quorum: out of reach", quorum(2), []step{ok(3 * s), fails(s, errBusy), fails(2*s, errAway)},
			result{Err: "RESOURCE_EXHAUSTED: 2 of 3 parts failed: part 1: RESOURCE_EXHAUSTED: busy; part 2: UNAVAILABLE: away", Took: 2 * s, Begun: 3, Cancelled: 1}},
		{"quorum: too few parts", quorum(3), []step{ok(0), ok(0)},
			result{Err: "UNAVAILABLE: a quorum of 3 needs as many parts, and there are 2", NotRun: true}},
		{"quorum: of none", quorum(0), []step{ok(0)}, result{Err: "INTERNAL: fanout: a quorum is at least 1", NotRun: true}},
		{"quorum: one part", quorum(1), []step{ok(s)}, result{Results: []string{"r0"}, Took: s, Begun: 1}},

		{"first: wins", first(), []step{ok(3 * s), fails(0, errMissing), ok(s), ok(2 * s)},
			result{Results: []string{"r2"}, Took: s, Begun: 4, Cancelled: 2}},
		{"first: one after the other", first(WithLimit(1)), []step{fails(s, errAway), ok(s), ok(s)},
			result{Results: []string{"r1"}, Took: 2 * s, Begun: 2}},
		{"first: all fail", first(), []step{fails(s, errAway), fails(2*s, errMissing)},
			result{Err: "NOT_FOUND: 2 of 2 parts failed: part 0: UNAVAILABLE: away; part 1: NOT_FOUND: no such user", Took: 2 * s, Begun: 2}},
		{"first: no parts", first(), nil, result{Err: "UNAVAILABLE: a quorum of 1 needs as many parts, and there are 0", NotRun: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &play{steps: test.steps}
				start := time.Now()
				results, err := test.do(t.Context(), p)
				got := result{Results: results, NotRun: status.FromError(err).NotRun(), Took: time.Since(start),
					Begun: p.begun.Load(), Cancelled: p.cancelled.Load()}
				if err != nil {
					got.Err = err.Error()
				}
				if n := p.running.Load(); n != 0 {
					t.Errorf("%d parts run on", n)
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestEndOfContext checks what a fan-out makes of the end of its caller's context.
func TestEndOfContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p := &play{steps: []step{ok(time.Hour), ok(time.Hour)}}
		time.AfterFunc(time.Second, cancel)
		results, err := First(ctx, p.indexes(), p.part)
		if results != "" || status.CodeOf(err) != status.Canceled || !errors.Is(err, context.Canceled) {
			t.Errorf("First = %q, %v", results, err)
		}
		if status.FromError(err).NotRun() {
			t.Error("the error says that nothing ran")
		}
		_, err = All(ctx, p.indexes(), p.part)
		if status.CodeOf(err) != status.Canceled || !status.FromError(err).NotRun() || p.begun.Load() != 2 {
			t.Errorf("All after the end = %v, %d parts begun", err, p.begun.Load())
		}
	})
}

// TestLimit counts the parts that run at the same time.
func TestLimit(t *testing.T) {
	for _, test := range []struct{ parts, limit, want int }{
		{5, 1, 1}, {5, 2, 2}, {5, 5, 5}, {5, 100, 5}, {300, 0, DefaultLimit}, {300, -1, DefaultLimit}, {300, 200, 200},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := &play{steps: make([]step, test.parts)}
			gate := make(chan struct{})
			running, most := atomic.Int32{}, int32(0)
			go func() {
				for range test.parts {
					synctest.Wait() // all that may run wait for the gate
					most = max(most, running.Load())
					gate <- struct{}{}
				}
			}()
			results, err := All(t.Context(), p.indexes(), func(context.Context, int) (int, error) {
				running.Add(1)
				defer running.Add(-1)
				<-gate
				return 1, nil
			}, WithLimit(test.limit))
			if err != nil || len(results) != test.parts || int(most) != test.want {
				t.Errorf("%d parts, limit %d: at most %d ran at a time, want %d; %v", test.parts, test.limit, most, test.want, err)
			}
		})
	}
}

func TestDo(t *testing.T) {
	var a, b string
	err := Do(t.Context(),
		func(context.Context) (err error) { a = "one"; return nil },
		func(context.Context) (err error) { b = "two"; return nil },
	)
	if err != nil || a != "one" || b != "two" {
		t.Errorf("Do: %q, %q, %v", a, b, err)
	}
	err = Do(t.Context(),
		func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		func(context.Context) error { return errMissing },
	)
	if status.CodeOf(err) != status.NotFound {
		t.Errorf("Do = %v, want NOT_FOUND", err)
	}
	if err := Do(t.Context()); err != nil {
		t.Errorf("Do of nothing = %v", err)
	}
}

// TestPanic checks that a panic reaches the caller, after the other parts.
func TestPanic(t *testing.T) {
	for _, parts := range []int{1, 3} {
		ended := atomic.Int32{}
		recovered := func() (r any) {
			defer func() { r = recover() }()
			numbers := make([]int, parts)
			for i := range numbers {
				numbers[i] = i
			}
			First(t.Context(), numbers, func(ctx context.Context, i int) (int, error) {
				if i == 0 {
					panic(errMissing)
				}
				<-ctx.Done()
				ended.Add(1)
				return 0, ctx.Err()
			})
			return nil
		}()
		err, ok := recovered.(error)
		if !ok || !errors.Is(err, errMissing) {
			t.Errorf("%d parts: recovered %v, want the part's panic", parts, recovered)
		}
		if n := int(ended.Load()); n != parts-1 {
			t.Errorf("%d parts: %d of the others have ended", parts, n)
		}
		if p, ok := recovered.(*Panic); parts > 1 && (!ok || !strings.Contains(p.Error(), "TestPanic")) {
			t.Errorf("recovered %T without the stack of the part", recovered)
		}
	}
	if (&Panic{Value: "text"}).Unwrap() != nil {
		t.Error("a text unwraps to an error")
	}
}

// TestGoexit checks that a part that ends its goroutine, as t.FailNow does, ends
// that of the caller.
func TestGoexit(t *testing.T) {
	returned, exited := false, make(chan struct{})
	go func() {
		defer close(exited)
		Do(t.Context(),
			func(context.Context) error { runtime.Goexit(); return nil },
			func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		)
		returned = true
	}()
	<-exited
	if returned {
		t.Error("Do returned")
	}
}
