package cluster

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/rpcx-go/rpcx/runtime/address"
)

// understood is a Source of those endpoints of another one whose protocol is
// spoken here. A list in which there are others only is an error.
type understood struct {
	address.Source
	speaks func(protocol string) bool
	log    *slog.Logger
}

// Watch implements address.Source.
func (s understood) Watch(ctx context.Context, update func(address.Update)) {
	s.Source.Watch(ctx, func(u address.Update) {
		var known []address.Endpoint
		var unknown error
		for _, e := range u.Endpoints {
			if s.speaks(e.Protocol) {
				known = append(known, e)
			} else if unknown == nil {
				unknown = fmt.Errorf("%s speaks %q, which this client does not", e, e.Protocol)
			}
		}
		if unknown != nil && len(known) > 0 {
			s.log.Warn("endpoints are left out", "error", unknown, "left", len(u.Endpoints)-len(known))
		} else if unknown != nil && u.Err == nil {
			u.Err = unknown
		}
		u.Endpoints = known
		update(u)
	})
}

// Refresh implements address.Refresher, if the Source does.
func (s understood) Refresh() {
	if r, ok := s.Source.(address.Refresher); ok {
		r.Refresh()
	}
}
