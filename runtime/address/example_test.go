package address_test

import (
	"context"
	"fmt"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/metadata"
)

func ExamplePool() {
	pool := address.NewPool(address.PoolConfig{Balancer: address.Hash{}})
	now := int64(1) // nanoseconds since the process started
	pool.Update(now, []address.Endpoint{
		{Network: "tcp", Addr: "10.0.0.1:7000"},
		{Network: "tcp", Addr: "10.0.0.2:7000", Weight: 2, Zone: "b"},
		{Network: "tcp", Addr: "10.0.0.3:7000"},
	})

	request := address.Request{Hash: 42, HasKey: true, Now: now}
	node := pool.Pick(&request)
	node.Begin()
	// The call runs.
	node.End(now+1_500_000, 1_500_000, false)
	fmt.Println(node.Endpoint(), node.Latency(now+1_500_000))

	node.MarkOut(address.Ejected)
	fmt.Println(pool.Pick(&request).Endpoint())
	node.MarkIn(address.Ejected)
	fmt.Println(pool.Pick(&request).Endpoint())
	// Output:
	// tcp://10.0.0.3:7000 1.5ms
	// tcp://10.0.0.2:7000
	// tcp://10.0.0.3:7000
}

// byRole sends writes to the leader and all else to the replicas.
type byRole struct{ of address.Balancer }

func (b byRole) Picker(v address.View, last address.Picker) address.Picker {
	if len(v.Nodes) == 0 {
		return nil
	}
	split := map[string][]*address.Node{}
	for _, n := range v.Nodes {
		role := n.Endpoint().Role
		split[role] = append(split[role], n)
	}
	was, _ := last.(*rolePicker)
	if was == nil {
		was = &rolePicker{}
	}
	return &rolePicker{
		leader:   b.of.Picker(address.NewView(split["leader"], v.Now), was.leader),
		replicas: b.of.Picker(address.NewView(split["replica"], v.Now), was.replicas),
	}
}

type rolePicker struct{ leader, replicas address.Picker }

func (p *rolePicker) Pick(r *address.Request) *address.Node {
	write := r.Metadata.Has("write")
	if (write || p.replicas == nil) && p.leader != nil {
		return p.leader.Pick(r)
	}
	if p.replicas == nil {
		return nil
	}
	return p.replicas.Pick(r)
}

// A rule that narrows the servers is a Balancer that makes pickers of parts.
func ExampleBalancer() {
	pool := address.NewPool(address.PoolConfig{Balancer: byRole{address.P2C{}}})
	pool.Update(1, []address.Endpoint{
		{Network: "tcp", Addr: "10.0.0.1:7000", Role: "replica"},
		{Network: "tcp", Addr: "10.0.0.2:7000", Role: "leader"},
	})
	fmt.Println(pool.Pick(&address.Request{}).Endpoint())
	fmt.Println(pool.Pick(&address.Request{Metadata: metadata.Pairs("write", "1")}).Endpoint())
	// Output:
	// tcp://10.0.0.1:7000
	// tcp://10.0.0.2:7000
}

func ExampleSchemes() {
	var registry address.Registry // or a Resolver for your own
	schemes := address.Builtin().With("mem", &registry)

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	registration, err := registry.Register(ctx, "users", address.Endpoint{Network: "tcp", Addr: "10.0.0.1:7000", Zone: "a"})
	if err != nil {
		fmt.Println(err)
		return
	}
	source, err := schemes.Resolve("mem:///users")
	if err != nil {
		fmt.Println(err)
		return
	}
	pool := address.NewPool(address.PoolConfig{})
	keeper := address.Keep(source, false)
	keeper.Watch(ctx, func(u address.Update) { // mostly in a goroutine of its own
		pool.Update(1, u.Endpoints)
		fmt.Println(pool.Pick(&address.Request{}).Endpoint(), u.Err)
		if u.Err != nil {
			cancel() // an empty list is an error, and does not take the last servers away
		}
		if err := registration.Deregister(ctx); err != nil {
			fmt.Println(err)
		}
	})
	// Output:
	// tcp://10.0.0.1:7000 <nil>
	// tcp://10.0.0.1:7000 the resolver found no endpoints
}
