package rpcx

import (
	"context"
	"time"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/call"
)

// Instance is one of the servers of a Conn. Calls made through it go to that server
// and to no other, also if the balancer would avoid it; once the resolver does
// not find the server any more they fail with UNAVAILABLE. Its methods may be
// called concurrently.
type Instance struct {
	conn *Conn
	node *address.Node
}

// Endpoint returns where the server is.
func (i *Instance) Endpoint() address.Endpoint { return i.node.Endpoint() }

// CallUnary implements Caller.
func (i *Instance) CallUnary(ctx context.Context, m *call.Method, req, res any, opts ...CallOption) error {
	return i.conn.CallUnary(ctx, m, req, res, append(opts[:len(opts):len(opts)], i.only())...)
}

// CallStream implements Caller.
func (i *Instance) CallStream(ctx context.Context, m *call.Method, req any, opts ...CallOption) (call.ClientStream, error) {
	return i.conn.CallStream(ctx, m, req, append(opts[:len(opts):len(opts)], i.only())...)
}

func (i *Instance) only() CallOption {
	return callOption(func(o *call.Options) { o.Only = i.node })
}

// Instances returns the servers that are known, in the order of the resolver,
// whether they can be reached or not. It waits for the resolver's first answer
// until ctx is done, and fails if there is no server.
func (c *Conn) Instances(ctx context.Context) ([]*Instance, error) {
	nodes, err := c.cluster.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]*Instance, len(nodes))
	for i, n := range nodes {
		all[i] = &Instance{c, n}
	}
	return all, nil
}

// Shard returns a number that is the same for those keys with which calls of m with
// opts go to the same server, or to the same ones of which the balancer chooses. ok
// is false if keys do not matter. It waits for the resolver's first answer until
// ctx is done.
func (c *Conn) Shard(ctx context.Context, m *call.Method, key Key, opts ...CallOption) (id uint64, ok bool, err error) {
	o := c.options(opts)
	md, err := outgoing(ctx, o)
	if err != nil {
		return 0, false, err
	}
	class := o.Class
	if c.cfg.lanes != nil && class.Lane == 0 {
		class.Lane, _ = c.cfg.lanes.Lane(key, key.Hash(), 0)
	}
	r := address.Request{Method: m, Metadata: md, Class: class, Key: key, Hash: key.Hash(), HasKey: key.Present()}
	id, ok, e := c.cluster.Shard(ctx, &r)
	if e != nil {
		return 0, false, e
	}
	return id, ok, nil
}

// EndpointStats is what is known of one server of a Conn.
type EndpointStats struct {
	Endpoint address.Endpoint
	// Avoided is why no calls go there, zero if they do.
	Avoided address.Reason
	// InFlight is how many calls have begun and not ended.
	InFlight int
	// Begun and Failed count calls, modulo 2^32.
	Begun, Failed uint32
	// Latency is how long calls take, the peak of late; zero if that is not known.
	Latency time.Duration
}

// EndpointStats returns what is known of each server, in the order of the
// resolver. Of a target that is a single server nothing is counted; see Stats.
func (c *Conn) EndpointStats() []EndpointStats {
	done, cancel := context.WithCancel(context.Background())
	cancel()
	nodes, _ := c.cluster.Nodes(done)
	all := make([]EndpointStats, len(nodes))
	for i, n := range nodes {
		begun, failed := n.Counts()
		all[i] = EndpointStats{n.Endpoint(), n.Out(), n.InFlight(), begun, failed, n.Latency(c.cluster.Now())}
	}
	return all
}

// ResolverStats returns what has been heard of the resolver. A target that is a
// single server has none.
func (c *Conn) ResolverStats() address.KeepStats { return c.cluster.Resolver() }
