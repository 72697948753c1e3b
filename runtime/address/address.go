// Package address says where servers are and which of them a call goes to: an
// Endpoint is where one server listens, a Resolver finds the endpoints of a
// name, a Pool keeps a Node with its load for each of them, and a Balancer makes
// the Pickers that choose a Node for each call.
package address

import (
	"fmt"
	"maps"
	"net"
	"strings"
)

// Endpoint is one address that a server listens on, and what is known of that
// server. The zero values of all but Network and Addr are the usual ones.
type Endpoint struct {
	// Network is "tcp" or "unix".
	Network string
	// Addr is "host:port", or the path of a socket.
	Addr string
	// Weight is the server's share of the calls, relative to the others'. Zero
	// means 1.
	Weight uint32
	// Zone and Region are where the server runs, "" if nobody said.
	Zone, Region string
	// Role is what the server does for its data: "leader", "replica" or, if there
	// is no difference, "".
	Role string
	// Tags are for rules that choose among endpoints. Nobody may change the map
	// once the endpoint has been handed over; copies of the endpoint share it.
	Tags map[string]string
	// Protocol is what the server speaks: "" is the native protocol.
	Protocol string
	// Name is the host that the server's certificate is for, as resolvers that turn
	// names into numbers know it. "" means the host in Addr.
	Name string
}

// equal reports whether e and o have the same identity and attributes.
func (e Endpoint) equal(o Endpoint) bool {
	return e.ID() == o.ID() && e.Weight == o.Weight && e.Zone == o.Zone && e.Region == o.Region && e.Role == o.Role &&
		e.Protocol == o.Protocol && e.Name == o.Name && maps.Equal(e.Tags, o.Tags)
}

// ID is what tells endpoints apart; it is comparable.
type ID struct {
	Network, Addr string
}

// ID returns the identity of the endpoint: two that differ in nothing but
// attributes have the same one.
func (e Endpoint) ID() ID { return ID{e.Network, e.Addr} }

// String returns the endpoint as a target: "tcp://host:port", "unix:///path".
// Attributes are left out.
func (e Endpoint) String() string { return e.ID().String() }

// String returns the identity as a target, which Parse understands.
func (id ID) String() string { return id.Network + "://" + id.Addr }

// weight returns the weight as a number that is never zero.
func (e Endpoint) weight() float64 { return float64(max(e.Weight, 1)) }

// Parse returns the endpoint that target names: "host:port", "tcp://host:port",
// "unix:///path" or "unix:/path"; "unix://path" and "unix:path" are relative. The
// port is a number or a service's name. An empty host is the local
// machine when dialing and every interface when listening.
func Parse(target string) (Endpoint, error) {
	scheme, rest, ok := strings.Cut(target, "://")
	if !ok {
		scheme, rest = "tcp", target
		if path, ok := strings.CutPrefix(target, "unix:"); ok {
			scheme, rest = "unix", path
		}
	}
	switch scheme {
	case "tcp":
		_, port, err := net.SplitHostPort(rest)
		if err == nil {
			_, err = net.LookupPort("tcp", port)
		}
		if err != nil {
			return Endpoint{}, fmt.Errorf("target %q: want host:port, as in \"localhost:7000\": %w", target, err)
		}
	case "unix":
		if rest == "" {
			return Endpoint{}, fmt.Errorf("target %q: want the path of a socket, as in \"unix:///run/users.sock\"", target)
		}
	default:
		return Endpoint{}, fmt.Errorf("target %q: scheme %q is not known (have: tcp, unix); write just \"host:port\"", target, scheme)
	}
	return Endpoint{Network: scheme, Addr: rest}, nil
}
