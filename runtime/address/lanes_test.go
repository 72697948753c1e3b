package address

import (
	"math"
	"testing"

	"github.com/rpcx-go/rpcx/runtime/call"
)

func mustLanes(t testing.TB, cfg LanesConfig) *Lanes {
	t.Helper()
	l, err := NewLanes(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLanesValidate(t *testing.T) {
	one := func(k LaneKeys) LanesConfig { return LanesConfig{Rules: []LaneKeys{k}} }
	hot := func(h HotKeys) LanesConfig { return LanesConfig{Hot: &h} }
	for want, cfg := range map[string]LanesConfig{
		"rules[0].lane: is 0, want 1 to 7":                               one(LaneKeys{Keys: []string{"a"}}),
		"rules[0].lane: is 8, want 1 to 7":                               one(LaneKeys{Lane: 8, Keys: []string{"a"}}),
		"rules[0]: has no keys, want ranges, keys, prefixes or suffixes": one(LaneKeys{Lane: 1}),
		"rules[0].ranges[1].to: is 4, want at least from, 5":             one(LaneKeys{Lane: 1, Ranges: []KeyRange{{1, 1}, {5, 4}}}),
		"rules[0].prefixes[0]: is empty, which is a prefix of every key": one(LaneKeys{Lane: 1, Prefixes: []string{""}}),
		"rules[0].suffixes[1]: is empty, which is a suffix of every key": one(LaneKeys{Lane: 1, Suffixes: []string{"x", ""}}),
		"hot.lane: is 0, want 1 to 7":                                    hot(HotKeys{Share: 0.1}),
		"hot.share: is 0, want 0.001 to 1":                               hot(HotKeys{Lane: 1}),
		"hot.share: is 2, want 0.001 to 1":                               hot(HotKeys{Lane: 1, Share: 2}),
		"hot.cool: is 0.2, want 0 to share, 0.1":                         hot(HotKeys{Lane: 1, Share: 0.1, Cool: 0.2}),
		"hot.cool: is NaN, want 0 to share, 0.1":                         hot(HotKeys{Lane: 1, Share: 0.1, Cool: math.NaN()}),
		"hot.window: is 1ns, want 100ms to 1h":                           hot(HotKeys{Lane: 1, Share: 0.1, Window: 1}),
		"hot.window: is -1ns, want 100ms to 1h":                          hot(HotKeys{Lane: 1, Share: 0.1, Window: -1}),
	} {
		if _, err := NewLanes(cfg); err == nil || err.Error() != "lanes: "+want {
			t.Errorf("got %v\nwant lanes: %s", err, want)
		}
	}
}

func TestLanesRules(t *testing.T) {
	l := mustLanes(t, LanesConfig{Rules: []LaneKeys{
		{Lane: 1, Ranges: []KeyRange{{500, 599}, {10, 19}, {15, 30}, {math.MaxUint64, math.MaxUint64}}},
		{Lane: 2, Keys: []string{"acme", "15", "77"}},
		{Lane: 3, Prefixes: []string{"test-", "9"}, Suffixes: []string{"@acme.com"}},
		{Lane: 4, Keys: []string{"test-x", ""}},
	}})
	for _, test := range []struct {
		key  call.Key
		want uint8 // 0 for none
	}{
		{call.Key{}, 0},
		{call.UintKey(8), 0},
		{call.UintKey(9), 3},
		{call.UintKey(10), 1},
		{call.IntKey(15), 1},
		{call.TextKey("30"), 1},
		{call.UintKey(31), 0},
		{call.UintKey(599), 1},
		{call.UintKey(math.MaxUint64), 1},
		{call.UintKey(77), 2},
		{call.TextKey("acme"), 2},
		{call.TextKey("acme2"), 0},
		{call.TextKey("test-x"), 3},
		{call.UintKey(900), 3},
		{call.IntKey(-900), 0},
		{call.TextKey("ann@acme.com"), 3},
		{call.TextKey(""), 4},
	} {
		if lane, ok := l.Lane(test.key, test.key.Hash(), 1); lane != test.want || ok != (test.want > 0) {
			t.Errorf("key %q: got lane %d, %v, want %d", test.key, lane, ok, test.want)
		}
	}
	key := call.BytesKey([]byte("a text that is far longer than any number is, and than buffers on the stack are"))
	for _, key := range []call.Key{key, call.UintKey(math.MaxUint64 - 1)} {
		if allocs := testing.AllocsPerRun(100, func() { l.Lane(key, 1, 1) }); allocs != 0 {
			t.Errorf("key %v: %v allocations", key, allocs)
		}
	}
}
