package address

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Defaults of DNS.
const (
	DefaultDNSInterval = 30 * time.Second
	DefaultDNSTimeout  = 5 * time.Second
	// dnsPause is how long it waits after a failure, at first, and between
	// look-ups in any case.
	dnsPause = time.Second
	// maxDNSTargets is how many hosts of SRV records of one priority are looked up,
	// dnsParallel how many at once, and maxDNSEndpoints how many endpoints are found.
	maxDNSTargets   = 256
	dnsParallel     = 8
	maxDNSEndpoints = 4096
)

// DNS resolves names by the domain name system:
//
//	dns:///users.internal:7000         the addresses of a host (A and AAAA)
//	dns:///_users._tcp.internal        the servers of a service (SRV), because of the "_"
//	dns+srv:///users.internal          the same whatever the name
//	dns://10.0.0.53/users.internal:7000  asks this server, at port 53 or the one given
//
// Each address is an endpoint, in the order of the addresses and with the host as
// its Name. Of SRV records those of the best priority count that have addresses;
// their weights are the endpoints', each of a record's addresses having all of it.
// Their Name is the domain that the target names, without the labels that begin with
// "_": what the records say is what the network says, and is no reason to trust a
// certificate (RFC 6125, section 6.2.1). A look-up finds 4,096 endpoints at most.
//
// If some hosts of SRV records cannot be looked up, for another reason than that they
// do not exist, their addresses are those that were found last, with the error beside;
// if none can it is an error, and those of the next priority do not take their place.
// Answers are looked up again on an interval, as the operating system's resolver
// does not tell how long they are good for, and sooner after a failure or Refresh.
type DNS struct {
	// Interval is the time between look-ups, DefaultDNSInterval if it is zero,
	// varied by a fifth in both directions.
	Interval time.Duration
	// Timeout bounds each look-up, DefaultDNSTimeout if it is zero.
	Timeout time.Duration
	// Family is "ip4" or "ip6" if only these addresses are of use, "" for both.
	Family string
	// TargetNames has the Name of a server that is found by SRV records be the target
	// of its record. It is for those who trust the answers of their name servers, or
	// the authority of all certificates.
	TargetNames bool
	// Lookup asks, net.DefaultResolver if it is nil. It is not used for targets
	// that name a server.
	Lookup Lookup
}

// Lookup is what DNS needs of a net.Resolver.
type Lookup interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

// Resolve implements Resolver.
func (d DNS) Resolve(t Target) (Source, error) {
	if d.Interval <= 0 {
		d.Interval = DefaultDNSInterval
	}
	if d.Timeout <= 0 {
		d.Timeout = DefaultDNSTimeout
	}
	if d.Lookup == nil {
		d.Lookup = net.DefaultResolver
	}
	switch d.Family {
	case "":
		d.Family = "ip"
	case "ip4", "ip6":
	default:
		return nil, t.errorf("DNS.Family is %q, want \"ip4\", \"ip6\" or \"\"", d.Family)
	}
	if t.Host != "" {
		d.Lookup = askServer(t.Host)
	}
	w := &dnsSource{DNS: d, refresh: make(chan struct{}, 1)}
	if t.Scheme == "dns+srv" || strings.HasPrefix(t.Path, "_") {
		if t.Path == "" || strings.Contains(t.Path, ":") {
			return nil, t.errorf("want the name of a service without a port, as in \"dns+srv:///_users._tcp.internal\"")
		}
		w.service, w.host = t.Path, domainOf(t.Path)
		return w, nil
	}
	host, service, err := net.SplitHostPort(t.Path)
	if err == nil {
		w.port, err = net.LookupPort("tcp", service)
	}
	if err == nil && host == "" {
		err = errors.New("the host is missing")
	}
	if err != nil {
		return nil, t.errorf("want host:port, as in \"dns:///users.internal:7000\": %w", err)
	}
	w.host = host
	return w, nil
}

// domainOf returns a service's name without the labels that begin with "_", and
// without a dot at the end.
func domainOf(service string) string {
	domain := strings.TrimSuffix(service, ".")
	for strings.HasPrefix(domain, "_") {
		_, domain, _ = strings.Cut(domain, ".")
	}
	return domain
}

// askServer returns a Lookup that asks the server at addr.
func askServer(addr string) Lookup {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		addr = net.JoinHostPort(strings.Trim(addr, "[]"), "53")
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
}

// dnsSource is the Source of a host and port, or of a service.
type dnsSource struct {
	DNS
	host    string // of a service, its domain
	port    int
	service string
	refresh chan struct{}
}

// Refresh implements Refresher. Look-ups are at least a second apart.
func (s *dnsSource) Refresh() {
	select {
	case s.refresh <- struct{}{}:
	default:
	}
}

// Watch implements Source.
func (s *dnsSource) Watch(ctx context.Context, update func(Update)) {
	pause := dnsPause
	known := make(map[string][]netip.Addr)
	for {
		endpoints, err := s.find(ctx, known)
		if ctx.Err() != nil {
			return
		}
		update(Update{Endpoints: endpoints, Err: err})
		wait := s.Interval
		if err != nil {
			wait, pause = min(pause, s.Interval), min(2*pause, s.Interval)
		} else {
			pause = dnsPause
		}
		wait = jittered(wait)
		least := min(wait, dnsPause)
		if !sleep(ctx, least, nil) || !sleep(ctx, wait-least, s.refresh) {
			return
		}
	}
}

// find returns the endpoints, also with an error if that is about a part of them.
// known are the addresses of the hosts of SRV records that were found last.
func (s *dnsSource) find(ctx context.Context, known map[string][]netip.Addr) ([]Endpoint, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	if s.service != "" {
		return s.services(ctx, known)
	}
	found, err := s.Lookup.LookupNetIP(ctx, s.Family, s.host)
	if err != nil {
		return nil, err
	}
	return sorted(appendHost(nil, found, s.port, 0, s.host)), nil
}

// appendHost adds the endpoints of a host, as long as there are not too many.
func appendHost(endpoints []Endpoint, found []netip.Addr, port int, weight uint32, name string) []Endpoint {
	for _, ip := range found[:min(len(found), maxDNSEndpoints-len(endpoints))] {
		endpoints = append(endpoints, Endpoint{
			Network: "tcp", Addr: net.JoinHostPort(ip.Unmap().String(), strconv.Itoa(port)),
			Weight: weight, Name: strings.TrimSuffix(name, "."),
		})
	}
	return endpoints
}

// sorted returns the endpoints in an order that does not depend on the server's
// mood, without those that come twice.
func sorted(endpoints []Endpoint) []Endpoint {
	slices.SortStableFunc(endpoints, func(a, b Endpoint) int { return strings.Compare(a.Addr, b.Addr) })
	return slices.CompactFunc(endpoints, func(a, b Endpoint) bool { return a.Addr == b.Addr })
}
