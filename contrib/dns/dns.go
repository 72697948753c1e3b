// Package dns resolves targets by the domain name system and looks answers up
// again when they run out, which the operating system's resolver does not tell:
//
//	schemes := address.Builtin().With("dns", dns.Resolver{}).With("dns+srv", dns.Resolver{})
//
// Targets are those of address.DNS:
//
//	dns:///users.internal:7000           the addresses of a host (A and AAAA)
//	dns:///_users._tcp.internal          the servers of a service (SRV), because of the "_"
//	dns+srv:///users.internal            the same whatever the name
//	dns://10.0.0.53/users.internal:7000  asks this server, at port 53 or the one given
//
// More servers are separated by commas. The file /etc/hosts is not read.
package dns

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/rpcx-go/rpcx/runtime/address"
)

// Defaults of Resolver.
const (
	DefaultMinTTL   = time.Second
	DefaultMaxTTL   = 5 * time.Minute
	DefaultTimeout  = 2 * time.Second
	DefaultAttempts = 2
)

const (
	// firstPause is how long it waits after a failure; it doubles up to lastPause.
	firstPause = time.Second
	lastPause  = 30 * time.Second
	// roundTimeout bounds all the questions of one look-up.
	roundTimeout = time.Minute
)

// Resolver is an address.Resolver that asks name servers. The zero value asks
// those of /etc/resolv.conf.
//
// Each address is an endpoint, in the order of the addresses and with the host as
// its Name. Of SRV records those of the best priority count that have addresses.
// The weight of a record is shared by the addresses of its target, so that
// endpoints have weights that are in proportion, not those of the records; a
// weight of zero counts as 1.
//
// The look-up is repeated for those answers that ran out, a little after the first
// of them does. That a name does not exist is an error, and is looked up again
// when that answer runs out. When servers fail, the pause is a second, then
// doubles up to 30 seconds; address.Refresher asks all again at once, but at most
// once per MinTTL.
// As long as one address is found, those that could not be looked up again
// are the ones that were found last.
type Resolver struct {
	// Servers are asked, one after the other until one knows: "host" or
	// "host:port". None means those that ResolvConf names; and a target may name its own.
	Servers []string
	// Search are the domains that are appended to names with fewer dots than Ndots
	// before they are looked up as they are, and to others after that; not to names
	// that end in a dot. They and Ndots, 1 if it is zero, count if there are Servers.
	Search []string
	Ndots  int
	// ResolvConf is the file that names servers, search domains and ndots,
	// "/etc/resolv.conf" if it is empty. It is read at each look-up.
	ResolvConf string
	// TargetNames has the Name of a server that is found by SRV records be the target of
	// its record, instead of the domain of the service. It is for those who trust the
	// answers of their name servers, or the authority of all certificates.
	TargetNames bool
	// Family is "ip4" or "ip6" if only these addresses are of use, "" for both.
	Family string
	// MinTTL and MaxTTL bound how long an answer is used, whatever it says:
	// DefaultMinTTL and DefaultMaxTTL if they are zero.
	MinTTL, MaxTTL time.Duration
	// Timeout is for each question to each server, DefaultTimeout if it is zero.
	Timeout time.Duration
	// Attempts is how often each server is asked, DefaultAttempts if it is zero.
	Attempts int

	exchange exchanger // nil but in tests
}

var (
	_ address.Resolver  = Resolver{}
	_ address.Refresher = (*source)(nil)
)

// Resolve implements address.Resolver.
func (r Resolver) Resolve(t address.Target) (address.Source, error) {
	s := &source{target: t.Text, settings: settings{Resolver: r}, wake: make(chan struct{})}
	err := s.setDefaults(t.Host)
	if err == nil {
		err = s.setName(t)
	}
	if err != nil {
		return nil, fmt.Errorf("target %q: %w", t.Text, err)
	}
	if ip, err := netip.ParseAddr(s.host); err == nil {
		return address.Static(address.Endpoint{Network: "tcp", Addr: joinPort(ip, s.port)}), nil
	}
	return s, nil
}

// source is the address.Source of a host and port, or of a service.
type source struct {
	target string
	settings
	host    string // "" if service is set
	port    uint16
	service string

	mu   sync.Mutex
	wake chan struct{} // closed and replaced by Refresh
}

// setName takes what is looked up from a target.
func (s *source) setName(t address.Target) error {
	if t.Scheme == "dns+srv" || strings.HasPrefix(t.Path, "_") {
		if t.Path == "" || strings.ContainsAny(t.Path, ":/") {
			return errors.New("want the name of a service without a port, as in \"dns+srv:///_users._tcp.internal\"")
		}
		s.service = t.Path
		return checkName(s.service)
	}
	host, service, err := net.SplitHostPort(t.Path)
	var port int
	if err == nil {
		port, err = net.LookupPort("tcp", service)
	}
	if err == nil && host == "" {
		err = errors.New("the host is missing")
	}
	if err != nil {
		return fmt.Errorf("want host:port, as in \"dns:///users.internal:7000\": %w", err)
	}
	s.host, s.port = host, uint16(port)
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	return checkName(host)
}

func checkName(name string) error {
	if _, ok := miekg.IsDomainName(name); !ok {
		return fmt.Errorf("%q is not a domain name", name)
	}
	return nil
}

// Refresh implements address.Refresher.
func (s *source) Refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.wake)
	s.wake = make(chan struct{})
}

func (s *source) refreshed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wake
}

// Watch implements address.Source.
func (s *source) Watch(ctx context.Context, update func(address.Update)) {
	known := newCache()
	pause := firstPause
	for fresh := false; ; {
		wake := s.refreshed()
		began := time.Now()
		l := newLookup(s, known, fresh)
		endpoints, err := l.find(ctx)
		if ctx.Err() != nil {
			return
		}
		known.forget(l.used)
		if err != nil {
			endpoints, err = nil, fmt.Errorf("target %q: %w", s.target, err)
		}
		update(address.Update{Endpoints: endpoints, Err: err})

		wait := max(time.Until(l.until), s.MinTTL)
		wait += time.Duration(rand.Float64() * float64(wait) / 10)
		if l.failed {
			wait = min(wait, time.Duration((0.8+0.4*rand.Float64())*float64(pause)))
			pause = min(2*pause, lastPause)
		} else {
			pause = firstPause
		}
		least := min(wait, max(0, s.MinTTL-time.Since(began)))
		if !sleep(ctx, least, nil) || !sleep(ctx, wait-least, wake) {
			return
		}
		select {
		case <-wake:
			fresh = true
		default:
			fresh = fresh && l.failed
		}
	}
}

// sleep waits for d or until wake is closed, and reports whether ctx is still not done.
func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-wake:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}
