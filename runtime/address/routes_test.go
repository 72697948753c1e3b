package address

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/rpcx-go/rpcx/runtime/call"
)

// routeNodes returns nodes with the attributes that static targets have: "zone=a;tag.t=c".
func routeNodes(t testing.TB, attributes ...string) []*Node {
	t.Helper()
	nodes := make([]*Node, len(attributes))
	for i, text := range attributes {
		e := testEndpoint(i)
		for field := range strings.SplitSeq(text, ";") {
			if key, value, ok := strings.Cut(field, "="); ok {
				if err := e.set(key, value); err != nil {
					t.Fatal(err)
				}
			}
		}
		nodes[i] = NewNode(e)
	}
	return nodes
}

// times returns text n times.
func times(n int, text string) []string { return slices.Repeat([]string{text}, n) }

func mustBalance(t testing.TB, of Balancer, r Routes) Balancer {
	t.Helper()
	b, err := r.Balancer(of)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// routePickerOf returns a picker of the nodes by the rules.
func routePickerOf(t testing.TB, nodes []*Node, rules ...Rule) Picker {
	t.Helper()
	routes := Routes{Local: Location{Zone: "a", Region: "eu"}, Rules: rules}
	return mustBalance(t, Random{}, routes).Picker(NewView(nodes, 1), nil)
}

var (
	readMethod  = testMethod("Get", call.NoSideEffects)
	writeMethod = testMethod("Put", call.IdempotencyUnknown)
)

func testMethod(name string, level call.Idempotency) *call.Method {
	spec := call.MethodSpec{Service: "users.v1.Users", Name: name, Idempotency: level}
	return call.NewMethod(spec, func() any { return nil }, func() any { return nil })
}

// shares returns the part of picks calls that each node gets.
func sharesOf(p Picker, nodes []*Node, picks int, r *Request) []float64 {
	parts := make([]float64, len(nodes))
	for i, n := range tally(p, nodes, picks, r) {
		parts[i] = float64(n) / float64(picks)
	}
	return parts
}

// near fails the test unless got is what is wanted within one percent of all calls.
func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 0.01 {
		t.Errorf("%s: got %.2f %% of the calls, want %.2f %%", what, 100*got, 100*want)
	}
}

// reach returns the indices of the nodes that calls like r get.
func reach(p Picker, nodes []*Node, r Request) []int {
	r.Rand = seeded(5)
	var got []int
	for i, n := range tallyFixed(p, nodes, 40*len(nodes), &r) {
		if n > 0 {
			got = append(got, i)
		}
	}
	return got
}

// tallyFixed is tally for one key; calls without a node do not count.
func tallyFixed(p Picker, nodes []*Node, picks int, r *Request) []int {
	counts, index := make([]int, len(nodes)), indices(nodes)
	for range picks {
		if n := p.Pick(r); n != nil {
			counts[index[n]]++
		}
	}
	return counts
}

func TestRoutesValidate(t *testing.T) {
	canary := map[string]string{"track": "canary"}
	for want, rule := range map[string]Rule{
		"rules[0]: has 0 kinds, want one of tags, zone, regions, role, partition, lane": {},
		"rules[0]: has 2 kinds, want one of tags, zone, regions, role, partition, lane": {Zone: &ZoneRule{}, Lane: &LaneRule{}},
		`rules[0].fallback: is "any", want "all", "none" or "tags"`:                     {Zone: &ZoneRule{}, Fallback: "any"},

		`rules[0].fallback_tags: are set, want them only with the fallback "tags"`:                                                   {Zone: &ZoneRule{}, FallbackTags: canary},
		"rules[0].fallback_tags: is empty, want the tags that endpoints must have":                                                   {Zone: &ZoneRule{}, Fallback: FallbackTags},
		"rules[0].fallback_tags: has a tag without a name":                                                                           {Zone: &ZoneRule{}, Fallback: FallbackTags, FallbackTags: map[string]string{"": "x"}},
		"rules[0].tags.tags: is empty, want the tags that endpoints must have":                                                       {Tags: &TagRule{}},
		"rules[0].tags.percent: is 101, want 0 to 100":                                                                               {Tags: &TagRule{Tags: canary, Percent: 101}},
		"rules[0].tags.percent: is NaN, want 0 to 100":                                                                               {Tags: &TagRule{Tags: canary, Percent: math.NaN()}},
		`rules[0].tags.metadata[0].key: is "Canary", want a-z, 0-9, '-', '_' and '.'`:                                                {Tags: &TagRule{Tags: canary, Metadata: []MetadataMatch{{Key: "Canary"}}}},
		"rules[0].tags.metadata[0]: has a value and a prefix, want one of them or none":                                              {Tags: &TagRule{Tags: canary, Metadata: []MetadataMatch{{Key: "c", Value: "x", Prefix: "y"}}}},
		`rules[0].tags.methods[1]: is "/a.B/Get", want a service as in "users.v1.Users" or a method as ` + `in "users.v1.Users/Get"`: {Tags: &TagRule{Tags: canary, Methods: []string{"a.B", "/a.B/Get"}}},
		"rules[0].zone.overprovision: is 0.5, want 1 to 100, or 0 for 1.4":                                                           {Zone: &ZoneRule{Overprovision: 0.5}},
		`rules[0].regions.regions[1]: is "eu", want names that are not empty and differ`:                                             {Regions: &RegionRule{Regions: []string{"eu", "eu"}}},
		"rules[0].regions.regions: are 40, want at most 32":                                                                          {Regions: &RegionRule{Regions: make([]string, 40)}},
		"rules[0].regions.threshold: is 70, want 0 to 1":                                                                             {Regions: &RegionRule{Threshold: 70}},
		"rules[0].regions.overprovision: is +Inf, want 1 to 100, or 0 for 1.4":                                                       {Regions: &RegionRule{Overprovision: math.Inf(1)}},
		"rules[0].role.max_staleness: is -1ns, want none or more than 0":                                                             {Role: &RoleRule{MaxStaleness: -1}},
		"rules[0].role.max_staleness: is 0, want more for lag_tag and unknown_lag to mean anything":                                  {Role: &RoleRule{LagTag: "l"}},
		`rules[0].role.leader_key: is "a b", want a-z, 0-9, '-', '_' and '.'`:                                                        {Role: &RoleRule{LeaderKey: "a b"}},
		"rules[0].partition.count: is 0, want 1 to 16384":                                                                            {Partition: &PartitionRule{}},
		"rules[0].partition.ranges[0].to: is 1, want at least from, 2":                                                               {Partition: &PartitionRule{Count: 1, Ranges: []PartitionRange{{2, 1, 0}}}},
		"rules[0].partition.ranges[0].partition: is 1, want 0 to 0":                                                                  {Partition: &PartitionRule{Count: 1, Ranges: []PartitionRange{{1, 2, 1}}}},
		"rules[0].partition.ranges: 1 to 5 and 5 to 7 overlap":                                                                       {Partition: &PartitionRule{Count: 1, Ranges: []PartitionRange{{5, 7, 0}, {1, 5, 0}}}},
		`rules[0].lane.tag: is "a b", want a name without spaces`:                                                                    {Lane: &LaneRule{Tag: "a b"}},
	} {
		_, err := Routes{Local: Location{"a", "eu"}, Rules: []Rule{rule}}.Balancer(nil)
		if err == nil || err.Error() != "routes: "+want {
			t.Errorf("got %v\nwant routes: %s", err, want)
		}
	}
	for want, routes := range map[string]Routes{
		"rules: 9 of them, want at most 8":                                                     {Rules: make([]Rule, 9)},
		"rules[1].zone.local: needs Routes.Local.Zone, which is empty":                         {Rules: []Rule{{Lane: &LaneRule{}}, {Zone: &ZoneRule{}}}},
		"rules[0].regions.regions: is empty, want the names of regions or Routes.Local.Region": {Rules: []Rule{{Regions: &RegionRule{}}}},
	} {
		if err := routes.Validate(); err == nil || err.Error() != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}

func TestNoRules(t *testing.T) {
	if b := mustBalance(t, PickFirst{}, Routes{}); b != (PickFirst{}) {
		t.Errorf("got %#v, want the balancer itself", b)
	}
	if b := mustBalance(t, nil, Routes{}); b != (P2C{}) {
		t.Errorf("got %#v, want P2C", b)
	}
	b := mustBalance(t, nil, Routes{Rules: []Rule{{Lane: &LaneRule{}}}})
	if p := b.Picker(NewView(nil, 1), nil); p != nil {
		t.Errorf("got %v for no nodes, want nil", p)
	}
}

// TestTriedLeavesTheRule: a call that has tried all that a rule leaves goes where the rule
// falls back to, unless that is nowhere.
func TestTriedLeavesTheRule(t *testing.T) {
	nodes := routeNodes(t, "zone=a", "zone=b;role=leader", "zone=c;role=replica")
	for _, test := range []struct {
		name string
		rule Rule
		r    Request
		want []int // in the order of the attempts
	}{
		{"zone", Rule{Zone: &ZoneRule{}}, Request{}, []int{0, -1, -1, -2}},
		{"zone only", Rule{Zone: &ZoneRule{}, Fallback: FallbackNone}, Request{}, []int{0, 0}},
		{"reads", Rule{Role: &RoleRule{}}, Request{Method: readMethod}, []int{2, 1, -2}},
		{"writes", Rule{Role: &RoleRule{}}, Request{Method: writeMethod}, []int{1, 1}},
		{"writes anywhere", Rule{Role: &RoleRule{}, Fallback: FallbackAll}, Request{Method: writeMethod}, []int{1, -1, -1, -2}},
	} {
		p := routePickerOf(t, nodes, test.rule)
		test.r.Rand = seeded(1)
		for i, want := range test.want {
			n := p.Pick(&test.r)
			was := slices.Contains(test.r.Tried, n)
			switch {
			case want >= 0 && n != nodes[want], want == -1 && was, want == -2 && !was:
				t.Errorf("%s: attempt %d went to %v", test.name, i, n.ID())
			}
			test.r.Tried = append(test.r.Tried, n)
		}
	}
}

// TestPanicUnderRules: a part uses what is usable of it, however little, unless too little
// of all nodes is usable and no rule found enough.
func TestPanicUnderRules(t *testing.T) {
	for _, test := range []struct {
		name  string
		nodes []string
		out   int // so many of the first ones
		rule  Rule
		r     Request
		want  []int
	}{
		{"a small part is no reason to panic", append(times(3, "tag.lane=1"), times(4, "")...), 2,
			Rule{Lane: &LaneRule{}}, Request{Class: call.Class{Lane: 1}}, []int{2}},
		{"a lane that is lost falls back", append(times(3, "tag.lane=1"), ""), 2 + 1,
			Rule{Lane: &LaneRule{}}, Request{Class: call.Class{Lane: 1}}, []int{3}},
		{"other parts are not touched", append(times(3, "tag.lane=1"), times(2, "tag.lane=2")...), 2,
			Rule{Lane: &LaneRule{}}, Request{Class: call.Class{Lane: 2}}, []int{3, 4}},
		{"too little of all is one", append(times(4, "tag.lane=1"), ""), 3,
			Rule{Lane: &LaneRule{}}, Request{Class: call.Class{Lane: 1}}, []int{0, 1, 2, 3}},
		{"a region that is lost is left, though it is most of all", append(times(6, "region=eu"), times(3, "region=us")...), 6,
			Rule{Regions: &RegionRule{}}, Request{}, []int{6, 7, 8}},
		{"what is usable of it is used", append(times(6, "region=eu"), times(3, "region=us")...), 5,
			Rule{Regions: &RegionRule{}}, Request{}, []int{5, 6, 7, 8}},
		{"a strict rule uses suspects rather than to fail", append(times(2, "role=leader"), times(5, "role=replica")...), 2,
			Rule{Role: &RoleRule{}}, Request{Method: writeMethod}, []int{0, 1}},
		{"if all are suspected the rule still holds", append(times(2, "zone=a"), times(2, "zone=b")...), 4,
			Rule{Zone: &ZoneRule{}}, Request{}, []int{0, 1}},
	} {
		nodes := routeNodes(t, test.nodes...)
		for _, n := range nodes[:test.out] {
			n.MarkOut(Ejected)
		}
		if got := reach(routePickerOf(t, nodes, test.rule), nodes, test.r); !slices.Equal(got, test.want) {
			t.Errorf("%s: calls go to %v, want %v", test.name, got, test.want)
		}
	}
}

// TestDrainingUnderRules: nodes that go away are used when a strict rule leaves no other.
func TestDrainingUnderRules(t *testing.T) {
	nodes := routeNodes(t, "role=leader", "role=leader", "role=replica")
	rule := Rule{Role: &RoleRule{}}
	r := Request{Method: writeMethod}
	for _, step := range []struct {
		node int
		why  Reason
		want []int
	}{{0, Draining, []int{1}}, {1, Ejected, []int{1}}, {1, Draining, []int{0, 1}}} {
		nodes[step.node].MarkOut(step.why)
		if got := reach(routePickerOf(t, nodes, rule), nodes, r); !slices.Equal(got, step.want) {
			t.Errorf("%v: calls go to %v, want %v", step.why, got, step.want)
		}
	}
}

// TestPartsAreKept: a picker takes over from the one for the same part, also if that was
// not wanted in between.
func TestPartsAreKept(t *testing.T) {
	nodes := routeNodes(t, append(times(3, "zone=a;tag.partition=0"), times(3, "zone=a;tag.partition=1")...)...)
	b := mustBalance(t, Hash{Load: -1}, Routes{Local: Location{Zone: "a"},
		Rules: []Rule{{Zone: &ZoneRule{}}, {Partition: &PartitionRule{Count: 2}}}})
	zero, one := &Request{HasKey: true, Hash: 2}, &Request{HasKey: true, Hash: 3}
	leaf := func(p Picker, partition int) *hashPicker {
		return p.(*routePicker).root.fork.part(0).fork.part(partition).picker.(*hashPicker)
	}
	first := b.Picker(NewView(nodes, 1), nil)
	first.Pick(zero)
	first.Pick(one)
	second := b.Picker(NewView(nodes, 2), first)
	second.Pick(zero)
	if p := second.(*routePicker).root.fork.part(0).fork.parts[1].Load(); p != nil {
		t.Error("a part was made that nobody wanted")
	}
	third := b.Picker(NewView(nodes, 3), second)
	third.Pick(one)
	third.Pick(zero)
	for partition := range 2 {
		if leaf(first, partition).table != leaf(third, partition).table {
			t.Errorf("partition %d: the table was built again", partition)
		}
	}
	if leaf(third, 0).table == leaf(third, 1).table {
		t.Error("two parts share a table")
	}
	other := mustBalance(t, Hash{Load: -1}, Routes{Rules: []Rule{{Partition: &PartitionRule{Count: 1}, Fallback: FallbackAll}}})
	if n := other.Picker(NewView(nodes, 4), third).Pick(zero); n == nil {
		t.Error("no node after other rules")
	}
}
