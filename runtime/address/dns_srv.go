package address

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
)

// services returns the endpoints of the best priority that has some.
func (s *dnsSource) services(ctx context.Context, known map[string][]netip.Addr) ([]Endpoint, error) {
	_, records, err := s.Lookup.LookupSRV(ctx, "", "", s.service)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(records, func(a, b *net.SRV) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), strings.Compare(a.Target, b.Target), cmp.Compare(a.Port, b.Port))
	})
	hosts := make(map[string]bool)
	for _, r := range records {
		hosts[r.Target] = true
	}
	maps.DeleteFunc(known, func(host string, _ []netip.Addr) bool { return !hosts[host] })
	var failed, none error
	for len(records) > 0 {
		n := 1
		for n < len(records) && records[n].Priority == records[0].Priority {
			n++
		}
		endpoints, gone, err := s.group(ctx, records[:n], known)
		none, failed = cmp.Or(none, gone), cmp.Or(failed, err)
		if len(endpoints) > 0 || errors.Is(err, errKnown) {
			return endpoints, failed
		}
		records = records[n:]
	}
	return nil, cmp.Or(failed, none)
}

// errKnown is an error of a look-up of hosts whose addresses are known, none of which
// could be looked up again.
var errKnown = errors.New("what is known of it is kept")

// group returns the endpoints of records of one priority. gone says that some of
// their hosts do not exist, err that some could not be looked up.
func (s *dnsSource) group(ctx context.Context, records []*net.SRV, known map[string][]netip.Addr) (endpoints []Endpoint, gone, err error) {
	hosts := hostsOf(records)
	s.look(ctx, hosts)
	ok, kept := false, false
	for name, h := range hosts {
		var missing *net.DNSError
		switch {
		case h.err == nil:
			known[name], ok = h.found, true
		case errors.As(h.err, &missing) && missing.IsNotFound:
			delete(known, name)
			h.found, gone = nil, h.err
		default:
			h.found, err = known[name], h.err
			kept = kept || len(h.found) > 0
		}
	}
	if !ok {
		if kept {
			err = fmt.Errorf("%w (%w)", err, errKnown)
		}
		return nil, gone, err
	}
	for _, r := range records {
		if h := hosts[r.Target]; h != nil {
			name := s.host
			if s.TargetNames {
				name = r.Target
			}
			endpoints = appendHost(endpoints, h.found, int(r.Port), uint32(r.Weight), name)
		}
	}
	return sorted(endpoints), gone, err
}

// lookedUp is what is found of a host.
type lookedUp struct {
	found []netip.Addr
	err   error
}

// hostsOf returns the targets of the records, as many as are looked up.
func hostsOf(records []*net.SRV) map[string]*lookedUp {
	hosts := make(map[string]*lookedUp)
	for _, r := range records {
		if len(hosts) < maxDNSTargets && hosts[r.Target] == nil {
			hosts[r.Target] = &lookedUp{}
		}
	}
	return hosts
}

// look looks the hosts up.
func (s *dnsSource) look(ctx context.Context, hosts map[string]*lookedUp) {
	turns := make(chan struct{}, dnsParallel)
	var running sync.WaitGroup
	for name, h := range hosts {
		turns <- struct{}{}
		running.Go(func() {
			defer func() { <-turns }()
			h.found, h.err = s.Lookup.LookupNetIP(ctx, s.Family, name)
		})
	}
	running.Wait()
}
