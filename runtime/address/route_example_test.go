package address_test

import (
	"fmt"
	"time"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/metadata"
)

func ExampleRoutes() {
	routes := address.Routes{
		Local: address.Location{Zone: "a"},
		Rules: []address.Rule{
			// Calls that ask for it, and no others, meet the new version.
			{Tags: &address.TagRule{
				Tags:     map[string]string{"track": "canary"},
				Metadata: []address.MetadataMatch{{Key: "canary"}},
			}},
			// Others stay in the zone while it has capacity for them.
			{Zone: &address.ZoneRule{}},
		},
	}
	balancer, err := routes.Balancer(address.Default(1))
	if err != nil {
		fmt.Println(err)
		return
	}
	pool := address.NewPool(address.PoolConfig{Balancer: balancer})
	pool.Update(1, []address.Endpoint{
		{Network: "tcp", Addr: "10.0.0.1:7000", Zone: "a"},
		{Network: "tcp", Addr: "10.0.1.1:7000", Zone: "b"},
		{Network: "tcp", Addr: "10.0.1.2:7000", Zone: "b", Tags: map[string]string{"track": "canary"}},
	})
	fmt.Println(pool.Pick(&address.Request{}).Endpoint())
	fmt.Println(pool.Pick(&address.Request{Metadata: metadata.Pairs("canary", "yes")}).Endpoint())

	pool.Nodes()[0].MarkOut(address.Unhealthy) // all that the zone has
	fmt.Println(pool.Pick(&address.Request{}).Endpoint())
	// Output:
	// tcp://10.0.0.1:7000
	// tcp://10.0.1.2:7000
	// tcp://10.0.1.1:7000
}

func ExampleParseRoutes() {
	routes, err := address.ParseRoutes([]byte(`{
	  "rules": [
	    {"partition": {"count": 16}},
	    {"role": {"max_staleness": "2s", "leader_key": "read-your-writes"}},
	    {"zone": {}}
	  ]
	}`))
	fmt.Println(len(routes.Rules), routes.Rules[1].Role.MaxStaleness, err)
	fmt.Println(routes.Validate())
	routes.Local.Zone = "a"
	fmt.Println(routes.Validate())

	_, err = address.ParseRoutes([]byte(`{"rules": [{"partition": {"cuont": 16}}]}`))
	fmt.Println(err)
	// Output:
	// 3 2s <nil>
	// rules[2].zone.local: needs Routes.Local.Zone, which is empty
	// <nil>
	// line 1, column 27: field "cuont" is not known here
}

// Keys whose calls go to the same servers have the same shard.
func ExamplePool_Shard() {
	routes := address.Routes{Rules: []address.Rule{{Partition: &address.PartitionRule{Count: 2}}}}
	balancer, err := routes.Balancer(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	pool := address.NewPool(address.PoolConfig{Balancer: balancer})
	pool.Update(1, []address.Endpoint{
		{Network: "tcp", Addr: "10.0.0.1:7000", Tags: map[string]string{"partition": "0"}},
		{Network: "tcp", Addr: "10.0.0.2:7000", Tags: map[string]string{"partition": "1"}},
	})
	for _, user := range []string{"ann", "bob", "cid"} {
		key := call.TextKey(user)
		r := &address.Request{Key: key, Hash: key.Hash(), HasKey: true}
		shard, ok := pool.Shard(r)
		fmt.Println(user, shard, ok, pool.Pick(r).Endpoint())
	}
	// Output:
	// ann 0 true tcp://10.0.0.1:7000
	// bob 1 true tcp://10.0.0.2:7000
	// cid 0 true tcp://10.0.0.1:7000
}

func ExampleLanes() {
	lanes, err := address.NewLanes(address.LanesConfig{
		Rules: []address.LaneKeys{{Lane: 2, Keys: []string{"acme"}, Suffixes: []string{"@bulk"}}},
		Hot:   &address.HotKeys{Lane: 1, Share: 0.2, Window: time.Second},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	lane := func(user string, now time.Duration) (uint8, bool) {
		key := call.TextKey(user)
		return lanes.Lane(key, key.Hash(), int64(now))
	}
	fmt.Println(lane("acme", time.Second))
	fmt.Println(lane("ann", time.Second))
	for i := range 1000 { // in the next second every second call is of ann
		now := time.Second + time.Duration(i)*time.Millisecond
		lane("ann", now)
		lane(fmt.Sprint("user ", i), now)
	}
	fmt.Println(lane("ann", 2*time.Second))
	fmt.Println(lane("bob", 2*time.Second))
	// Output:
	// 2 true
	// 0 false
	// 1 true
	// 0 false
}
