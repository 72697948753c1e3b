package address

import (
	"math"
	"testing"
	"time"
	"unsafe"
)

const ms = int64(time.Millisecond)

func TestNodeLayout(t *testing.T) {
	if off := unsafe.Offsetof(Node{}.endpoint); off != lineSize {
		t.Errorf("what picking reads takes %d bytes, want a line", off)
	}
	if size := unsafe.Sizeof(Node{}); size > 2*lineSize || size <= 112 {
		t.Errorf("a node has %d bytes, want what is allocated in 128", size)
	}
}

func TestHalved(t *testing.T) {
	for x := 0.0; x < 130; x += 0.01 {
		want := math.Exp2(-x)
		if x >= 126 {
			want = 0
		}
		if got := float64(halved(float32(x))); math.Abs(got-want) > 0.003*want {
			t.Fatalf("2^-%v: got %v, want %v", x, got, want)
		}
	}
	if halved(float32(math.Inf(1))) != 0 || halved(float32(math.NaN())) != 0 {
		t.Error("what is infinitely old is not forgotten")
	}
}

func TestNodeLatency(t *testing.T) {
	const tau = int64(DefaultDecay)
	type end struct {
		at, took int64
		failed   bool
	}
	for name, test := range map[string]struct {
		ends []end
		at   int64
		want time.Duration
	}{
		"unknown":                 {nil, tau, 0},
		"first":                   {[]end{{1, 5 * ms, false}}, 1, 5 * time.Millisecond},
		"peaks count at once":     {[]end{{1, 5 * ms, false}, {1, 50 * ms, false}}, 1, 50 * time.Millisecond},
		"fades while nobody asks": {[]end{{1, 100 * ms, false}}, tau, 36788 * time.Microsecond},
		"without time it stays":   {[]end{{1, 100 * ms, false}}, 0, 100 * time.Millisecond},
		"fades towards the new":   {[]end{{1, 100 * ms, false}, {tau, 10 * ms, false}}, tau, 43109 * time.Microsecond},
		"late news do not fade":   {[]end{{tau, 100 * ms, false}, {1, 10 * ms, false}}, tau, 100 * time.Millisecond},
		"late peaks count":        {[]end{{tau, 10 * ms, false}, {1, 100 * ms, false}}, tau, 100 * time.Millisecond},
		"failing fast is slow":    {[]end{{1, 5 * ms, false}, {1, 1, true}, {1, 1, true}}, 1, 20 * time.Millisecond},
		"failing first":           {[]end{{1, 1, true}}, 1, time.Millisecond},
		"failing slowly":          {[]end{{1, 5 * ms, false}, {1, 70 * ms, true}}, 1, 70 * time.Millisecond},
		"a failure has a limit":   {[]end{{1, 9000 * ms, false}, {1, 1, true}}, 1, 10 * time.Second},
		"but time has none":       {[]end{{1, 90000 * ms, false}, {1, 1, true}}, 1, 90 * time.Second},
		"as of earlier":           {[]end{{tau, 100 * ms, false}}, 1, 100 * time.Millisecond},
		"a day later":             {[]end{{1, 100 * ms, false}}, 24 * 3600 * 1000 * ms, 0},
		"stamps wrap":             {[]end{{1<<52 - 1, 100 * ms, false}}, 1<<52 + tau, 36788 * time.Microsecond},
	} {
		n := NewNode(testEndpoint(0))
		for _, e := range test.ends {
			n.Begin()
			n.End(e.at, e.took, e.failed)
		}
		if got := n.Latency(test.at); math.Abs(float64(got-test.want)) > 0.003*float64(test.want) {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
}

func TestNodeCounts(t *testing.T) {
	n := NewNode(testEndpoint(0))
	n.calls.Store((1<<32 - 3) << 32) // calls begun before now
	for range 5 {
		n.Begin()
	}
	n.End(1, 1, true)
	n.End(1, 1, false)
	n.Cancel()
	if got := n.InFlight(); got != 2 {
		t.Errorf("%d calls in flight, want 2", got)
	}
	if begun, failed := n.Counts(); begun != 2 || failed != 1 {
		t.Errorf("got %d begun, %d failed; want 2 (the count starts again at 2^32) and 1", begun, failed)
	}
}

func TestReasons(t *testing.T) {
	n := NewNode(testEndpoint(0))
	steps := []struct {
		do   func(Reason) bool
		why  Reason
		want bool
		left string
	}{
		{n.MarkIn, Ejected, false, "in"},
		{n.MarkOut, Ejected, true, "ejected"},
		{n.MarkOut, Ejected, false, "ejected"},
		{n.MarkOut, Disconnected | Draining, true, "disconnected+ejected+draining"},
		{n.MarkIn, Ejected | Unhealthy, true, "disconnected+draining"},
		{n.MarkIn, Disconnected | Draining, true, "in"},
	}
	for i, s := range steps {
		if got := s.do(s.why); got != s.want || n.Out().String() != s.left {
			t.Errorf("step %d: got %v, %v; want %v, %s", i, got, n.Out(), s.want, s.left)
		}
	}
}
