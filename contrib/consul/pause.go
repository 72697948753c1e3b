package consul

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	// firstPause and longestPause are between attempts that fail.
	firstPause   = 500 * time.Millisecond
	longestPause = 15 * time.Second
)

// pauses are the times between attempts that fail: each twice as long as the
// one before, and none the same in two clients. The zero value begins.
type pauses struct{ next time.Duration }

// take returns the next one.
func (p *pauses) take() time.Duration {
	d := max(p.next, firstPause)
	p.next = min(2*d, longestPause)
	return jittered(d)
}

// wait waits for the next one and reports whether ctx is still not done.
func (p *pauses) wait(ctx context.Context) bool { return sleep(ctx, p.take()) }

// sleep waits and reports whether ctx is still not done.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// jittered returns a duration between four and six fifths of d, so that those who
// lost the agent together do not come back together.
func jittered(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}

const (
	// burst is how many answers may follow each other at once, and rest how often after that.
	burst = 5
	rest  = 500 * time.Millisecond
)

// rate keeps a service that changes all the time from being asked for all the time.
type rate struct {
	used float64
	last time.Time
}

// wait waits until it is time for another query, and reports whether ctx is still not done.
func (r *rate) wait(ctx context.Context) bool {
	now := time.Now()
	r.used = max(0, r.used-float64(now.Sub(r.last))/float64(rest)) + 1
	r.last = now
	if r.used <= burst {
		return ctx.Err() == nil
	}
	return sleep(ctx, time.Duration((r.used-burst)*float64(rest)))
}
