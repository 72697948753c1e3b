package address

import (
	"context"
	"math/rand/v2"
	"time"
)

// Refresher is a Source that can be told that what it found seems to be out of
// date, because servers cannot be reached. It looks again when it sees fit,
// without waiting for its next time. Refresh never waits.
type Refresher interface {
	Refresh()
}

// sleep waits for d or until wake has something, and reports whether ctx is
// still not done.
func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-wake:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// jittered returns a duration between four and six fifths of d, so that clients
// which start together do not go on together.
func jittered(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}
