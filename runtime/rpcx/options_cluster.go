package rpcx

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rpcx-go/rpcx/runtime/address"
)

// WithResolver has r find the servers of targets that begin with scheme and a
// colon. The default are those of address.Builtin: dns, dns+srv, file and static;
// tcp and unix cannot be replaced.
func WithResolver(scheme string, r address.Resolver) DialOption {
	return dialOption(func(c *dialConfig) {
		if plain(scheme) {
			c.fail(fmt.Errorf("rpcx: WithResolver: scheme %q stands for single servers and cannot be replaced", scheme))
			return
		}
		if r == nil || scheme == "" || strings.ContainsAny(scheme, ":/") {
			c.fail(fmt.Errorf("rpcx: WithResolver: want a resolver and a scheme such as \"etcd\", not %q", scheme))
			return
		}
		c.schemes = c.schemes.With(scheme, r)
	})
}

// WithStrictResolver has a Conn use no server any more when the resolver fails or
// finds none. The default is to use those that were found last: a registry that
// is down does not take away servers that live.
func WithStrictResolver() DialOption {
	return dialOption(func(c *dialConfig) { c.strict = true })
}

// WithBalancer has b choose the server for each call. The default is
// address.Default: by hash for calls that have a route key, for others the less
// loaded of two, of a subset if there are more than 100 servers. Targets of one
// server have no balancer.
func WithBalancer(b address.Balancer) DialOption {
	return dialOption(func(c *dialConfig) { c.balancer = b })
}

// WithRoutes narrows the servers that a call may go to by rules before the
// balancer chooses among them. The default is no rules. Dial fails if they are not
// valid. Targets of one server have no rules.
func WithRoutes(r address.Routes) DialOption {
	return dialOption(func(c *dialConfig) { c.routes = &r })
}

// WithLanes has the lane of a call, where WithLane states none, be the one that its
// route key has. Calls of different lanes share no connection, and a rule for lanes
// gives each servers of its own. The default is no lanes. Dial fails if they are not
// valid.
func WithLanes(l address.LanesConfig) DialOption {
	return dialOption(func(c *dialConfig) {
		var err error
		if c.lanes, err = address.NewLanes(l); err != nil {
			c.fail(fmt.Errorf("rpcx: WithLanes: %w", err))
		}
	})
}

// WithHealthCheck has ask called for each server every interval, a tenth more or
// less. A server of which it returns an error twice in a row is avoided until it
// returns nil, unless more than half of the servers are. Of more than 100 servers only
// those are asked that calls have gone to. ask has the interval
// as its deadline and makes its calls through server, which leads to that server
// only. The default is not to ask; package health has such a function. The range of
// the interval is from 10 ms; a shorter one is brought to it.
func WithHealthCheck(interval time.Duration, ask func(ctx context.Context, server Caller) error) DialOption {
	return dialOption(func(c *dialConfig) { c.checkEvery, c.ask = max(interval, 10*time.Millisecond), ask })
}

// WithIdleTimeout sets how long a connection without calls is kept; up to half of
// that may be added. The default is 30 min, any time is allowed; zero means for ever.
// Over HTTP/1.1 it is 90 s, over HTTP/2 for ever, whatever is set.
func WithIdleTimeout(d time.Duration) DialOption {
	return dialOption(func(c *dialConfig) { c.idleTimeout = d })
}

// WithConnectionLifetime sets for how long calls begin on a connection, a tenth more
// or less; then another one is made, and the first is closed when its last call has
// ended. The default is zero, for ever: servers set an age, too. Any time is allowed.
// Over HTTP it has no effect.
func WithConnectionLifetime(d time.Duration) DialOption {
	return dialOption(func(c *dialConfig) { c.maxAge = d })
}
