package consul

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/rpcx-go/rpcx/runtime/address"
)

// The names of attributes in a service's meta.
const (
	metaZone     = "zone"
	metaRegion   = "region"
	metaRole     = "role"
	metaProtocol = "protocol"
	metaName     = "name"
)

// attributes returns where the Endpoint has the attributes that are in a service's meta.
func attributes(e *address.Endpoint) map[string]*string {
	return map[string]*string{
		metaZone: &e.Zone, metaRegion: &e.Region, metaRole: &e.Role, metaProtocol: &e.Protocol, metaName: &e.Name,
	}
}

// instance is an Endpoint and the id of the service that it was made of.
type instance struct {
	address.Endpoint
	id string
}

// endpoints returns what the instances of a service say, and what is wrong with
// those that were skipped.
func (s *source) endpoints(found []*api.ServiceEntry) ([]address.Endpoint, error) {
	var all []instance
	broken := make(map[string]error) // by id
	for _, entry := range found {
		if entry == nil || entry.Service == nil {
			continue
		}
		weight, ok := s.weight(entry)
		if !ok {
			continue
		}
		e, err := endpoint(entry)
		if err != nil {
			broken[entry.Service.ID] = err
			continue
		}
		e.Weight = weight
		all = append(all, instance{e, entry.Service.ID})
	}
	slices.SortFunc(all, func(a, b instance) int {
		return cmp.Or(cmp.Compare(a.Addr, b.Addr), cmp.Compare(a.Network, b.Network), cmp.Compare(a.id, b.id))
	})
	all = slices.CompactFunc(all, func(a, b instance) bool { return a.ID() == b.ID() })
	var errs []error
	if len(broken) > 0 {
		id := slices.Min(slices.Collect(maps.Keys(broken)))
		errs = append(errs, fmt.Errorf("%d of %d instances are broken and skipped: service %q: %w", len(broken), len(found), id, broken[id]))
	}
	if most := s.registry.config.maxEndpoints; len(all) > most {
		errs = append(errs, fmt.Errorf("%d instances are too many, only %d are used", len(all), most))
		all = all[:most]
	}
	endpoints := make([]address.Endpoint, len(all))
	for i, e := range all {
		endpoints[i] = e.Endpoint
	}
	return endpoints, errors.Join(errs...)
}

// weight returns the weight of an instance by its health, and whether it is of use.
func (s *source) weight(entry *api.ServiceEntry) (uint32, bool) {
	checks := slices.DeleteFunc(slices.Clone(entry.Checks), func(c *api.HealthCheck) bool { return c == nil })
	weight := entry.Service.Weights.Passing
	switch health := checks.AggregatedStatus(); {
	case health == api.HealthPassing:
	case health == api.HealthMaint || s.worst == api.HealthPassing:
		return 0, false
	case health == api.HealthWarning:
		weight = entry.Service.Weights.Warning
	case s.worst == api.HealthWarning:
		return 0, false
	}
	return uint32(min(max(weight, 0), math.MaxInt32)), true
}

// endpoint returns the endpoint of an instance, without its weight.
func endpoint(entry *api.ServiceEntry) (address.Endpoint, error) {
	service, node := entry.Service, entry.Node
	if node == nil {
		node = &api.Node{}
	}
	e := address.Endpoint{Network: "tcp"}
	switch host := cmp.Or(service.Address, node.Address); {
	case service.SocketPath != "":
		e.Network, e.Addr = "unix", service.SocketPath
	case host == "":
		return e, errors.New("it has no address, and its node has none")
	case service.Port <= 0 || service.Port > math.MaxUint16:
		return e, fmt.Errorf("%d is not a port to connect to", service.Port)
	default:
		e.Addr = net.JoinHostPort(host, strconv.Itoa(service.Port))
	}
	if err := e.Validate(); err != nil {
		return e, err
	}
	for _, l := range []*api.Locality{service.Locality, node.Locality} {
		if l != nil && e.Zone == "" && e.Region == "" {
			e.Zone, e.Region = l.Zone, l.Region
		}
	}
	to := attributes(&e)
	tags := make(map[string]string)
	for key, value := range service.Meta {
		if attribute := to[key]; attribute == nil {
			tags[key] = value
		} else if value != "" {
			*attribute = value
		}
	}
	for _, tag := range service.Tags {
		key, value, _ := strings.Cut(tag, "=")
		tags[key] = value
	}
	if len(tags) > 0 {
		e.Tags = tags
	}
	return e, nil
}

// service returns what an endpoint is for Consul, without id and check.
func service(name string, e address.Endpoint) (*api.AgentServiceRegistration, error) {
	s := &api.AgentServiceRegistration{Name: name, Meta: make(map[string]string)}
	if e.Network == "unix" {
		s.SocketPath = e.Addr
	} else {
		host, port, err := net.SplitHostPort(e.Addr)
		if err != nil {
			return nil, err
		}
		if s.Port, err = net.LookupPort("tcp", port); err != nil {
			return nil, err
		}
		s.Address = host
	}
	weight := int(min(max(e.Weight, 1), math.MaxInt32))
	s.Weights = &api.AgentWeights{Passing: weight, Warning: weight}
	for key, from := range attributes(&e) {
		if *from != "" {
			s.Meta[key] = *from
		}
	}
	for key, value := range e.Tags {
		if key == "" || strings.Contains(key, "=") {
			return nil, fmt.Errorf("a tag cannot have the name %q in Consul", key)
		}
		if value != "" {
			key += "=" + value
		}
		s.Tags = append(s.Tags, key)
	}
	slices.Sort(s.Tags)
	return s, nil
}
