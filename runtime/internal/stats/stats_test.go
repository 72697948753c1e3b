package stats

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/leaktest"
	"github.com/rpcx-go/rpcx/runtime/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(leaktest.Buffers(m)) }

// TestBuckets: each duration lies below the bound of its bucket, not below that
// of the one before, and the bucket is at most an eighth of it wide.
func TestBuckets(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		d := time.Duration(r.Uint64() >> (22 + r.IntN(42)))
		i := bucketOf(d)
		if d >= upperBound(i) || i > 0 && d < upperBound(i-1) {
			t.Fatalf("%d is in bucket %d, which ends at %d and begins at %d", d, i, upperBound(i), upperBound(i-1))
		}
		if width := upperBound(i) - d; width > d/8+1 {
			t.Fatalf("%d is in a bucket that ends at %d", d, upperBound(i))
		}
	}
	if bucketOf(-1) != 0 || bucketOf(1<<62) != buckets-1 {
		t.Errorf("out of range: buckets %d and %d", bucketOf(-1), bucketOf(1<<62))
	}
}

// TestQuantile compares with the exact answer.
func TestQuantile(t *testing.T) {
	var h Histogram
	empty := h.Snapshot()
	if got := empty.Quantile(0.5); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
	r := rand.New(rand.NewPCG(3, 4))
	var all []time.Duration
	for range 10_000 {
		d := time.Duration(r.ExpFloat64() * float64(time.Millisecond))
		all = append(all, d)
		h.Record(d)
	}
	slices.Sort(all)
	l := h.Snapshot()
	if l.Count != 10_000 {
		t.Errorf("count %d", l.Count)
	}
	for _, q := range []float64{0, 0.01, 0.5, 0.9, 0.99, 0.999, 1} {
		exact := all[min(int(q*10_000), 9_999)]
		if got := l.Quantile(q); got < exact || got > exact+exact/8+1 {
			t.Errorf("quantile %v: %v, exactly %v", q, got, exact)
		}
	}
}

func TestMethod(t *testing.T) {
	var m Method
	for range 5 {
		m.Start()
	}
	m.End(status.OK, time.Millisecond, 10, 20)
	m.End(status.OK, time.Millisecond, 10, 20)
	m.End(status.NotFound, time.Millisecond, 1, 2)
	m.End(99, -time.Second, -1, -1)
	s := m.Snapshot("/a.B/C")
	if s.Method != "/a.B/C" || s.Started != 5 || s.InFlight() != 1 || s.BytesSent != 21 || s.BytesReceived != 42 || s.Latency.Count != 4 {
		t.Errorf("got %+v", s)
	}
	if len(s.Ended) != 3 || s.Ended[status.OK] != 2 || s.Ended[status.NotFound] != 1 || s.Ended[status.Unknown] != 1 {
		t.Errorf("ended %v", s.Ended)
	}
}

// TestTable is used by many goroutines, which all find the same counts.
func TestTable(t *testing.T) {
	var table Table
	if s := table.Snapshot(); len(s) != 0 {
		t.Errorf("an empty table: %v", s)
	}
	var methods []*call.Method
	for _, name := range []string{"C", "A", "B"} {
		methods = append(methods, call.NewMethod(call.MethodSpec{Service: "s", Name: name}, nil, nil))
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				for _, m := range methods {
					table.Method(m).Start()
				}
			}
		})
	}
	all.Wait()
	var names []string
	for _, s := range table.Snapshot() {
		names = append(names, s.Method)
		if s.Started != 800 {
			t.Errorf("%s: %d started", s.Method, s.Started)
		}
	}
	if !slices.Equal(names, []string{"/s/A", "/s/B", "/s/C"}) {
		t.Errorf("methods %q", names)
	}
}
