// Package address says where servers are.
package address

import (
	"fmt"
	"net"
	"strings"
)

// Endpoint is one address that a server listens on.
type Endpoint struct {
	// Network is "tcp" or "unix".
	Network string
	// Addr is "host:port", or the path of a socket.
	Addr string
}

// String returns the endpoint as a target: "tcp://host:port", "unix:///path".
func (e Endpoint) String() string { return e.Network + "://" + e.Addr }

// Parse returns the endpoint that target names: "host:port", "tcp://host:port"
// or "unix:///path" ("unix://path" is relative). An empty host is the local
// machine when dialing and every interface when listening.
func Parse(target string) (Endpoint, error) {
	scheme, rest, ok := strings.Cut(target, "://")
	if !ok {
		scheme, rest = "tcp", target
	}
	switch scheme {
	case "tcp":
		if _, _, err := net.SplitHostPort(rest); err != nil {
			return Endpoint{}, fmt.Errorf("target %q: want host:port, as in \"localhost:7000\": %w", target, err)
		}
	case "unix":
		if rest == "" {
			return Endpoint{}, fmt.Errorf("target %q: want the path of a socket, as in \"unix:///run/users.sock\"", target)
		}
	default:
		return Endpoint{}, fmt.Errorf("target %q: no resolver for scheme %q (have: tcp, unix)", target, scheme)
	}
	return Endpoint{scheme, rest}, nil
}
