package address

import (
	"fmt"
	"slices"
	"testing"
)

// TestZoneSpill compares the share of the local zone with what the formula says.
func TestZoneSpill(t *testing.T) {
	const f = DefaultOverprovision
	for _, test := range []struct {
		local, localOut, others, othersOut int
		factor                             float64
		want                               float64 // of the calls stay
	}{
		{10, 0, 20, 0, 0, 1},
		{10, 2, 20, 0, 0, 1}, // 0.8 × 1.4 > 1
		{10, 4, 20, 0, 0, 0.6 * f},
		{10, 5, 20, 0, 0, 0.5 * f},
		{10, 9, 20, 0, 0, 0.1 * f},
		{10, 10, 20, 0, 0, 0},
		{10, 5, 20, 20, 0, 1},
		{10, 8, 10, 9, 0, 0.2 / 0.3}, // both lack capacity: in proportion
		{10, 10, 10, 10, 0, 1},
		{0, 0, 10, 3, 0, 0},
		{10, 2, 20, 0, 1, 0.8},
		{10, 5, 20, 0, 2, 1},
	} {
		nodes := routeNodes(t, append(times(test.local, "zone=a"), times(test.others, "zone=b")...)...)
		for i, n := range nodes {
			if i < test.localOut || i >= test.local && i < test.local+test.othersOut {
				n.MarkOut(Ejected)
			}
		}
		p := routePickerOf(t, nodes, Rule{Zone: &ZoneRule{Overprovision: test.factor}})
		for _, keyed := range []bool{false, true} {
			stay := 0.0
			for i, part := range sharesOf(p, nodes, 40_000, &Request{HasKey: keyed, Rand: seeded(7)}) {
				if i < test.local {
					stay += part
				}
				if part > 0 && nodes[i].Out() != 0 && test.want > 0 && test.want < 1 && test.othersOut == 0 {
					t.Errorf("%+v: %.1f %% of the calls go to a node that is out", test, 100*part)
				}
			}
			near(t, fmt.Sprintf("%+v, keyed %v", test, keyed), stay, test.want)
		}
	}
}

// TestSpillByWeight: capacity is weight, and what spills is spread by weight over the zones.
func TestSpillByWeight(t *testing.T) {
	nodes := routeNodes(t, "zone=a;weight=1", "zone=a;weight=3", "zone=b;weight=1", "zone=c;weight=3", "zone=c;weight=4")
	nodes[1].MarkOut(Disconnected)
	nodes[4].MarkOut(Disconnected)
	got := sharesOf(routePickerOf(t, nodes, Rule{Zone: &ZoneRule{}}), nodes, 50_000, &Request{Rand: seeded(7)})
	// A quarter is usable here and half elsewhere: 0.35 and 0.70, which is enough.
	for i, want := range []float64{0.35, 0, 0.65 / 4, 0.65 * 3 / 4, 0} {
		near(t, fmt.Sprint("node ", i), got[i], want)
	}
}

// TestSpillMovesFewKeys: when the share grows only keys that must move do.
func TestSpillMovesFewKeys(t *testing.T) {
	nodes := routeNodes(t, append(times(10, "zone=a"), times(10, "zone=b")...)...)
	spilled := make(map[uint64]bool)
	for out := range 10 {
		nodes[out].MarkOut(Ejected)
		p := routePickerOf(t, nodes, Rule{Zone: &ZoneRule{}})
		for key := range uint64(2000) {
			n := p.Pick(&Request{HasKey: true, Hash: key})
			is := n.Endpoint().Zone == "b"
			if spilled[key] && !is {
				t.Fatalf("key %d came back when node %d of the zone went", key, out)
			}
			spilled[key] = is
		}
	}
}

func TestZonesOfOtherRegions(t *testing.T) {
	nodes := routeNodes(t, "zone=a;region=us", "zone=a;region=eu", "zone=a", "zone=b;region=eu")
	if got := reach(routePickerOf(t, nodes, Rule{Zone: &ZoneRule{}}), nodes, Request{}); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("calls go to %v, want the zone of the same region and those that do not say", got)
	}
}

func TestRegions(t *testing.T) {
	list := []string{"eu", "us", "ap"}
	for _, test := range []struct {
		name string
		rule RegionRule
		to   Fallback
		out  [4]int // of ten in eu, us, ap and sa
		want [4]float64
	}{
		{"the first", RegionRule{Regions: list}, "", [4]int{2, 0, 0, 0}, [4]float64{1}},
		{"the next", RegionRule{Regions: list}, "", [4]int{10, 0, 0, 0}, [4]float64{0, 1}},
		{"gradually", RegionRule{Regions: list}, "", [4]int{5, 0, 0, 0}, [4]float64{0.7, 0.3}},
		{"over several", RegionRule{Regions: list}, "", [4]int{5, 9, 0, 0}, [4]float64{0.7, 0.14, 0.16}},
		{"over all", RegionRule{Regions: list}, "", [4]int{9, 9, 9, 0}, [4]float64{0.14, 0.14, 0.14, 0.58}},
		{"not beyond the list", RegionRule{Regions: list}, FallbackNone, [4]int{9, 9, 8, 0}, [4]float64{0.25, 0.25, 0.5}},
		{"but fail", RegionRule{Regions: list[:1]}, FallbackNone, [4]int{10, 0, 0, 0}, [4]float64{1}},
		{"at once", RegionRule{Regions: list, Threshold: 0.7}, "", [4]int{4, 0, 0, 0}, [4]float64{0, 1}},
		{"not yet", RegionRule{Regions: list, Threshold: 0.7}, "", [4]int{3, 0, 0, 0}, [4]float64{1}},
		{"the third at once", RegionRule{Regions: list, Threshold: 0.7}, "", [4]int{4, 4, 0, 0}, [4]float64{0, 0, 1}},
		{"nobody reaches it", RegionRule{Regions: list[:2], Threshold: 0.9}, FallbackNone, [4]int{5, 5, 0, 0}, [4]float64{0.7, 0.3}},
		{"the local one", RegionRule{}, "", [4]int{5, 0, 0, 0}, [4]float64{0.7, 0.1, 0.1, 0.1}},
		{"gradually, exactly", RegionRule{Regions: list, Overprovision: 1}, "", [4]int{1, 0, 0, 0}, [4]float64{0.9, 0.1}},
	} {
		nodes := routeNodes(t, slices.Concat(times(10, "region=eu"), times(10, "region=us"), times(10, "region=ap"), times(10, "region=sa"))...)
		for i, n := range nodes {
			if i%10 < test.out[i/10] {
				n.MarkOut(Unhealthy)
			}
		}
		p := routePickerOf(t, nodes, Rule{Regions: &test.rule, Fallback: test.to})
		var got [4]float64
		for i, part := range sharesOf(p, nodes, 40_000, &Request{Rand: seeded(7)}) {
			got[i/10] += part
		}
		for i := range got {
			near(t, fmt.Sprint(test.name, ": region ", i), got[i], test.want[i])
		}
	}
	nodes := routeNodes(t, "region=sa")
	if n := routePickerOf(t, nodes, Rule{Regions: &RegionRule{Regions: list}, Fallback: FallbackNone}).Pick(&Request{}); n != nil {
		t.Errorf("a call left the regions: %v", n.Endpoint().Region)
	}
}
