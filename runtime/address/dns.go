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
		w.service = t.Path
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
	host    string
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
	for {
		endpoints, err := s.find(ctx)
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

func (s *dnsSource) find(ctx context.Context) ([]Endpoint, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	if s.service == "" {
		return s.addresses(ctx, s.host, s.port, 0)
	}
	_, records, err := s.Lookup.LookupSRV(ctx, "", "", s.service)
	if err != nil {
		return nil, err
	}
	var failed error
	for len(records) > 0 {
		var endpoints []Endpoint
		n := 0
		for ; n < len(records) && records[n].Priority == records[0].Priority; n++ {
			r := records[n]
			found, err := s.addresses(ctx, r.Target, int(r.Port), uint32(r.Weight))
			if err != nil {
				failed = err
			}
			endpoints = append(endpoints, found...)
		}
		if len(endpoints) > 0 {
			return sorted(endpoints), nil
		}
		records = records[n:]
	}
	return nil, failed
}

// addresses returns the endpoints of a host.
func (s *dnsSource) addresses(ctx context.Context, host string, port int, weight uint32) ([]Endpoint, error) {
	found, err := s.Lookup.LookupNetIP(ctx, s.Family, host)
	if err != nil {
		return nil, err
	}
	endpoints := make([]Endpoint, len(found))
	for i, ip := range found {
		endpoints[i] = Endpoint{
			Network: "tcp", Addr: net.JoinHostPort(ip.Unmap().String(), strconv.Itoa(port)),
			Weight: weight, Name: strings.TrimSuffix(host, "."),
		}
	}
	return sorted(endpoints), nil
}

// sorted returns the endpoints in an order that does not depend on the server's
// mood, without those that come twice.
func sorted(endpoints []Endpoint) []Endpoint {
	slices.SortStableFunc(endpoints, func(a, b Endpoint) int { return strings.Compare(a.Addr, b.Addr) })
	return slices.CompactFunc(endpoints, func(a, b Endpoint) bool { return a.Addr == b.Addr })
}
