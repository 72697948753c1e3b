package address

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/metadata"
)

var canaryTags = map[string]string{"track": "canary"}

// TestTagsPercent: the percentage holds, by call and by key, and by the calls of each
// client a key goes the same way, also when the percentage grows.
func TestTagsPercent(t *testing.T) {
	nodes := routeNodes(t, "tag.track=canary", "tag.track=canary;tag.x=y", "", "tag.track=stable", "tag.x=y")
	const picks = 40_000
	was := make(map[uint64]bool)
	for _, percent := range []float64{0, 0.5, 5, 33, 100} {
		for _, shared := range []bool{false, true} {
			p := routePickerOf(t, nodes, Rule{Tags: &TagRule{Tags: canaryTags, Percent: percent, Shared: shared}})
			for _, keyed := range []bool{false, true} {
				got := sharesOf(p, nodes, picks, &Request{HasKey: keyed, Rand: seeded(3)})
				want := percent / 100
				if shared {
					want += (1 - want) * 2 / 5
				}
				near(t, fmt.Sprintf("%v %%, shared %v, keyed %v", percent, shared, keyed), got[0]+got[1], want)
				if canary := got[0] + got[1]; !shared && (percent == 0 && canary > 0 || percent == 100 && canary < 1) {
					t.Errorf("%v %%: got %v", percent, canary)
				}
			}
			for key := range uint64(1000) {
				n := p.Pick(&Request{HasKey: true, Hash: key})
				is := n == nodes[0] || n == nodes[1]
				if was[key] && !is {
					t.Fatalf("key %d left the canaries when they got %v %%", key, percent)
				}
				was[key] = is && !shared
			}
		}
	}
}

// TestDrawsAreIndependent of each other and of the places of keys in a table.
func TestDrawsAreIndependent(t *testing.T) {
	nodes := routeNodes(t, slices.Concat(times(5, "tag.x=1;tag.y=1"), times(5, "tag.x=1"), times(5, "tag.y=1"), times(5, ""))...)
	b := mustBalance(t, Hash{Load: -1}, Routes{Rules: []Rule{
		{Tags: &TagRule{Tags: map[string]string{"x": "1"}, Percent: 20}},
		{Tags: &TagRule{Tags: map[string]string{"y": "1"}, Percent: 50}},
	}})
	for i, got := range sharesOf(b.Picker(NewView(nodes, 1), nil), nodes, 200_000, &Request{HasKey: true}) {
		want := []float64{0.02, 0.02, 0.08, 0.08}[i/5]
		if got < 0.9*want || got > 1.1*want {
			t.Errorf("node %d has %.2f %% of the keys, want %.2f %%", i, 100*got, 100*want)
		}
	}
}

func TestTagsMatch(t *testing.T) {
	nodes := routeNodes(t, "tag.track=canary", "")
	rule := TagRule{Tags: canaryTags, Metadata: []MetadataMatch{{Key: "canary"}, {Key: "user", Value: "ann"}, {Key: "agent", Prefix: "beta/"}}}
	limited, some := rule, rule
	limited.Methods = []string{"users.v1.Users/Get"}
	some.Methods = []string{"other.v1.Other", "users.v1.Users"}
	all := TagRule{Tags: canaryTags, Percent: 100, Methods: []string{"users.v1.Users/Get"}}
	for _, test := range []struct {
		rule TagRule
		r    Request
		want int
	}{
		{rule, Request{}, 1},
		{rule, Request{Metadata: metadata.Pairs("canary", "")}, 0},
		{rule, Request{Metadata: metadata.Pairs("user", "bob")}, 1},
		{rule, Request{Metadata: metadata.Pairs("user", "bob", "user", "ann")}, 0},
		{rule, Request{Metadata: metadata.Pairs("agent", "alpha/1")}, 1},
		{rule, Request{Metadata: metadata.Pairs("agent", "beta/1")}, 0},
		{limited, Request{Metadata: metadata.Pairs("canary", "1")}, 1},
		{limited, Request{Method: writeMethod, Metadata: metadata.Pairs("canary", "1")}, 1},
		{limited, Request{Method: readMethod, Metadata: metadata.Pairs("canary", "1")}, 0},
		{some, Request{Method: writeMethod, Metadata: metadata.Pairs("canary", "1")}, 0},
		{all, Request{Method: writeMethod}, 1},
		{all, Request{Method: readMethod}, 0},
	} {
		p := routePickerOf(t, nodes, Rule{Tags: &test.rule})
		if got := reach(p, nodes, test.r); !slices.Equal(got, []int{test.want}) {
			t.Errorf("methods %v, metadata %v: went to %v, want %d", test.rule.Methods, test.r.Metadata, got, test.want)
		}
	}
}

func TestFallbacks(t *testing.T) {
	tags := func(fallback Fallback, to map[string]string) Rule {
		return Rule{Tags: &TagRule{Tags: canaryTags, Percent: 100}, Fallback: fallback, FallbackTags: to}
	}
	spare := map[string]string{"spare": "yes"}
	const c = "tag.track=canary"
	for _, test := range []struct {
		name  string
		nodes []string
		out   []int
		rule  Rule
		want  []int
	}{
		{"there", []string{c, "", "tag.spare=yes"}, nil, tags("", nil), []int{0}},
		{"missing, all", []string{"", "", "tag.spare=yes"}, nil, tags("", nil), []int{0, 1, 2}},
		{"missing, none", []string{"", "", "tag.spare=yes"}, nil, tags(FallbackNone, nil), nil},
		{"missing, tags", []string{"", "", "tag.spare=yes"}, nil, tags(FallbackTags, spare), []int{2}},
		{"missing, tags missing", []string{"", "", ""}, nil, tags(FallbackTags, spare), nil},
		{"out, all", []string{c, "", "tag.spare=yes"}, []int{0}, tags(FallbackAll, nil), []int{1, 2}},
		{"out, none", []string{c, "", "tag.spare=yes"}, []int{0}, tags(FallbackNone, nil), []int{0}},
		{"out, tags", []string{c, "", "tag.spare=yes"}, []int{0}, tags(FallbackTags, spare), []int{2}},
		{"out, tags out as well", []string{c, "", "tag.spare=yes", "", ""}, []int{0, 2}, tags(FallbackTags, spare), []int{0}},
		{"partly out", []string{c, c, c, ""}, []int{0, 1}, tags(FallbackAll, nil), []int{2}},
	} {
		nodes := routeNodes(t, test.nodes...)
		for _, i := range test.out {
			nodes[i].MarkOut(Unhealthy)
		}
		if got := reach(routePickerOf(t, nodes, test.rule), nodes, Request{}); !slices.Equal(got, test.want) {
			t.Errorf("%s: calls go to %v, want %v", test.name, got, test.want)
		}
	}
}

func TestRole(t *testing.T) {
	nodes := routeNodes(t, "role=leader", "role=replica;tag.lag=1s", "role=replica;tag.lag=1m", "role=replica", "role=replica;tag.lag=soon", "role=replica;tag.behind=3s", "", "role=arbiter")
	reads, writes := Request{Method: readMethod}, Request{Method: writeMethod}
	own := Request{Method: readMethod, Metadata: metadata.Pairs("read-your-writes", "")}
	fresh := RoleRule{MaxStaleness: 5 * time.Second}
	for _, test := range []struct {
		name string
		rule RoleRule
		r    Request
		want []int
	}{
		{"writes", RoleRule{}, writes, []int{0}},
		{"no method is a write", RoleRule{}, Request{}, []int{0}},
		{"reads", RoleRule{}, reads, []int{1, 2, 3, 4, 5}},
		{"leaders as well", RoleRule{Leader: true}, reads, []int{0, 1, 2, 3, 4, 5}},
		{"fresh", fresh, reads, []int{1}},
		{"just fresh", RoleRule{MaxStaleness: time.Second}, reads, []int{1}},
		{"none is fresh", RoleRule{MaxStaleness: time.Second - 1}, reads, []int{0}},
		{"unknown", RoleRule{MaxStaleness: time.Second, UnknownLag: true}, reads, []int{1, 3, 4, 5}},
		{"other tag", RoleRule{MaxStaleness: time.Minute, LagTag: "behind"}, reads, []int{5}},
		{"own writes", RoleRule{LeaderKey: "read-your-writes"}, own, []int{0}},
		{"own writes are not asked for", RoleRule{LeaderKey: "read-your-writes", MaxStaleness: time.Second}, reads, []int{1}},
	} {
		if got := reach(routePickerOf(t, nodes, Rule{Role: &test.rule}), nodes, test.r); !slices.Equal(got, test.want) {
			t.Errorf("%s: calls go to %v, want %v", test.name, got, test.want)
		}
	}
	without := routeNodes(t, "role=replica", "")
	if n := routePickerOf(t, without, Rule{Role: &RoleRule{}}).Pick(&writes); n != nil {
		t.Errorf("a write went to %v", n.Endpoint().Role)
	}
	if got := reach(routePickerOf(t, without, Rule{Role: &RoleRule{}}), without, reads); !slices.Equal(got, []int{0}) {
		t.Errorf("without a leader reads go to %v", got)
	}
}

func TestLane(t *testing.T) {
	nodes := routeNodes(t, "", "tag.lane=1", "tag.lane=2-3, 5", "tag.lane=heavy", "")
	for _, test := range []struct {
		lane     uint8
		fallback Fallback
		out      []int
		want     []int
	}{
		{0, "", nil, []int{0, 4}},
		{1, "", nil, []int{1}},
		{3, "", nil, []int{2}},
		{5, "", nil, []int{2}},
		{4, "", nil, []int{0, 4}},
		{4, FallbackNone, nil, nil},
		{200, "", nil, []int{0, 4}},
		{1, "", []int{1}, []int{0, 4}},
		{1, FallbackNone, []int{1}, []int{1}},
		{1, "", []int{1, 0}, []int{4}},
		{0, "", []int{0, 4}, []int{1, 2, 3}},
	} {
		for _, n := range nodes {
			n.MarkIn(Ejected)
		}
		for _, i := range test.out {
			nodes[i].MarkOut(Ejected)
		}
		p := routePickerOf(t, nodes, Rule{Lane: &LaneRule{}, Fallback: test.fallback})
		if got := reach(p, nodes, Request{Class: call.Class{Lane: test.lane}}); !slices.Equal(got, test.want) {
			t.Errorf("lane %d, fallback %q, %v out: calls go to %v, want %v", test.lane, test.fallback, test.out, got, test.want)
		}
	}
}
