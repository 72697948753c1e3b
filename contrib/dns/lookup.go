package dns

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/rpcx-go/rpcx/runtime/address"
)

const (
	// maxTargets is how many hosts of SRV records of one priority are looked up, and
	// parallel how many at once.
	maxTargets = 256
	parallel   = 8
	// maxEndpoints is how many a look-up finds at most.
	maxEndpoints = 4096
	// maxScale bounds the factor by which weights grow so that they can be shared.
	maxScale = 5040
)

// lookup is one look-up of all that a source needs.
type lookup struct {
	*source
	known *cache
	fresh bool // asks again what has not run out

	mu     sync.Mutex
	until  time.Time // when the first of the answers runs out
	failed bool      // some questions have no answer
	used   map[question]bool
	asked  map[question]bool
}

func newLookup(s *source, known *cache, fresh bool) *lookup {
	return &lookup{
		source: s, known: known, fresh: fresh, until: time.Now().Add(s.MaxTTL),
		used: make(map[question]bool), asked: make(map[question]bool),
	}
}

// find returns the endpoints of the source's name.
func (l *lookup) find(ctx context.Context) ([]address.Endpoint, error) {
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	name := l.service
	if name == "" {
		name = l.host
	}
	servers, names, err := l.whom(name)
	if err != nil {
		l.failed = true
		return nil, err
	}
	var none error
	var expires time.Time
	vague := false
	whole := miekg.Fqdn(name)
	for _, name := range names {
		var endpoints []address.Endpoint
		// That a name does not exist counts for the time of the next look-up only if
		// none does.
		until, failed := l.until, l.failed
		if l.service != "" {
			endpoints, err = l.services(ctx, servers, name)
		} else {
			endpoints, err = l.hosts(ctx, servers, name)
		}
		if err == nil || !notFound(err) {
			return endpoints, err // a failure is not an answer, and the next name is another one
		}
		if none == nil || sameName(name, whole) {
			none = err
		}
		if expires.IsZero() || l.until.Before(expires) {
			expires = l.until
		}
		vague = vague || l.failed
		l.until, l.failed = until, failed
	}
	if none == nil {
		l.failed = true
		return nil, fmt.Errorf("%q with a search domain is not a domain name", name)
	}
	l.until, l.failed = expires, vague
	return nil, none
}

// notFound reports whether err says that there is nothing, not that nobody knows.
func notFound(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && e.IsNotFound
}

// hosts returns the endpoints of a host, with the source's port. Their Name is what
// the target says, without a search domain: that is whom the user trusts.
func (l *lookup) hosts(ctx context.Context, servers []string, name string) ([]address.Endpoint, error) {
	found, err := l.addresses(ctx, servers, name)
	if err != nil {
		return nil, err
	}
	endpoints := make([]address.Endpoint, len(found))
	for i, ip := range found {
		endpoints[i] = address.Endpoint{Network: "tcp", Addr: joinPort(ip, l.port), Name: strings.TrimSuffix(l.host, ".")}
	}
	return endpoints[:min(len(endpoints), maxEndpoints)], nil
}

// addresses returns those of a host, in order.
func (l *lookup) addresses(ctx context.Context, servers []string, name string) ([]netip.Addr, error) {
	types := l.types()
	answers, errs := make([]answer, len(types)), make([]error, len(types))
	var wg sync.WaitGroup
	for i, t := range types {
		wg.Go(func() { answers[i], _, errs[i] = l.answer(ctx, servers, newQuestion(name, t)) })
	}
	wg.Wait()
	failed := errors.Join(errs...)
	if !slices.Contains(errs, nil) {
		return nil, errs[0]
	}
	if found := addressesOf(answers); len(found) > 0 {
		for i, t := range types {
			if errs[i] != nil {
				answers[i], _ = l.known.get(newQuestion(name, t))
			}
		}
		return addressesOf(answers), nil
	}
	if failed != nil {
		return nil, failed
	}
	for _, a := range answers {
		if a.none != nil {
			return nil, a.none
		}
	}
	return nil, &net.DNSError{Err: "no address of use", Name: name, IsNotFound: true}
}

// last returns the addresses of a host that were found last, whether they ran out
// or not.
func (l *lookup) last(name string) []netip.Addr {
	var answers []answer
	for _, t := range l.types() {
		a, _ := l.known.get(newQuestion(name, t))
		answers = append(answers, a)
	}
	return addressesOf(answers)
}

// addressesOf returns the addresses in the answers, in order.
func addressesOf(answers []answer) []netip.Addr {
	var found []netip.Addr
	for _, a := range answers {
		for _, r := range a.records {
			if ip, ok := ipOf(r); ok {
				found = append(found, ip)
			}
		}
	}
	slices.SortFunc(found, netip.Addr.Compare)
	return slices.Compact(found)
}

// ipOf returns the address in a record, if it is one that a server can have.
func ipOf(r miekg.RR) (netip.Addr, bool) {
	var ip netip.Addr
	switch r := r.(type) {
	case *miekg.A:
		ip, _ = netip.AddrFromSlice(r.A)
	case *miekg.AAAA:
		ip, _ = netip.AddrFromSlice(r.AAAA)
	}
	ip = ip.Unmap()
	return ip, ip.IsValid() && !ip.IsUnspecified() && !ip.IsMulticast()
}

// answer returns the answer to q: that of the last look-up if it has not run out,
// or else that of the servers, with the message that it came in.
func (l *lookup) answer(ctx context.Context, servers []string, q question) (answer, *miekg.Msg, error) {
	l.mu.Lock()
	fresh := l.fresh && !l.asked[q]
	l.used[q], l.asked[q] = true, true
	l.mu.Unlock()
	a, ok := l.known.get(q)
	var m *miekg.Msg
	var err error
	if !ok || fresh || !time.Now().Before(a.until) {
		a, m, err = l.query(ctx, servers, q)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || a.until.IsZero() {
		l.failed = true
	} else if a.until.Before(l.until) {
		l.until = a.until
	}
	if m != nil {
		l.known.put(q, a)
	}
	return a, m, err
}

// services returns the endpoints of SRV records.
func (l *lookup) services(ctx context.Context, servers []string, name string) ([]address.Endpoint, error) {
	a, m, err := l.answer(ctx, servers, newQuestion(name, miekg.TypeSRV))
	switch {
	case err != nil:
		return nil, err
	case a.none != nil:
		return nil, a.none
	}
	var records []*miekg.SRV
	for _, r := range a.records {
		if srv, ok := r.(*miekg.SRV); ok && srv.Target != "." && srv.Port != 0 {
			records = append(records, srv)
		}
	}
	if len(records) == 0 {
		return nil, &net.DNSError{Err: "its records say that the service is not there", Name: name, IsNotFound: true}
	}
	if m != nil {
		l.additional(m, records)
	}
	slices.SortFunc(records, func(a, b *miekg.SRV) int {
		if a.Priority != b.Priority {
			return int(a.Priority) - int(b.Priority)
		}
		return cmp.Or(strings.Compare(a.Target, b.Target), int(a.Port)-int(b.Port))
	})
	var failed error
	for len(records) > 0 && ctx.Err() == nil {
		n := 1
		for n < len(records) && records[n].Priority == records[0].Priority {
			n++
		}
		endpoints, err := l.group(ctx, servers, records[:n])
		if len(endpoints) > 0 {
			return endpoints, nil
		}
		if errors.Is(err, errKnown) {
			return nil, fmt.Errorf("%s SRV: %w", name, err)
		}
		if failed == nil || notFound(failed) && !notFound(err) {
			failed = err // rather one that says that somebody failed
		}
		records = records[n:]
	}
	if failed == nil {
		failed = ctx.Err()
	}
	return nil, fmt.Errorf("%s SRV: %w", name, failed)
}

// additional takes over the addresses that a server sent along.
func (l *lookup) additional(m *miekg.Msg, records []*miekg.SRV) {
	wanted := make(map[question]*answer)
	for _, r := range records {
		for _, t := range l.types() {
			wanted[newQuestion(r.Target, t)] = &answer{}
		}
	}
	now := time.Now()
	for _, r := range m.Extra {
		h := r.Header()
		a := wanted[newQuestion(h.Name, h.Rrtype)]
		if a == nil || h.Class != miekg.ClassINET {
			continue
		}
		ttl := max(min(time.Duration(h.Ttl)*time.Second, l.MaxTTL), l.MinTTL)
		if until := now.Add(ttl); a.records == nil || until.Before(a.until) {
			a.until = until
		}
		a.records = append(a.records, r)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for q, a := range wanted {
		if a.records != nil {
			l.known.put(q, *a)
			l.asked[q] = true
		}
	}
}

// errKnown is an error of a look-up of hosts whose addresses are known, none of which
// could be looked up again.
var errKnown = errors.New("what is known of it is kept")

// group returns the endpoints of those of a service's records that have one priority.
// Hosts that cannot be looked up, for another reason than that they do not exist,
// have the addresses that were found last, before those of the next priority take
// their place.
func (l *lookup) group(ctx context.Context, servers []string, records []*miekg.SRV) ([]address.Endpoint, error) {
	type host struct {
		name  string
		found []netip.Addr
		err   error
	}
	var hosts []*host
	byName := make(map[string]*host)
	for _, r := range records {
		name := strings.ToLower(r.Target)
		if byName[name] == nil && len(hosts) < maxTargets {
			hosts = append(hosts, &host{name: name})
			byName[name] = hosts[len(hosts)-1]
		}
	}
	turns := make(chan struct{}, parallel)
	var wg sync.WaitGroup
	for _, h := range hosts {
		wg.Go(func() {
			turns <- struct{}{}
			h.found, h.err = l.addresses(ctx, servers, h.name)
			<-turns
		})
	}
	wg.Wait()
	some := slices.ContainsFunc(hosts, func(h *host) bool { return h.err == nil })
	scale, kept := 1, false
	var failed error
	for _, h := range hosts {
		if h.err != nil && !notFound(h.err) {
			h.found = l.last(h.name)
			kept = kept || len(h.found) > 0
		}
		if n := len(h.found); n > 0 {
			scale = lcm(scale, n)
		}
		if h.err != nil && (failed == nil || notFound(failed) && !notFound(h.err)) {
			failed = h.err
		}
	}
	if kept && !some {
		return nil, fmt.Errorf("%w (%w)", failed, errKnown)
	}
	var endpoints []address.Endpoint
	for _, r := range records {
		h := byName[strings.ToLower(r.Target)]
		if h == nil {
			continue
		}
		name := domainOf(l.service)
		if l.source.TargetNames {
			name = strings.TrimSuffix(h.name, ".")
		}
		for _, ip := range h.found[:min(len(h.found), maxEndpoints-len(endpoints))] {
			share := max(1, int(max(r.Weight, 1))*scale/len(h.found))
			endpoints = append(endpoints, address.Endpoint{
				Network: "tcp", Addr: joinPort(ip, r.Port), Weight: uint32(share), Name: name,
			})
		}
	}
	return merged(endpoints), failed
}

// domainOf returns a service's name without the labels that begin with "_", and
// without a dot at the end: for whom the certificates of its servers are, as what
// the records name is no reason to trust one (RFC 6125, section 6.2.1).
func domainOf(service string) string {
	domain := strings.TrimSuffix(service, ".")
	for strings.HasPrefix(domain, "_") {
		_, domain, _ = strings.Cut(domain, ".")
	}
	return domain
}

// lcm returns the least common multiple, or maxScale if it is larger.
func lcm(a, b int) int {
	x, y := a, b
	for y != 0 {
		x, y = y, x%y
	}
	return min(a/x*b, maxScale)
}

// merged returns the endpoints in order; one that several records name has the
// sum of their weights.
func merged(endpoints []address.Endpoint) []address.Endpoint {
	slices.SortStableFunc(endpoints, func(a, b address.Endpoint) int { return strings.Compare(a.Addr, b.Addr) })
	var all []address.Endpoint
	for _, e := range endpoints {
		if n := len(all); n > 0 && all[n-1].Addr == e.Addr {
			all[n-1].Weight += min(e.Weight, math.MaxUint32-all[n-1].Weight)
			continue
		}
		all = append(all, e)
	}
	return all[:min(len(all), maxEndpoints)]
}

func joinPort(ip netip.Addr, port uint16) string {
	return net.JoinHostPort(ip.String(), strconv.Itoa(int(port)))
}
