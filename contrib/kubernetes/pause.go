package kubernetes

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

const (
	// firstPause and longestPause are between attempts that fail, and the first also
	// between a watch that ends and the next one.
	firstPause   = 500 * time.Millisecond
	longestPause = 30 * time.Second
)

// pauses are the times between attempts that fail: each twice as long as the
// one before, and none the same in two clients.
type pauses struct{ next, first time.Duration }

// wait waits for the next one, at least as long as the server wants because of err,
// and reports whether ctx is still not done.
func (p *pauses) wait(ctx context.Context, err error) bool {
	d := max(p.next, p.first)
	p.next = min(2*d, longestPause)
	var refused *refusal
	if errors.As(err, &refused) {
		d = max(d, refused.retryAfter*5/4)
	}
	return sleep(ctx, jittered(d))
}

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

// jittered returns a duration between four and six fifths of d, so that clients
// which lost the server together do not come back together.
func jittered(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}
