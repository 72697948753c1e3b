package consul

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/rpcx-go/rpcx/runtime/address"
)

// Resolve implements address.Resolver for targets like "consul:///users?tag=eu".
//
// What it returns reports an outage of the agent as an error, and goes on by itself
// when the agent is back. Endpoints are in the order of their addresses. An instance
// that is broken is skipped, as are all but the first with the same address. A
// service that Consul does not know has no endpoints, which is not an error.
func (r *Registry) Resolve(t address.Target) (address.Source, error) {
	s := &source{registry: r, target: t.Text, worst: api.HealthPassing}
	err := s.parse(t)
	if err != nil {
		return nil, fmt.Errorf("target %q: %w", t.Text, err)
	}
	return s, nil
}

// source finds the endpoints of a service.
type source struct {
	registry *Registry
	target   string
	query    query
	worst    string // health of use
}

// parse takes what is asked from a target.
func (s *source) parse(t address.Target) error {
	if t.Host != "" {
		return fmt.Errorf("want three slashes and a name, as in \"%s:///users\"", t.Scheme)
	}
	if err := checkName(t.Path); err != nil {
		return err
	}
	s.query.name = t.Path
	one := map[string]*string{
		"dc": &s.query.options.Datacenter, "near": &s.query.options.Near, "ns": &s.query.options.Namespace,
		"partition": &s.query.options.Partition, "health": &s.worst, "stale": new(string),
	}
	for _, key := range slices.Sorted(maps.Keys(t.Query)) {
		values := t.Query[key]
		to, ok := one[key]
		switch {
		case key == "tag":
			s.query.tags = values
			continue
		case !ok:
			known := slices.Sorted(maps.Keys(one))
			return fmt.Errorf("parameter %q is not known (have: %s, tag)", key, strings.Join(known, ", "))
		case len(values) != 1 || values[0] == "":
			return fmt.Errorf("parameter %q: want one value", key)
		}
		*to = values[0]
	}
	if stale := *one["stale"]; stale != "" {
		var err error
		if s.query.options.AllowStale, err = strconv.ParseBool(stale); err != nil {
			return fmt.Errorf("parameter \"stale\": want true or false, not %q", stale)
		}
	}
	switch s.worst {
	case api.HealthPassing:
		s.query.passing = true
	case api.HealthWarning, api.HealthAny:
	default:
		return fmt.Errorf("parameter \"health\": want passing, warning or any, not %q", s.worst)
	}
	return nil
}

// Watch implements address.Source.
func (s *source) Watch(ctx context.Context, update func(address.Update)) {
	r := s.registry
	defer r.client.idle()
	var pause pauses
	var often rate
	var index uint64 // of the last answer, 0 to have one at once
	known := false   // whether update was told what came with index
	reported := ""
	for often.wait(ctx) {
		found, next, err := r.client.health(ctx, s.query, index, r.config.wait)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			// What happened meanwhile is not known, nor whether the agent that comes
			// back counts on from the same index.
			index, known = 0, false
			update(address.Update{Err: fmt.Errorf("target %q: %w", s.target, err)})
			if !pause.wait(ctx) {
				return
			}
			continue
		}
		pause = pauses{}
		if known && next == index {
			continue // nothing changed while it waited
		}
		if next < index || next == 0 {
			// The servers have begun to count anew: waiting for the index that was
			// would be to wait for a change that nobody can tell.
			next = 0
		}
		index, known = next, next != 0
		endpoints, skipped := s.endpoints(found)
		update(address.Update{Endpoints: endpoints})
		if skipped != nil && skipped.Error() != reported {
			r.config.onError(fmt.Errorf("target %q: agent %s: %w", s.target, r.client.addr, skipped))
		}
		if reported = ""; skipped != nil {
			reported = skipped.Error()
		}
	}
}
