package main

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestSummary compares made-up samples in which rpcx is twice as fast and
// allocates half as often on one shape and loses on the other.
func TestSummary(t *testing.T) {
	good, bad := &shape{name: "good"}, &shape{name: "bad"}
	results := func(s *shape, own, other sample) []*result {
		var all []*result
		for _, op := range []string{opMarshal, opMarshalAlloc, opUnmarshal} {
			for _, name := range []string{vt, vtUnsafe, std} {
				all = append(all, &result{shape: s, variant: variant{op: op, name: name}, samples: []sample{other, other}})
			}
			for _, name := range []string{rpcx, rpcxCopy} {
				all = append(all, &result{shape: s, variant: variant{op: op, name: name}, samples: []sample{own, own}})
			}
		}
		return all
	}
	rows := summarize([]*shape{good, bad}, slices.Concat(
		results(good, sample{wall: 50, allocs: 4}, sample{wall: 100, allocs: 8}),
		results(bad, sample{wall: 200, allocs: 2}, sample{wall: 100, allocs: 1}),
	), clocks["wall"])

	if got := rows[0].ratios["marshal"]; got != 2 {
		t.Errorf("marshal = %v times as fast, want 2", got)
	}
	if got := rows[0].ratios["allocs"]; got != 0.5 {
		t.Errorf("allocs = %v, want 0.5", got)
	}
	if got := geomean(rows, "unmarshal-copy"); math.Abs(got-1) > 1e-9 {
		t.Errorf("the mean of 2 and 1/2 is %v, want 1", got)
	}
	bad.extra = true
	if got := geomean(rows, "unmarshal-copy"); math.Abs(got-2) > 1e-9 {
		t.Errorf("the mean without the extra shape is %v, want 2", got)
	}
	lines := losses(rows)
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "SLOWER than vtprotobuf: bad marshal=0.50 ") ||
		!strings.HasPrefix(lines[1], "MORE allocations than vtprotobuf: bad allocs=2.00 ") {
		t.Errorf("losses %q, want those of the bad shape", lines)
	}
	var out bytes.Buffer
	if err := printSummary(&out, rows); err != nil {
		t.Fatal(err)
	}
	const last = "bench-codec: geomean marshal=2.00 unmarshal=2.00 unmarshal-unsafe=2.00 allocs=0.50\n"
	if !strings.HasSuffix(out.String(), last) {
		t.Errorf("the summary does not end with %q:\n%s", last, out.String())
	}
}

func TestMedianRatio(t *testing.T) {
	wall := func(values ...float64) []sample {
		var all []sample
		for _, v := range values {
			all = append(all, sample{wall: v})
		}
		return all
	}
	for _, test := range []struct {
		a, b []sample
		want float64
	}{
		{wall(2, 90, 4), wall(1, 1, 1), 4},
		{wall(2, 4), wall(1, 1), 3},
		{wall(0), wall(0), 1},
	} {
		if got := medianRatio(test.a, test.b, clocks["wall"]); got != test.want {
			t.Errorf("medianRatio(%v, %v) = %v, want %v", test.a, test.b, got, test.want)
		}
	}
}

// TestMeasure runs the smallest shape in the shortest rounds.
func TestMeasure(t *testing.T) {
	shapes, err := chooseShapes("small")
	if err != nil {
		t.Fatal(err)
	}
	results, err := measure(shapes, 2, time.Microsecond)
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != len(shapes[0].variants) {
		t.Errorf("%d results for %d variants", len(results), len(shapes[0].variants))
	}
	for _, r := range results {
		if len(r.samples) != 2 {
			t.Errorf("%s by %s has %d samples, want 2", r.op, r.name, len(r.samples))
		}
	}
}
