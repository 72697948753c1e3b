package rpcx

import (
	"context"
	"net"
	"time"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/internal/cluster"
)

type dialConfig struct {
	common
	dial        cluster.DialFunc
	dialTimeout time.Duration
	backoff     cluster.Backoff
	defaults    []CallOption

	keepalive, keepaliveTimeout time.Duration
	ping                        bool // these two come from an option
	connections                 int  // that calls share
	perCall                     bool // each call has its own
	keepIdle                    int  // of those
	idleTimeout, maxAge         time.Duration

	schemes    address.Schemes
	strict     bool
	balancer   address.Balancer
	routes     *address.Routes
	lanes      *address.Lanes
	ask        func(ctx context.Context, server Caller) error // how it is
	checkEvery time.Duration
	check      func(ctx context.Context, n *address.Node) error // made of ask

	foreign    *cluster.Foreign // nil: the native protocol is spoken
	foreignTLS secureOption     // of https:// without an option that says more
}

type dialOption func(*dialConfig)

func (o dialOption) applyDial(c *dialConfig) { o(c) }

// WithDialer sets the function that opens connections, such as a proxy's, or
// the Dial method of rpcxtest.Network. The default is net.Dialer.DialContext.
func WithDialer(dial func(ctx context.Context, network, addr string) (net.Conn, error)) DialOption {
	return dialOption(func(c *dialConfig) { c.dial = dial })
}

// WithDialTimeout bounds each attempt to connect. The default is 10 s, any time is
// allowed.
func WithDialTimeout(d time.Duration) DialOption {
	return dialOption(func(c *dialConfig) { c.dialTimeout = d })
}

// WithBackoff sets how long a Conn waits after a failed attempt to connect to a
// server before the next: half to all of base after the first failure, at random,
// 1.6 times as long after each further one, at most longest. After a connection was
// lost it waits up to base before the first attempt, so that not all clients of a
// server come back at once; likewise after a server asked for no more calls, if the
// target has other servers for them. The defaults are 100 ms and 10 s.
func WithBackoff(base, longest time.Duration) DialOption {
	return dialOption(func(c *dialConfig) { c.backoff = cluster.Backoff{Base: base, Max: longest} })
}

// WithKeepalive sets how long a connection with calls in flight may be silent
// before it is pinged, and how long the answer may take before the connection is
// closed and its calls fail with UNAVAILABLE. The defaults are 30 s and 20 s,
// any times are allowed; a zero interval means never to ping.
func WithKeepalive(interval, timeout time.Duration) DialOption {
	return dialOption(func(c *dialConfig) { c.keepalive, c.keepaliveTimeout, c.ping = interval, timeout, true })
}

// WithConnections has calls share n connections in turn, instead of one. Several
// are worth their cost where many large messages pass at once. The default is 1,
// the range 1 to 64; values outside are brought into it.
func WithConnections(n int) DialOption {
	return dialOption(func(c *dialConfig) { c.connections, c.perCall = min(max(n, 1), 64), false })
}

// WithPooledConnections gives each call a connection of its own while it lasts,
// and keeps at most idle of those that are not used for later calls; any number
// is allowed. The default is one connection that calls share.
func WithPooledConnections(idle int) DialOption {
	return dialOption(func(c *dialConfig) { c.perCall, c.keepIdle = true, max(idle, 0) })
}

// WithShortConnections gives each call a connection of its own, which is closed
// when the call has ended.
func WithShortConnections() DialOption { return WithPooledConnections(0) }

// WithDefaultCallOptions sets options of all calls; a call's own come after them.
func WithDefaultCallOptions(opts ...CallOption) DialOption {
	return dialOption(func(c *dialConfig) { c.defaults = append(c.defaults, opts...) })
}

// WithCluster has a Conn call servers that do not speak the native protocol.
// Packages of this module call it, such as rpcxhttp in its options WithConnect,
// WithGRPC and WithGRPCWeb. The default is the native protocol.
func WithCluster(f cluster.Foreign) DialOption {
	return dialOption(func(c *dialConfig) {
		var secured common
		WithTLS(nil).(option)(&secured)
		c.foreign, c.foreignTLS, c.protocols = &f, secured.secure, f.Protocols
	})
}
