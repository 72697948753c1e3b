package faults

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// Journal remembers what callers and handlers saw, and says which promises were
// broken. Its methods may be called concurrently. As an observer it counts
// calls and attempts of both sides.
type Journal struct {
	call.NopObserver
	// Slack is how long after its deadline a call must have ended.
	Slack time.Duration

	mu     sync.Mutex
	start  time.Time
	events []string
	calls  map[uint64]*record
	wrong  []string
	counts [2]counts // by call.Side
}

type counts struct{ calls, ended, attempts, attemptsEnded int }

// record is what is known of one call.
type record struct {
	order    Order
	began    time.Time
	took     time.Duration
	ended    int
	err      error
	starts   int // of its handler
	returned int
}

// NewJournal returns an empty journal. The times of its events count from now.
func NewJournal() *Journal {
	return &Journal{Slack: 50 * time.Millisecond, start: time.Now(), calls: map[uint64]*record{}}
}

// Note remembers an event for the trace.
func (j *Journal) Note(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.noteLocked(format, args...)
}

func (j *Journal) noteLocked(format string, args ...any) {
	j.events = append(j.events, fmt.Sprintf("%12v  ", time.Since(j.start))+fmt.Sprintf(format, args...))
}

// Wrong remembers a promise that was broken.
func (j *Journal) Wrong(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.wrongLocked(format, args...)
}

func (j *Journal) wrongLocked(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	j.wrong = append(j.wrong, text)
	j.noteLocked("WRONG: %s", text)
}

func (j *Journal) recordLocked(id uint64) *record {
	r := j.calls[id]
	if r == nil {
		r = new(record)
		j.calls[id] = r
	}
	return r
}

func (j *Journal) called(o Order) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r := j.recordLocked(o.ID)
	r.order, r.began = o, time.Now()
	j.noteLocked("call      %v", o)
}

func (j *Journal) ended(o Order, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r := j.recordLocked(o.ID)
	r.ended++
	r.err = err
	took := time.Since(r.began)
	r.took = took
	j.noteLocked("ended     %v %d after %v: %s", o.Kind, o.ID, took, describe(err))
	j.judgeLocked(r, took)
}

func describe(err error) string {
	var e *status.Error
	switch {
	case err == nil:
		return "OK"
	case errors.As(err, &e) && e.NotRun():
		return err.Error() + " (not run)"
	}
	return err.Error()
}

func (j *Journal) handlerStarted(o Order) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r := j.recordLocked(o.ID)
	r.starts++
	j.noteLocked("handler   %v %d starts", o.Kind, o.ID)
}

func (j *Journal) handlerReturned(o Order, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.recordLocked(o.ID).returned++
	j.noteLocked("handler   %v %d returns: %s", o.Kind, o.ID, describe(err))
}

// judgeLocked judges the end of a call by itself.
func (j *Journal) judgeLocked(r *record, took time.Duration) {
	o := r.order
	// A caller that takes its time may take what came before the deadline.
	if limit := o.Timeout + o.Pause*time.Duration(max(o.Sends, o.Answers)+1) + j.Slack; took > limit {
		j.wrongLocked("call %d (%v) ended after %v, its limit is %v", o.ID, o.Kind, took, limit)
	}
	if r.err == nil {
		if o.Code != status.OK {
			j.wrongLocked("call %d (%v) succeeded, its handler failed", o.ID, o.Kind)
		}
		return
	}
	var e *status.Error
	if !errors.As(r.err, &e) {
		j.wrongLocked("call %d (%v) ended with an error without type: %v", o.ID, o.Kind, r.err)
		return
	}
	canceled := o.CancelAfter > 0 && took >= o.CancelAfter
	switch code := e.Code(); {
	case o.Code != status.OK && code == o.Code && !e.NotRun():
	case code == status.Canceled && (canceled || o.Leave > 0):
	case code == status.DeadlineExceeded && took >= o.Timeout && !o.Patient:
	case code == status.Unavailable && !o.Patient:
	case code == status.ResourceExhausted && o.Crowded && e.NotRun():
	default:
		j.wrongLocked("call %d (%v) ended after %v with an error that nothing explains: %v", o.ID, o.Kind, took, e)
	}
}

// Check returns the promises that were broken. It is called once all calls and
// handlers have ended.
func (j *Journal) Check() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	for id, r := range j.calls {
		var e *status.Error
		switch errors.As(r.err, &e); {
		case r.ended != 1:
			j.wrongLocked("call %d (%v) ended %d times", id, r.order.Kind, r.ended)
		case r.err == nil && r.starts == 0:
			j.wrongLocked("call %d (%v) succeeded, and its handler never started", id, r.order.Kind)
		case e.NotRun() && r.starts > 0:
			j.wrongLocked("call %d (%v) says that it never ran, and its handler started %d times: %v", id, r.order.Kind, r.starts, e)
		}
		if r.starts > 1 && !r.order.Kind.MayRepeat() {
			j.wrongLocked("call %d (%v) ran %d times", id, r.order.Kind, r.starts)
		}
		if r.returned != r.starts {
			j.wrongLocked("call %d (%v): %d handlers started, %d returned", id, r.order.Kind, r.starts, r.returned)
		}
	}
	for side, c := range j.counts {
		if c.calls != c.ended || c.attempts != c.attemptsEnded {
			j.wrongLocked("side %d: observers saw %d calls start and %d end, %d attempts start and %d end", side, c.calls, c.ended, c.attempts, c.attemptsEnded)
		}
	}
	return slices.Clone(j.wrong)
}

// Told reports whether observers were told of the end of all that they were told
// of the start of.
func (j *Journal) Told() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, c := range j.counts {
		if c.calls != c.ended || c.attempts != c.attemptsEnded {
			return false
		}
	}
	return true
}

// Trace returns the events, one a line.
func (j *Journal) Trace() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.events, "\n")
}

// Totals returns how many calls have ended, and how many of them well.
func (j *Journal) Totals() (calls, good int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range j.calls {
		calls += r.ended
		if r.ended > 0 && r.err == nil {
			good++
		}
	}
	return calls, good
}

// Took returns how long a call took.
func (j *Journal) Took(id uint64) time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.recordLocked(id).took
}

func (j *Journal) count(side call.Side, f func(*counts)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	f(&j.counts[side&1])
}

// CallStarted implements call.Observer.
func (j *Journal) CallStarted(i call.Info) { j.count(i.Side, func(c *counts) { c.calls++ }) }

// CallEnded implements call.Observer.
func (j *Journal) CallEnded(i call.Info, _ call.Result) {
	j.count(i.Side, func(c *counts) { c.ended++ })
}

// AttemptStarted implements call.Observer.
func (j *Journal) AttemptStarted(i call.Info) { j.count(i.Side, func(c *counts) { c.attempts++ }) }

// AttemptEnded implements call.Observer.
func (j *Journal) AttemptEnded(i call.Info, _ call.Result) {
	j.count(i.Side, func(c *counts) { c.attemptsEnded++ })
}

// ConnOpened implements call.Observer.
func (j *Journal) ConnOpened(i call.ConnInfo) { j.Note("conn      %v %v opens", i.Side, i.Local) }

// ConnClosed implements call.Observer.
func (j *Journal) ConnClosed(i call.ConnInfo, err error) {
	j.Note("conn      %v %v closes: %v", i.Side, i.Local, err)
}
