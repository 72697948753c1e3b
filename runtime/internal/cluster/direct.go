package cluster

import (
	"context"
	"sync"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// Direct is a Cluster of one endpoint that is known and never changes. Nothing is
// resolved, chosen or counted there.
type Direct struct {
	lanes lanes
	asked sync.Once
	nodes []*address.Node // made when they are first asked for
}

// NewDirect returns a cluster of the endpoint in cfg. It fails if there can be no
// line to it.
func NewDirect(cfg Config, open LineFunc) (*Direct, error) {
	d := &Direct{}
	cfg.Trusted = true
	d.lanes.init(cfg, open)
	_, err := d.lanes.line(0)
	return d, err
}

// Pick implements Cluster.
func (d *Direct) Pick(ctx context.Context, p *Pick) (Client, *status.Error) {
	line, err := d.lanes.line(p.Class.Lane)
	if err != nil {
		return nil, Unavailable(err)
	}
	p.line = line
	return line.Pick(ctx, p.Deadline, p.Wait)
}

// Done implements Cluster.
func (d *Direct) Done(p *Pick, c Client, _ *status.Error) { p.line.Done(c) }

// Nodes implements Cluster.
func (d *Direct) Nodes(context.Context) ([]*address.Node, *status.Error) {
	d.asked.Do(func() { d.nodes = []*address.Node{address.NewNode(d.lanes.cfg.Endpoint)} })
	return d.nodes, nil
}

// Shard implements Cluster: there is one server, whatever the key.
func (d *Direct) Shard(context.Context, *address.Request) (uint64, bool, *status.Error) {
	return 0, false, nil
}

// Now implements Cluster.
func (d *Direct) Now() int64 { return 0 }

// Resolver implements Cluster.
func (d *Direct) Resolver() address.KeepStats { return address.KeepStats{} }

// Close implements Cluster.
func (d *Direct) Close() error {
	d.lanes.close()
	return nil
}
