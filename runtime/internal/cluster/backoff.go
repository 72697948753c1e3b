package cluster

import (
	"math"
	"math/rand/v2"
	"time"
)

// Backoff says how long to wait between attempts to connect.
type Backoff struct {
	// Base is the longest wait after the first failure, Max after many; each
	// failure makes it 1.6 times as long.
	Base, Max time.Duration
}

// Delay returns how long to wait after the given number of failures in a row:
// at least half of the longest wait, at random, so that clients that lost the
// same server do not come back together.
func (b Backoff) Delay(failures int) time.Duration {
	longest := float64(b.Base) * math.Pow(1.6, float64(failures-1))
	longest = min(longest, float64(b.Max))
	return time.Duration(longest * (0.5 + rand.Float64()/2))
}

// AfterLoss returns how long to wait before the first attempt after a connection
// was lost: up to Base, evenly distributed, so that clients which lost the same
// server do not all come back at once.
func (b Backoff) AfterLoss() time.Duration {
	return time.Duration(float64(b.Base) * rand.Float64())
}
