// Package stats counts calls: the built-in observer, cheap enough to be always on.
package stats

import (
	"fmt"
	"math/bits"
	"sync/atomic"
	"time"
)

// subBits is how many bits below its highest one a duration keeps: with 3,
// a bucket is at most 1/8 of its value wide.
const subBits = 3

// buckets covers durations up to 2^42 ns, more than an hour.
const buckets = (42 - subBits + 1) << subBits

// Histogram counts durations in buckets that grow with the duration. The zero
// value is ready. It may be used concurrently. Its memory grows with how much the
// durations differ: most methods take about as long each time.
type Histogram struct {
	groups [buckets >> subBits]atomic.Pointer[group]
}

// group is the buckets of durations with the same highest bit; nil if there was none.
type group [1 << subBits]atomic.Uint64

// Record counts d. Negative durations count as zero, overlong ones as the longest.
func (h *Histogram) Record(d time.Duration) {
	i := bucketOf(d)
	g := h.groups[i>>subBits].Load()
	if g == nil {
		g = h.grow(i >> subBits)
	}
	g[i&(1<<subBits-1)].Add(1)
}

// grow returns the buckets of group i, which were not there a moment ago.
func (h *Histogram) grow(i int) *group {
	if g := new(group); h.groups[i].CompareAndSwap(nil, g) {
		return g
	}
	return h.groups[i].Load()
}

func bucketOf(d time.Duration) int {
	if d < 1<<subBits {
		return int(max(d, 0))
	}
	exp := bits.Len64(uint64(d)) - subBits - 1
	sub := int(uint64(d)>>exp) & (1<<subBits - 1)
	return min((exp+1)<<subBits|sub, buckets-1)
}

// upperBound returns the smallest duration that is above bucket i.
func upperBound(i int) time.Duration {
	exp, sub := i>>subBits, i&(1<<subBits-1)
	if exp == 0 {
		return time.Duration(sub + 1)
	}
	return time.Duration((1<<subBits|sub)+1) << (exp - 1)
}

// Latency is a histogram at one moment.
type Latency struct {
	// Count is how many durations were recorded.
	Count  uint64
	counts [buckets]uint64
}

// Snapshot returns the histogram as it stands. Durations recorded meanwhile
// may be in it or not.
func (h *Histogram) Snapshot() Latency {
	var l Latency
	for i := range h.groups {
		g := h.groups[i].Load()
		if g == nil {
			continue
		}
		for j := range g {
			n := g[j].Load()
			l.counts[i<<subBits|j] = n
			l.Count += n
		}
	}
	return l
}

// Quantile returns a duration that the share q (0 to 1) of the recorded ones
// did not exceed, at most an eighth too large. It returns 0 if there are none.
func (l *Latency) Quantile(q float64) time.Duration {
	if l.Count == 0 {
		return 0
	}
	rank := uint64(q * float64(l.Count))
	if rank >= l.Count {
		rank = l.Count - 1
	}
	var seen uint64
	for i, n := range l.counts {
		seen += n
		if seen > rank {
			return upperBound(i)
		}
	}
	return upperBound(buckets - 1)
}

// String returns the count and some quantiles, such as "1200 (p50 1ms, p99 4ms, max 9ms)".
func (l Latency) String() string {
	return fmt.Sprintf("%d (p50 %v, p99 %v, max %v)", l.Count, l.Quantile(0.5), l.Quantile(0.99), l.Quantile(1))
}
