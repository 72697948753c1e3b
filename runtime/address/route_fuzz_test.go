package address

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/metadata"
)

// world is nodes, rules and calls drawn at random.
type world struct {
	*rand.Rand
	routes Routes
}

func newWorld(seed uint64) *world { return &world{Rand: rand.New(rand.NewPCG(seed, 1))} }

func (w *world) one(of ...string) string { return of[w.IntN(len(of))] }
func (w *world) chance(percent int) bool { return w.IntN(100) < percent }

func (w *world) nodes() []*Node {
	nodes := testNodes(1+w.IntN(12), 1, 2, 5)
	out := w.one("0", "20", "60")
	for _, n := range nodes {
		e := n.Endpoint()
		e.Zone, e.Region, e.Role = w.one("a", "b", "c", ""), w.one("eu", "us", ""), w.one("leader", "replica", "replica", "")
		e.Tags = map[string]string{}
		for tag, value := range map[string]string{
			"partition": w.one("0", "1", "2", "0-2", "1,2", "?"), "lane": w.one("0", "1", "1-2"),
			"track": w.one("canary", "stable"), "lag": w.one("1s", "1m", "?"), "spare": w.one("yes", "no"),
		} {
			if w.chance(70) {
				e.Tags[tag] = value
			}
		}
		n.endpoint.Store(&e)
		if w.chance(int(out[0]-'0') * 10) {
			n.MarkOut(Reason(1 << w.IntN(4)))
		}
	}
	return nodes
}

func (w *world) rule() Rule {
	percent := 100 * float64(w.IntN(2)) // others would be drawn again for each call
	rule := [...]Rule{
		{Tags: &TagRule{Tags: canaryTags, Percent: percent, Metadata: []MetadataMatch{{Key: "canary"}}, Shared: w.chance(50)}},
		{Zone: &ZoneRule{}},
		{Regions: &RegionRule{Regions: []string{"eu", "us"}[:1+w.IntN(2)], Threshold: float64(w.IntN(2)) / 2}},
		{Role: &RoleRule{Leader: w.chance(50), MaxStaleness: time.Duration(w.IntN(2)) * time.Second, LeaderKey: "fresh"}},
		{Partition: &PartitionRule{Count: 3}},
		{Lane: &LaneRule{}},
	}[w.IntN(6)]
	rule.Fallback = Fallback(w.one("", "all", "none", "tags"))
	if rule.Fallback == FallbackTags {
		rule.FallbackTags = map[string]string{"spare": "yes"}
	}
	return rule
}

func (w *world) request(nodes []*Node) *Request {
	r := &Request{
		Method: []*call.Method{nil, readMethod, writeMethod}[w.IntN(3)],
		Class:  call.Class{Lane: uint8(w.IntN(4))}, Rand: w.Uint64, Now: int64(w.IntN(2)),
	}
	if w.chance(60) {
		r.HasKey, r.Hash = true, uint64(w.IntN(7))
	}
	if w.chance(30) {
		r.Metadata = metadata.Pairs(w.one("canary", "fresh", "other"), "1")
	}
	for range w.IntN(3) {
		r.Tried = append(r.Tried, nodes[w.IntN(len(nodes))])
	}
	return r
}

// allows says, in the plainest way, whether the rule lets a call go to the endpoint, first
// or as a fallback.
func allows(rule *Rule, local Location, r *Request, e Endpoint) bool {
	_, _, fallback, _ := rule.kind()
	if fallback == FallbackAll || fallback == FallbackTags && e.hasTags(rule.FallbackTags) {
		return true
	}
	switch {
	case rule.Tags != nil:
		wanted := rule.Tags.Percent > 0 || r.Metadata.Has("canary")
		return wanted == (e.Tags["track"] == "canary") || !wanted && rule.Tags.Shared
	case rule.Zone != nil:
		return e.Zone == local.Zone
	case rule.Regions != nil:
		return slices.Contains(rule.Regions.Regions, e.Region)
	case rule.Role != nil:
		reads := r.Method != nil && r.Method.ReadOnly() && !r.Metadata.Has("fresh")
		return e.Role == "leader" || reads && e.Role == "replica" && (rule.Role.MaxStaleness == 0 || e.Tags["lag"] == "1s")
	case rule.Partition != nil:
		held := map[string][]uint64{"0": {0}, "1": {1}, "2": {2}, "0-2": {0, 1, 2}, "1,2": {1, 2}}[e.Tags["partition"]]
		return r.HasKey && slices.Contains(held, r.Hash%3)
	}
	lane, ok := e.Tags["lane"]
	if !ok {
		lane = "0"
	}
	return slices.Contains(map[string][]uint8{"0": {0}, "1": {1}, "1-2": {1, 2}}[lane], r.Class.Lane)
}

// checkRoutes draws rules, nodes and calls. No call goes to a node that a rule forbids, and
// none fails if there is one that may have it, or goes to one that is suspected or was tried
// if there is one that is neither.
func checkRoutes(t *testing.T, seed uint64) {
	w := newWorld(seed)
	w.routes = Routes{Local: Location{Zone: "a"}, Rules: make([]Rule, 1+w.IntN(4))}
	for i := range w.routes.Rules {
		w.routes.Rules[i] = w.rule()
	}
	of := []Balancer{P2C{}, RoundRobin{}, PickFirst{}, LeastRequest{}}[w.IntN(4)]
	if w.chance(5) {
		of = Hash{} // its tables take time
	}
	b := mustBalance(t, of, w.routes)
	var p Picker
	for generation := range 3 {
		nodes := w.nodes()
		v := NewView(nodes, 1)
		p = b.Picker(v, p)
		for range 20 {
			r := w.request(nodes)
			n := p.Pick(r)
			best := rankNone
			for _, other := range nodes {
				if w.allows(r, other) {
					best = max(best, rankOf(r, other))
				}
			}
			describe := func() string {
				return fmt.Sprintf("seed %d, generation %d, %T, rules %+v, request %+v", seed, generation, of, w.routes.Rules, r)
			}
			switch {
			case n == nil && best >= rankTried:
				t.Fatalf("no node, though there is one: %s", describe())
			case n != nil && !w.allows(r, n):
				t.Fatalf("went to %+v, which a rule forbids: %s", n.Endpoint(), describe())
			case best == rankGood && !v.Panics() && rankOf(r, n) < best:
				t.Fatalf("went to %+v (out: %v), though there is a better one: %s", n.Endpoint(), n.Out(), describe())
			}
		}
	}
}

func (w *world) allows(r *Request, n *Node) bool {
	for i := range w.routes.Rules {
		if !allows(&w.routes.Rules[i], w.routes.Local, r, n.Endpoint()) {
			return false
		}
	}
	return true
}

func rankOf(r *Request, n *Node) rank {
	switch {
	case r.tried(n):
		return rankTried
	case n.Out() != 0:
		return rankSuspect
	}
	return rankGood
}

func TestRoutesKeepRules(t *testing.T) {
	for seed := range uint64(1000) {
		checkRoutes(t, seed)
	}
}

func FuzzRoutes(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(checkRoutes)
}

// threeRules are rules of which most calls meet all.
func threeRules() Routes {
	return Routes{Local: Location{Zone: "a"}, Rules: []Rule{
		{Role: &RoleRule{Leader: true, MaxStaleness: time.Minute, LeaderKey: "fresh"}, Fallback: FallbackAll},
		{Tags: &TagRule{Tags: canaryTags, Percent: 5, Metadata: []MetadataMatch{{Key: "canary"}}}},
		{Zone: &ZoneRule{}},
	}}
}

func threeRuleNodes(t testing.TB, n int) []*Node {
	nodes := make([]string, n)
	for i := range nodes {
		nodes[i] = fmt.Sprintf("zone=%c;role=%s", 'a'+i%3, []string{"leader", "replica;tag.lag=1s"}[min(i%5, 1)])
		if i%7 == 0 {
			nodes[i] += ";tag.track=canary"
		}
	}
	return routeNodes(t, nodes...)
}

func TestRoutesDoNotAllocate(t *testing.T) {
	lost := routeNodes(t, "zone=b", "zone=a;tag.partition=0-2;tag.lane=3", "zone=b;tag.partition=0-1")
	lost[1].MarkOut(Ejected)
	for name, test := range map[string]struct {
		nodes  []*Node
		routes Routes
	}{
		"three rules": {threeRuleNodes(t, 60), threeRules()},
		"fallbacks": {lost, Routes{Local: Location{Zone: "a", Region: "eu"}, Rules: []Rule{
			{Partition: &PartitionRule{Count: 3}, Fallback: FallbackAll}, {Regions: &RegionRule{}}, {Lane: &LaneRule{}},
			{Zone: &ZoneRule{}}, {Tags: &TagRule{Tags: canaryTags, Percent: 50}, Fallback: FallbackTags, FallbackTags: map[string]string{"x": "y"}}}}},
	} {
		p := mustBalance(t, Hash{}, test.routes).Picker(NewView(test.nodes, 1), nil)
		r := &Request{Method: readMethod, Metadata: metadata.Pairs("agent", "x", "other", "y"), Now: 1}
		step := func() {
			r.Now += 1000
			r.Hash++
			r.HasKey = r.Hash%3 > 0
			r.Class.Lane = uint8(r.Hash % 5)
			r.Tried = nil
			if r.Hash%7 == 0 {
				r.Tried = test.nodes[:1]
			}
			if n := p.Pick(r); n != nil {
				n.Begin()
				n.End(r.Now, 1000, false)
			}
			shardOf(p, r)
		}
		for range 2000 { // make all parts
			step()
		}
		if allocs := testing.AllocsPerRun(2000, step); allocs != 0 {
			t.Errorf("%s: %v allocations a call, want none", name, allocs)
		}
	}
}

// TestRoutesConcurrency has 64 goroutines call while nodes come, go and are marked.
func TestRoutesConcurrency(t *testing.T) {
	pool := NewPool(PoolConfig{Balancer: mustBalance(t, Hash{Load: -1}, threeRules())})
	endpoints := make([]Endpoint, 30)
	for i, n := range threeRuleNodes(t, len(endpoints)) {
		endpoints[i] = n.Endpoint()
	}
	pool.Update(1, endpoints)
	var tasks sync.WaitGroup
	for g := range uint64(64) {
		tasks.Go(func() {
			r := &Request{Hash: g << 20, Now: 1}
			for i := range 200 {
				r.Hash, r.HasKey, r.Now = r.Hash+1, i%2 == 0, r.Now+ms
				r.Method = []*call.Method{readMethod, writeMethod}[i/2%2]
				n := pool.Pick(r)
				if n == nil {
					t.Error("no node")
					return
				}
				pool.Shard(r)
				n.Begin()
				n.End(r.Now, ms, i%10 == 0)
			}
		})
	}
	tasks.Go(func() {
		for i := range 40 {
			pool.Update(int64(i), endpoints[i%10:20+i%10])
			n := pool.Nodes()[i%20]
			n.MarkOut(Ejected)
			if i%3 > 0 {
				n.MarkIn(Ejected)
			}
		}
	})
	tasks.Wait()
}

func BenchmarkRoutes(b *testing.B) {
	nodes := threeRuleNodes(b, 100)
	three := threeRules()
	for _, test := range []struct {
		name   string
		picker Picker
	}{
		{"p2c", P2C{}.Picker(NewView(nodes, 1), nil)},
		{"1 rule", mustBalance(b, P2C{}, Routes{Local: three.Local, Rules: three.Rules[2:]}).Picker(NewView(nodes, 1), nil)},
		{"3 rules", mustBalance(b, P2C{}, three).Picker(NewView(nodes, 1), nil)},
		{"partition of 1024", mustBalance(b, P2C{}, Routes{Rules: []Rule{{Partition: &PartitionRule{Count: 1024}, Fallback: FallbackAll}}}).Picker(NewView(nodes, 1), nil)},
	} {
		b.Run(test.name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				r := &Request{Method: readMethod, Metadata: metadata.Pairs("agent", "x"), HasKey: test.name[0] == 'p' && len(test.name) > 5, Now: 1}
				for pb.Next() {
					r.Hash++
					test.picker.Pick(r)
				}
			})
		})
	}
	b.Run("make 3 rules", func(b *testing.B) {
		balancer, v := mustBalance(b, P2C{}, three), NewView(nodes, 1)
		r := &Request{Method: readMethod}
		for b.Loop() {
			balancer.Picker(v, nil).Pick(r)
		}
	})
}
