package rpcx

import (
	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/cluster"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// route fills in what the choice of a server depends on, but for what the call
// has in common with other things that are known of it.
func (c *Conn) route(p *cluster.Pick, m *call.Method, req any, o *call.Options) *status.Error {
	p.Method, p.Class, p.Wait = m, o.Class, o.WaitForReady
	p.Only, _ = o.Only.(*address.Node)
	p.Key = o.Key
	if !p.Key.Present() {
		p.Key = m.Key(req)
	}
	if !p.Key.Present() {
		if m.KeyRequired() {
			return status.New(status.InvalidArgument, m.FullName()+": the request has no route key").WithNotRun()
		}
		return nil
	}
	p.Hash, p.HasKey = p.Key.Hash(), true
	if c.cfg.lanes != nil && p.Class.Lane == 0 {
		p.Class.Lane, _ = c.cfg.lanes.Lane(p.Key, p.Hash, int64(c.now())+1)
	}
	return nil
}
