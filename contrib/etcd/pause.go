package etcd

import (
	"context"
	"math/rand/v2"
	"time"
)

// pauses are the times between attempts that fail: each twice as long as the
// one before, and none the same in two clients.
type pauses struct{ next, first, longest time.Duration }

func newPauses(first, longest time.Duration) pauses { return pauses{first, first, max(first, longest)} }

// wait waits and reports whether ctx is still not done.
func (p *pauses) wait(ctx context.Context) bool {
	d := p.next
	p.next = min(2*d, p.longest)
	return sleep(ctx, jittered(d))
}

// reset makes the next pause the first one.
func (p *pauses) reset() { p.next = p.first }

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
// which lost etcd together do not come back together.
func jittered(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}
