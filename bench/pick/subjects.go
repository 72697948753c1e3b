package main

import (
	"context"
	"fmt"
	"strconv"

	"google.golang.org/grpc/balancer/leastrequest"
	"google.golang.org/grpc/balancer/ringhash"
	"google.golang.org/grpc/balancer/roundrobin"
	"google.golang.org/grpc/balancer/weightedroundrobin"
	"google.golang.org/grpc/metadata"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/call"
	rpcxmetadata "github.com/rpcx-go/rpcx/runtime/metadata"
)

// subject is something that chooses servers; label is its name in the last line.
type subject struct {
	name, label string
	build       func(endpoints int) (newCaller, error)
}

var subjects = []subject{
	{"rpcx p2c", "p2c", ours(address.P2C{}, 1, false)},
	{"rpcx p2c, weights", "", ours(address.P2C{}, 7, false)},
	{"rpcx least request", "least-request", ours(address.LeastRequest{}, 1, false)},
	{"grpc least request", "grpc-least-request", theirs(leastrequest.Name, `{}`)},
	{"rpcx hash", "ring", ours(address.Hash{}, 1, true)},
	{"rpcx hash, unbound", "", ours(address.Hash{Load: -1}, 1, true)},
	// Without the header it skips reading metadata and hashing, which is what
	// rpcx's callers have done before they pick.
	{"grpc ring hash", "grpc-ring", theirs(ringhash.Name, `{"requestHashHeader":"key"}`)},
	{"grpc ring hash, with its header", "", theirs(ringhash.Name, `{"requestHashHeader":"key"}`, "key", "users/1234567")},
	{"rpcx round robin", "round-robin", ours(address.RoundRobin{}, 1, false)},
	{"rpcx round robin, weights", "", ours(address.RoundRobin{}, 7, false)},
	{"grpc round robin", "grpc-round-robin", theirs(roundrobin.Name, `{}`)},
	{"grpc weighted", "grpc-weighted", theirs(weightedroundrobin.Name, `{"blackoutPeriod":"0s","weightUpdatePeriod":"0.1s"}`)},
	{"rpcx random", "", ours(address.Random{}, 1, false)},
	{"rpcx p2c behind 3 rules", "3-rules", routed(threeRules, false)},
	{"rpcx p2c behind 16 partitions", "", routed(partitions, true)},
}

// threeRules have reads go to servers of any role, a twentieth of the calls to canaries,
// and calls stay in their zone.
var threeRules = address.Routes{Local: address.Location{Zone: "a"}, Rules: []address.Rule{
	{Role: &address.RoleRule{Leader: true, LeaderKey: "fresh"}},
	{Tags: &address.TagRule{
		Tags: map[string]string{"track": "canary"}, Percent: 5, Metadata: []address.MetadataMatch{{Key: "canary"}},
	}},
	{Zone: &address.ZoneRule{}},
}}

var partitions = address.Routes{Rules: []address.Rule{
	{Partition: &address.PartitionRule{Count: 16}, Fallback: address.FallbackAll},
}}

// routed returns a subject that chooses by p2c among the endpoints that the rules leave.
func routed(routes address.Routes, key bool) func(int) (newCaller, error) {
	return func(n int) (newCaller, error) {
		b, err := routes.Balancer(address.P2C{})
		if err != nil {
			return nil, err
		}
		return ours(b, 1, key)(n)
	}
}

// get is the method of all calls.
var get = call.NewMethod(call.MethodSpec{Service: "users.v1.Users", Name: "Get", Idempotency: call.NoSideEffects}, nil, nil)

// agent is metadata that no rule asks for.
var agent = rpcxmetadata.Pairs("agent", "bench")

// attributes are what rules look at, in turn: two thirds of the servers are in zone a, and
// a seventh are canaries.
func attributes(i int) address.Endpoint {
	e := address.Endpoint{Zone: "aab"[i%3 : i%3+1], Role: "replica", Tags: map[string]string{"partition": strconv.Itoa(i % 16)}}
	if i%5 == 0 {
		e.Role = "leader"
	}
	if i%7 == 0 {
		e.Tags["track"] = "canary"
	}
	return e
}

// ours returns a subject of this project. Weights are 1 to weights, in turn.
func ours(b address.Balancer, weights int, key bool) func(int) (newCaller, error) {
	return func(n int) (newCaller, error) {
		endpoints := make([]address.Endpoint, n)
		for i := range endpoints {
			e := attributes(i)
			e.Network, e.Addr, e.Weight = "tcp", addr(i), uint32(1+i%weights)
			endpoints[i] = e
		}
		pool := address.NewPool(address.PoolConfig{Balancer: b})
		pool.Update(1, endpoints)
		seed := uint64(0)
		return func() func(int) {
			seed++
			r := &address.Request{Method: get, Metadata: agent, HasKey: key, Hash: seed << 40, Now: 1}
			return func(n int) {
				for range n {
					r.Hash++
					r.Now += 1000
					node := pool.Pick(r)
					node.Begin()
					node.End(r.Now, 1_000_000, false)
				}
			}
		}, nil
	}
}

// theirs returns a subject of grpc-go, with key and value of outgoing metadata.
func theirs(name, config string, md ...string) func(int) (newCaller, error) {
	return func(n int) (newCaller, error) {
		ctx, connections := context.Background(), n
		if len(md) > 0 {
			connections = 1 // all calls have one key
			ctx = metadata.AppendToOutgoingContext(ctx, md...)
		}
		c, err := newChannel(name, config, n)
		if err != nil {
			return nil, err
		}
		if err := c.settle(ctx, connections); err != nil {
			return nil, err
		}
		return func() func(int) {
			return func(n int) {
				for range n {
					if _, err := c.call(ctx, 0); err != nil {
						panic(err)
					}
				}
			}
		}, nil
	}
}

func addr(i int) string { return fmt.Sprintf("10.0.%d.%d:7000", i/250, i%250) }
