package address

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const routesText = `{
  "local": {"zone": "a", "region": "eu"},
  "rules": [
    {"role": {"leader": true, "max_staleness": "1.5s", "lag_tag": "behind", "unknown_lag": true, "leader_key": "own"}},
    {"tags": {"tags": {"track": "canary"}, "percent": 2.5, "metadata": [{"key": "u", "value": "ann"}, {"key": "v", "prefix": "b"}], "methods": ["a.B"], "shared": true},
     "fallback": "tags", "fallback_tags": {"track": "stable"}},
    {"partition": {"count": 8, "tag": "shard", "ranges": [{"from": 1, "to": 9, "partition": 7}]}, "fallback": "all"},
    {"regions": {"regions": ["eu", "us"], "threshold": 0.7, "overprovision": 2}},
    {"lane": {"tag": "l"}},
    {"zone": {"overprovision": 1}, "fallback": "none"}
  ]
}`

func TestParseRoutes(t *testing.T) {
	want := Routes{Local: Location{"a", "eu"}, Rules: []Rule{
		{Role: &RoleRule{Leader: true, MaxStaleness: 1500 * time.Millisecond, LagTag: "behind", UnknownLag: true, LeaderKey: "own"}},
		{Tags: &TagRule{Tags: canaryTags, Percent: 2.5, Metadata: []MetadataMatch{{"u", "ann", ""}, {"v", "", "b"}}, Methods: []string{"a.B"}, Shared: true},
			Fallback: FallbackTags, FallbackTags: map[string]string{"track": "stable"}},
		{Partition: &PartitionRule{Count: 8, Tag: "shard", Ranges: []PartitionRange{{1, 9, 7}}}, Fallback: FallbackAll},
		{Regions: &RegionRule{Regions: []string{"eu", "us"}, Threshold: 0.7, Overprovision: 2}},
		{Lane: &LaneRule{Tag: "l"}},
		{Zone: &ZoneRule{Overprovision: 1}, Fallback: FallbackNone},
	}}
	got, err := ParseRoutes([]byte(routesText))
	if err != nil || cmp.Diff(want, got) != "" {
		t.Fatalf("got %v, %s", err, cmp.Diff(want, got))
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := ParseRoutes(text); err != nil || cmp.Diff(want, again) != "" {
		t.Errorf("%s: got %v, %s", text, err, cmp.Diff(want, again))
	}
}

func TestParseLanes(t *testing.T) {
	want := LanesConfig{
		Rules: []LaneKeys{{Lane: 2, Ranges: []KeyRange{{1, 2}}, Keys: []string{"a"}, Prefixes: []string{"b"}, Suffixes: []string{"c"}}},
		Hot:   &HotKeys{Lane: 1, Share: 0.01, Cool: 0.002, Window: time.Minute},
	}
	const text = `{"rules": [{"lane": 2, "ranges": [{"from": 1, "to": 2}], "keys": ["a"], "prefixes": ["b"], "suffixes": ["c"]}],
		"hot": {"lane": 1, "share": 0.01, "cool": 0.002, "window": "1m"}}`
	got, err := ParseLanes([]byte(text))
	if err != nil || cmp.Diff(want, got) != "" {
		t.Fatalf("got %v, %s", err, cmp.Diff(want, got))
	}
	written, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := ParseLanes(written); err != nil || cmp.Diff(want, again) != "" {
		t.Errorf("%s: got %v, %s", written, err, cmp.Diff(want, again))
	}
}

func TestParseRoutesErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                  "line 1, column 1: the object has no end",
		"{\n  \"rules\": [": "line 2, column 13: the object has no end",
		"{}\n x":            "line 2, column 2: want nothing behind the object",
		"{} {}":             "line 1, column 4: want nothing behind the object",
		"{} ,":              "line 1, column 4: want nothing",
		"{,}":               "line 1, column 2: invalid character",
		"[]":                "line 1, column 1: want an object, not array",
		`{"rules": {}}`:     "line 1, column 11: rules: want an array, not object",
		`{"local": 3}`:      "line 1, column 11: local: want an object, not number",
		`{"rules": [{"zone": {}, "fallback": []}]}`: "fallback: want a string, not array",
		`{"rulez": []}`:                                    `line 1, column 2: field "rulez" is not known here`,
		"{\"rules\": [\n{\"zones\": {}}]}":                 `line 2, column 2: field "zones" is not known here`,
		`{"rules": [{"role": {"lead": true}}]}`:            `line 1, column 22: field "lead" is not known here`,
		`{"rules": [{"role": {"leader": 1}}]}`:             "leader: want true or false, not number",
		`{"rules": [{"role": {"max_staleness": "soon"}}]}`: `line 1, column 39: max_staleness: is "soon", want a duration as in "1.5s"`,
		`{"rules": [{"zone": {"overprovision": "x"}}]}`:    "overprovision: want a number, not string",
	} {
		_, err := ParseRoutes([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngot  %v\nwant %s", text, err, want)
		}
	}
	const lanes = `{"hot": {"lane": 1, "window": "long"}}`
	if _, err := ParseLanes([]byte(lanes)); err == nil || err.Error() != `line 1, column 31: window: is "long", want a duration as in "1.5s"` {
		t.Errorf("got %v", err)
	}
}

func FuzzParseRoutes(f *testing.F) {
	f.Add(routesText)
	f.Add(`{"rules":[{"role":{"max_staleness":""}}]} x`)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRoutes([]byte(text))
		if err != nil {
			return
		}
		if b, err := r.Balancer(nil); err == nil {
			nodes := testNodes(2)
			b.Picker(NewView(nodes, 1), nil).Pick(&Request{})
		}
	})
}
