package measure

import (
	"math"
	"testing"
	"time"
)

func TestBucketsCoverEveryValueOnce(t *testing.T) {
	values := []uint64{0, 1, 63, 64, 65, 127, 128, 129, 1000, 1 << 20, 1<<20 + 12345, math.MaxInt64, math.MaxUint64}
	for _, v := range values {
		i := bucketOf(v)
		low, width := bucketBounds(i)
		if v < low || v-low >= width {
			t.Errorf("value %d is in bucket %d, which holds %d and the %d after it", v, i, low, width)
		}
		if low >= linear && width > low/linear {
			t.Errorf("bucket %d is %d wide at %d", i, width, low)
		}
	}
	if got := bucketOf(math.MaxUint64); got != maxBucket-1 {
		t.Errorf("the largest value is in bucket %d, want the last, %d", got, maxBucket-1)
	}
	for i := range maxBucket - 1 {
		low, width := bucketBounds(i)
		if next, _ := bucketBounds(i + 1); next != low+width {
			t.Fatalf("bucket %d ends at %d and the next begins at %d", i, low+width, next)
		}
	}
}

func TestQuantiles(t *testing.T) {
	hs := make([]Histogram, 3)
	for i := range 10000 {
		hs[i%3].Record(time.Duration(i+1) * time.Microsecond)
	}
	for i, want := range []time.Duration{5 * time.Millisecond, 9900 * time.Microsecond, 10 * time.Millisecond} {
		got := Quantiles(hs, 0.5, 0.99, 0.9999)[i]
		if diff := math.Abs(float64(got-want)) / float64(want); diff > 1.0/linear {
			t.Errorf("quantile %d is %v, want %v within %.1f %%", i, got, want, 100.0/linear)
		}
	}
	if got := Quantiles(make([]Histogram, 1), 0.5)[0]; got != 0 {
		t.Errorf("the median of nothing is %v", got)
	}
}
