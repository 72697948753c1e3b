package measure

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// A Histogram counts durations in buckets that are linear within each power of
// two, as HDR histograms do: every bucket is at most 1/64 of its value wide, so
// a quantile is off by at most 1.6 %. It has room for any duration, and Record
// may be called concurrently.
type Histogram struct {
	buckets [maxBucket]atomic.Uint32
}

const (
	// linearBits is the logarithm of the number of buckets in each power of two.
	linearBits = 6
	linear     = 1 << linearBits
	// Values below linear have a bucket each; the other 64-6 powers of two have linear each.
	maxBucket = linear * (1 + 64 - linearBits)
)

// Record counts one duration; a negative one counts as zero.
func (h *Histogram) Record(d time.Duration) {
	h.buckets[bucketOf(uint64(max(d, 0)))].Add(1)
}

// bucketOf returns the bucket of a value: the value's power of two, then the
// linearBits bits after its leading one.
func bucketOf(v uint64) int {
	shift := bits.Len64(v) - 1 - linearBits
	if shift < 0 {
		return int(v)
	}
	return (shift+1)*linear + int(v>>shift) - linear
}

// bucketBounds returns the smallest value of a bucket and the bucket's width.
func bucketBounds(i int) (low, width uint64) {
	power, pos := i/linear, i%linear
	if power == 0 {
		return uint64(pos), 1
	}
	shift := power - 1
	return uint64(linear+pos) << shift, 1 << shift
}

// Quantiles returns, for each q in 0…1, the middle of the bucket that holds the
// value of that rank over all the histograms together. Without any value it
// returns zeros.
func Quantiles(hs []Histogram, qs ...float64) []time.Duration {
	var sum [maxBucket]uint64
	var total uint64
	for i := range hs {
		for j := range hs[i].buckets {
			n := uint64(hs[i].buckets[j].Load())
			sum[j] += n
			total += n
		}
	}
	out := make([]time.Duration, len(qs))
	for i, q := range qs {
		out[i] = valueAt(&sum, uint64(q*float64(total)))
	}
	return out
}

// valueAt returns the middle of the bucket of the value with the given rank, from zero.
func valueAt(counts *[maxBucket]uint64, rank uint64) time.Duration {
	var seen uint64
	for i, n := range counts {
		seen += n
		if seen > rank {
			low, width := bucketBounds(i)
			return time.Duration(low + width/2)
		}
	}
	return 0
}
