package kubernetes

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/rpcx-go/rpcx/runtime/address"
)

// Resolve implements address.Resolver for targets like "kubernetes:///users.shop:grpc".
//
// What it returns reports an outage of the API server as an error, and goes on by
// itself when it is back. Endpoints are in the order of their addresses. What
// is broken is skipped. A service that has no slices has no endpoints, which is not
// an error; that it has no such port is one.
func (r *Resolver) Resolve(t address.Target) (address.Source, error) {
	s := &source{Resolver: r, target: t.Text}
	if err := s.parse(t); err != nil {
		return nil, fmt.Errorf("target %q: %w", t.Text, err)
	}
	return s, nil
}

// source finds the endpoints of a service.
type source struct {
	*Resolver
	target, service, namespace string
	port                       string // a name, a number, or "" for the only one
	number                     int    // of the port, 0 if that is a name or ""
}

func (s *source) parse(t address.Target) error {
	const want = "want a service, its namespace and a port, as in \"kubernetes:///users.shop:grpc\""
	if t.Host != "" || len(t.Query) > 0 {
		return errors.New(want)
	}
	name, port, found := strings.Cut(t.Path, ":")
	s.service, s.namespace, _ = strings.Cut(name, ".")
	if s.namespace == "" && !strings.Contains(name, ".") {
		if s.namespace = s.config.Namespace; s.namespace == "" {
			return errors.New(want + ": the namespace is missing, and Config.Namespace is not set")
		}
	}
	s.port = port
	switch {
	case !isLabel(s.service) || !isLabel(s.namespace):
		return fmt.Errorf("%s, not %q", want, name)
	case !found:
		return nil
	case !isLabel(port):
		return fmt.Errorf("%s: %q is not a port", want, port)
	}
	if n, err := strconv.Atoi(port); err == nil {
		if n < 1 || n > 65535 {
			return fmt.Errorf("%d is not a port to connect to", n)
		}
		s.number = n
	}
	return nil
}

// isLabel reports whether text can be the name of a service, a namespace or a
// port (RFC 1123).
func isLabel(text string) bool {
	if text == "" || len(text) > 63 || text[0] == '-' || text[len(text)-1] == '-' {
		return false
	}
	return !strings.ContainsFunc(text, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-'
	})
}
