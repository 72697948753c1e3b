package address

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/rpcx-go/rpcx/runtime/call"
)

func keyed(k call.Key) Request { return Request{Key: k, Hash: k.Hash(), HasKey: k.Present()} }

func TestPartition(t *testing.T) {
	nodes := routeNodes(t, "tag.partition=0", "tag.partition=1, 3", "tag.partition=2-4", "tag.partition=4-5,0", "", "tag.partition=5-2", "tag.partition=x")
	holders := [][]int{{0, 3}, {1}, {2}, {1, 2}, {2, 3}, {3}}
	p := routePickerOf(t, nodes, Rule{Partition: &PartitionRule{Count: len(holders)}})
	counts := make([]float64, len(holders))
	const keys = 6000
	for i := range uint64(keys) {
		r := keyed(call.TextKey(fmt.Sprint("user-", i)))
		partition := int(r.Hash % uint64(len(holders)))
		counts[partition]++
		r.Rand = seeded(i)
		for range 10 {
			if n := p.Pick(&r); !slices.Contains(holders[partition], indices(nodes)[n]) {
				t.Fatalf("key %d of partition %d went to %v", i, partition, n.Endpoint().Tags)
			}
		}
	}
	for partition, n := range counts {
		// Binomial: deviation sqrt(6000 × 1/6 × 5/6) = 29.
		if math.Abs(n-keys/6) > 4*29 {
			t.Errorf("partition %d has %v of %d keys", partition, n, keys)
		}
	}
	if n := p.Pick(&Request{}); n != nil {
		t.Errorf("a call without a key went to %v", n.ID())
	}
}

func TestPartitionFallback(t *testing.T) {
	nodes := routeNodes(t, "tag.partition=0", "tag.partition=1", "tag.any=yes")
	for _, test := range []struct {
		name     string
		r        Request
		fallback Fallback
		out      bool // the node of partition 1
		want     []int
	}{
		{"held", Request{HasKey: true, Hash: 4}, FallbackAll, false, []int{1}},
		{"not held", Request{HasKey: true, Hash: 5}, FallbackAll, false, []int{0, 1, 2}},
		{"not held, none", Request{HasKey: true, Hash: 5}, "", false, nil},
		{"not held, tags", Request{HasKey: true, Hash: 5}, FallbackTags, false, []int{2}},
		{"no key", Request{Hash: 4}, FallbackAll, false, []int{0, 1, 2}},
		{"no key, none", Request{Hash: 4}, FallbackNone, false, nil},
		{"no key, tags", Request{Hash: 4}, FallbackTags, false, []int{2}},
		{"out", Request{HasKey: true, Hash: 4}, FallbackAll, true, []int{0, 2}},
		{"out, none", Request{HasKey: true, Hash: 4}, FallbackNone, true, []int{1}},
		{"out, tags", Request{HasKey: true, Hash: 4}, FallbackTags, true, []int{2}},
	} {
		nodes[1].MarkIn(Ejected)
		if test.out {
			nodes[1].MarkOut(Ejected)
		}
		rule := Rule{Partition: &PartitionRule{Count: 3}, Fallback: test.fallback}
		if test.fallback == FallbackTags {
			rule.FallbackTags = map[string]string{"any": "yes"}
		}
		if got := reach(routePickerOf(t, nodes, rule), nodes, test.r); !slices.Equal(got, test.want) {
			t.Errorf("%s: calls go to %v, want %v", test.name, got, test.want)
		}
	}
}

func TestPartitionRanges(t *testing.T) {
	nodes := routeNodes(t, "tag.shard=0", "tag.shard=1", "tag.shard=2")
	rule := PartitionRule{Count: 3, Tag: "shard", Ranges: []PartitionRange{{1000, math.MaxUint64, 1}, {0, 9, 2}, {10, 99, 0}}}
	p := routePickerOf(t, nodes, Rule{Partition: &rule})
	for _, test := range []struct {
		key  call.Key
		want []int
	}{
		{call.UintKey(0), []int{2}},
		{call.UintKey(9), []int{2}},
		{call.IntKey(10), []int{0}},
		{call.TextKey("99"), []int{0}},
		{call.UintKey(100), nil},
		{call.UintKey(999), nil},
		{call.UintKey(1000), []int{1}},
		{call.UintKey(math.MaxUint64), []int{1}},
		{call.IntKey(-1), nil},
		{call.TextKey("ann"), nil},
		{call.Key{}, nil},
	} {
		if got := reach(p, nodes, keyed(test.key)); !slices.Equal(got, test.want) {
			t.Errorf("key %v: goes to %v, want %v", test.key, got, test.want)
		}
	}
}

// TestPartitionMovement: when an endpoint goes only keys of its partitions move.
func TestPartitionMovement(t *testing.T) {
	nodes := routeNodes(t, "tag.partition=0-15", "tag.partition=0-7", "tag.partition=8-15", "tag.partition=16-31", "tag.partition=16-31")
	b := mustBalance(t, Hash{Load: -1}, Routes{Rules: []Rule{{Partition: &PartitionRule{Count: 32}}}})
	all := b.Picker(NewView(nodes, 1), nil)
	fewer := b.Picker(NewView(nodes[1:], 1), all)
	for key := range uint64(20_000) {
		r := &Request{HasKey: true, Hash: mix(key)}
		was, is := all.Pick(r), fewer.Pick(r)
		if was != nodes[0] && was != is {
			t.Fatalf("key %d went from %v to %v when another one left", key, was.ID(), is.ID())
		}
	}
}

func TestParseSpans(t *testing.T) {
	for text, want := range map[string]spans{
		"3": {{3, 3}}, "0,3": {{0, 0}, {3, 3}}, "0-7": {{0, 7}}, " 1 , 4-4": {{1, 1}, {4, 4}},
		"18446744073709551615": {{math.MaxUint64, math.MaxUint64}},
		"":                     nil, "1,": nil, "a": nil, "1-": nil, "-1": nil, "5-2": nil, "1-2-3": nil, "18446744073709551616": nil, "1 - 2": nil, "+1": nil,
	} {
		if got := parseSpans(text); !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

func shardIDs(t *testing.T, p Picker, keys int, group func(*Request) string) {
	t.Helper()
	byID, byGroup := make(map[uint64]string), make(map[string]uint64)
	for key := range uint64(keys) {
		r := &Request{HasKey: true, Hash: key}
		id, ok := shardOf(p, r)
		if !ok {
			t.Fatalf("key %d has no shard", key)
		}
		want := group(r)
		if was, ok := byID[id]; ok && was != want {
			t.Fatalf("shard %d is of %s and of %s", id, was, want)
		}
		if was, ok := byGroup[want]; ok && was != id {
			t.Fatalf("%s has the shards %d and %d", want, was, id)
		}
		byID[id], byGroup[want] = want, id
	}
	if len(byID) < 2 {
		t.Errorf("%d shards, which shows nothing", len(byID))
	}
}

// TestShard: equal numbers if and only if the calls go to the same server, for the same partition.
func TestShard(t *testing.T) {
	nodes := routeNodes(t, slices.Concat(times(3, "tag.partition=0"), times(3, "tag.partition=1"), times(2, "tag.partition=0-1;tag.track=canary"))...)
	nodes[2].MarkOut(Ejected)
	partition := Rule{Partition: &PartitionRule{Count: 2}}
	canary := Rule{Tags: &TagRule{Tags: canaryTags, Percent: 30}}
	zone := Rule{Zone: &ZoneRule{}} // there is none: all goes to others
	node := func(p Picker, rules []Rule) func(*Request) string {
		return func(r *Request) string {
			text := p.Pick(r).ID().String()
			if slices.ContainsFunc(rules, func(r Rule) bool { return r.Partition != nil }) {
				text += fmt.Sprint(" for partition ", r.Hash%2)
			}
			return text
		}
	}
	for name, of := range map[string]Balancer{"hash": Hash{Load: -1}, "default": Hash{Load: -1, Fallback: Subset{}}, "subset": Subset{Size: 4, Of: Hash{Load: -1}}} {
		for _, rules := range [][]Rule{nil, {partition}, {canary}, {canary, partition}, {partition, canary, zone}} {
			b := mustBalance(t, of, Routes{Local: Location{Zone: "a"}, Rules: rules})
			p := b.Picker(NewView(nodes, 1), nil)
			t.Run(fmt.Sprint(name, " ", len(rules)), func(t *testing.T) { shardIDs(t, p, 2000, node(p, rules)) })
		}
	}
	p2c := func(rules ...Rule) Picker {
		return mustBalance(t, nil, Routes{Local: Location{Zone: "a"}, Rules: rules}).Picker(NewView(nodes, 1), nil)
	}
	p := p2c(partition)
	for key := range uint64(100) {
		if id, ok := shardOf(p, &Request{HasKey: true, Hash: key}); !ok || id != key%2 {
			t.Errorf("key %d: got shard %d, %v, want the partition", key, id, ok)
		}
	}
	missing := Rule{Partition: &PartitionRule{Count: 3}, Fallback: FallbackAll} // nobody holds partition 2
	p = mustBalance(t, Hash{Load: -1}, Routes{Rules: []Rule{missing}}).Picker(NewView(nodes, 1), nil)
	shardIDs(t, p, 1000, func(r *Request) string { return fmt.Sprint(p.Pick(r).ID(), r.Hash%3) })
	p = p2c(canary, partition)
	shardIDs(t, p, 1000, func(r *Request) string {
		return fmt.Sprint(p.Pick(r).Endpoint().Tags["track"], r.Hash%2)
	})
	for name, p := range map[string]Picker{"p2c": P2C{}.Picker(NewView(nodes, 1), nil), "canary and p2c": p2c(canary)} {
		if id, ok := shardOf(p, &Request{HasKey: true}); ok {
			t.Errorf("%s: got shard %d, though keys do not matter", name, id)
		}
	}
	for name, p := range map[string]Picker{"partition": p, "hash": Hash{}.Picker(NewView(nodes, 1), nil)} {
		if id, ok := shardOf(p, &Request{}); ok {
			t.Errorf("%s: got shard %d without a key", name, id)
		}
	}
}

func TestPoolShard(t *testing.T) {
	pool := NewPool(PoolConfig{Balancer: Hash{}})
	r := &Request{HasKey: true, Hash: 7}
	if _, ok := pool.Shard(r); ok {
		t.Error("a pool without nodes has shards")
	}
	pool.Update(1, []Endpoint{testEndpoint(1), testEndpoint(2)})
	id, ok := pool.Shard(r)
	n := pool.Pick(r)
	for range 100 { // load does not matter
		n.Begin()
	}
	if again, _ := pool.Shard(r); !ok || again != id || pool.Pick(r) == n {
		t.Errorf("got shard %d, %v, and under load %d", id, ok, again)
	}
	if allocs := testing.AllocsPerRun(100, func() { pool.Shard(r) }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
