package dns

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	miekg "github.com/miekg/dns"
)

const (
	defaultResolvConf = "/etc/resolv.conf"
	// maxResolvConf, maxServers and maxSearch bound what the file says.
	maxResolvConf = 64 << 10
	maxServers    = 8
	maxSearch     = 32
)

// settings is a Resolver whose defaults are set.
type settings struct{ Resolver }

// setDefaults checks the fields and fills those that are empty; host is what the
// target names as its servers.
func (s *settings) setDefaults(host string) error {
	if host != "" {
		s.Servers = strings.Split(host, ",")
	}
	servers := make([]string, len(s.Servers))
	for i, server := range s.Servers {
		var err error
		if servers[i], err = serverAddr(server); err != nil {
			return err
		}
	}
	s.Servers = servers
	for _, domain := range s.Search {
		if err := checkName(domain); err != nil {
			return fmt.Errorf("Resolver.Search: %w", err)
		}
	}
	if s.MinTTL <= 0 {
		s.MinTTL = DefaultMinTTL
	}
	if s.MaxTTL <= 0 {
		s.MaxTTL = max(DefaultMaxTTL, s.MinTTL)
	}
	if s.Timeout <= 0 {
		s.Timeout = DefaultTimeout
	}
	if s.Attempts <= 0 {
		s.Attempts = DefaultAttempts
	}
	if s.Ndots <= 0 {
		s.Ndots = 1
	}
	if s.ResolvConf == "" {
		s.ResolvConf = defaultResolvConf
	}
	if s.exchange == nil {
		s.exchange = network{s.Timeout}.exchange
	}
	if s.MinTTL > s.MaxTTL {
		return fmt.Errorf("Resolver.MinTTL is %v, more than MaxTTL, %v", s.MinTTL, s.MaxTTL)
	}
	if s.Family != "" && s.Family != "ip4" && s.Family != "ip6" {
		return fmt.Errorf("Resolver.Family is %q, want \"ip4\", \"ip6\" or \"\"", s.Family)
	}
	return nil
}

// serverAddr returns "host:port" of a server.
func serverAddr(server string) (string, error) {
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		host, port = strings.Trim(server, "[]"), "53"
		if _, err := netip.ParseAddr(host); err != nil && strings.Contains(host, ":") {
			return "", fmt.Errorf("server %q: want host or host:port, as in \"10.0.0.53\"", server)
		}
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil || host == "" {
		return "", fmt.Errorf("server %q: want host or host:port, as in \"10.0.0.53\"", server)
	}
	return net.JoinHostPort(host, port), nil
}

// types are the records that have addresses of the Family.
func (s *settings) types() []uint16 {
	switch s.Family {
	case "ip4":
		return []uint16{miekg.TypeA}
	case "ip6":
		return []uint16{miekg.TypeAAAA}
	}
	return []uint16{miekg.TypeA, miekg.TypeAAAA}
}

// whom returns the servers to ask and the names to ask for, in order.
func (s *settings) whom(name string) (servers, names []string, err error) {
	c := &miekg.ClientConfig{Search: s.Search, Ndots: s.Ndots}
	servers = s.Servers
	if len(servers) == 0 {
		if servers, c, err = readResolvConf(s.ResolvConf); err != nil {
			return nil, nil, err
		}
	}
	for _, n := range c.NameList(name) {
		if checkName(n) == nil { // with a domain it may be too long
			names = append(names, n)
		}
	}
	return servers, names, nil
}

// readResolvConf returns the servers of a file, the local machine if it names
// none, and what else it says.
func readResolvConf(path string) ([]string, *miekg.ClientConfig, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%w (set Resolver.Servers, or name one in the target)", err)
	}
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	c, err := miekg.ClientConfigFromReader(io.LimitReader(f, maxResolvConf))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	var servers []string
	for _, server := range c.Servers[:min(len(c.Servers), maxServers)] {
		if _, err := netip.ParseAddr(server); err == nil {
			servers = append(servers, net.JoinHostPort(server, c.Port))
		}
	}
	if len(servers) == 0 {
		servers = []string{net.JoinHostPort("127.0.0.1", c.Port), net.JoinHostPort("::1", c.Port)}
	}
	var search []string
	for _, domain := range c.Search[:min(len(c.Search), maxSearch)] {
		if domain != "." && checkName(domain) == nil {
			search = append(search, domain)
		}
	}
	c.Search = search
	return servers, c, nil
}
