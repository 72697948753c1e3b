package rpcx

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// proxies says which connections begin with a PROXY header.
type proxies struct {
	prefixes []netip.Prefix
	unix     bool
}

// WithProxyProtocol has connections from trusted sources begin with a PROXY
// protocol header, version 1 or 2, as load balancers such as HAProxy, Envoy, AWS
// NLB send it. Its source becomes the peer's address, which interceptors,
// handlers, logs and limits per peer see. It comes before TLS, and must be there
// within WithHandshakeTimeout; a connection without one is refused.
//
// trusted are the proxies' own addresses; the zero Prefix stands for Unix
// sockets. Trust whole networks only if nobody else can connect from them: who
// is trusted can claim any address. Connections from elsewhere are served as
// they are, with their own address; a header is no valid beginning for them.
//
// A header that gives no address (LOCAL, UNKNOWN), as health checks send it,
// leaves the proxy's. Headers of version 2 may have up to 2,048 bytes after the
// first 16. Their extensions are skipped, except for the checksum, which is
// verified if there is one.
func WithProxyProtocol(trusted ...netip.Prefix) ServerOption {
	p, err := newProxies(trusted)
	return serverOption(func(c *serverConfig) {
		c.proxies = p
		if err != nil && c.err == nil {
			c.err = fmt.Errorf("rpcx: WithProxyProtocol: %w", err)
		}
	})
}

func newProxies(trusted []netip.Prefix) (*proxies, error) {
	if len(trusted) == 0 {
		return nil, errors.New("no source is trusted")
	}
	p := new(proxies)
	for i, t := range trusted {
		addr := t.Addr()
		switch {
		case t == netip.Prefix{}:
			p.unix = true
			continue
		case !t.IsValid():
			return nil, fmt.Errorf("prefix %d is not valid", i+1)
		case addr.Is4In6() && t.Bits() < 96:
			return nil, fmt.Errorf("prefix %v is neither IPv4 nor IPv6", t)
		case addr.Is4In6():
			t = netip.PrefixFrom(addr.Unmap(), t.Bits()-96)
		}
		p.prefixes = append(p.prefixes, t)
	}
	return p, nil
}

// trusts reports whether connections from addr begin with a header.
func (p *proxies) trusts(addr net.Addr) bool {
	switch addr := addr.(type) {
	case *net.UnixAddr:
		return p.unix
	case *net.TCPAddr:
		ip := addr.AddrPort().Addr().Unmap().WithZone("")
		return slices.ContainsFunc(p.prefixes, func(t netip.Prefix) bool { return t.Contains(ip) })
	}
	return false
}
