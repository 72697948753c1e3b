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
	return Endpoint{scheme, rest}, nil
}
