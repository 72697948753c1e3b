// Package cluster chooses the connection that a call goes over, and keeps
// connections: resolver → router → balancer → connections.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/transport"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// Cluster chooses connections for calls. Its methods may be called concurrently.
type Cluster interface {
	// Pick returns a connection for a call. It waits for one that is being made
	// until ctx is done or deadline, if there is one, passes. While the last
	// attempt to connect has failed it fails at once, unless wait is set.
	Pick(ctx context.Context, deadline time.Time, wait bool) (Client, *status.Error)
	// Done says that the call which Pick returned c for is over. It is called
	// once for each Pick that returned a connection.
	Done(c Client)
	// Close closes all connections.
	Close() error
}

// Client makes calls to one server over what it is connected by.
type Client interface {
	// Unary makes a unary call and waits for its end.
	Unary(ctx context.Context, u *transport.Unary) *status.Error
	// OpenStream opens a call that streams. Its life is bounded by ctx.
	OpenStream(ctx context.Context, sc *transport.StreamCall) (call.ClientStream, *status.Error)
	// Peer returns the server.
	Peer() call.Peer
}

// DialFunc opens a connection to addr.
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// SecureFunc makes a TLS connection of nc, which was dialed to addr. It closes nc
// if it fails.
type SecureFunc func(ctx context.Context, nc net.Conn, addr string) (net.Conn, error)

// Foreign makes clusters of servers that do not speak the native protocol.
type Foreign struct {
	// Name is what call.Peer.Protocol says of the servers.
	Name string
	// Protocols are the names by which TLS knows what is spoken, the best first.
	Protocols []string
	// New returns a cluster, or why what is asked for cannot be had.
	New func(Config) (Cluster, error)
}

// Config is what a cluster of one endpoint is made from.
type Config struct {
	Endpoint address.Endpoint
	// Path is what stands before the names of methods in a URL, for those who
	// make URLs; it begins with a slash if it is not empty.
	Path string
	Dial DialFunc
	// Secure, if not nil, makes what Dial returns secure.
	Secure SecureFunc
	// DialTimeout bounds each attempt to connect.
	DialTimeout time.Duration
	Backoff     Backoff
	// Keepalive is how long a connection with calls in flight may be silent
	// before it is pinged, KeepaliveTimeout how long the answer may take; zero
	// means never to ping.
	Keepalive, KeepaliveTimeout time.Duration
	// Connections is how many connections calls share, PerCall that each call has
	// one of its own instead, of which KeepIdle are kept for later ones.
	Connections int
	PerCall     bool
	KeepIdle    int

	Transport *transport.Config
	Observers []call.Observer
	Log       *slog.Logger
}

// Expired is the error of a call that ended with err before it had a connection;
// last is why the last attempt failed, or nil.
func (cfg *Config) Expired(err, last error) *status.Error {
	e := status.FromError(err)
	msg := "no connection to " + cfg.Endpoint.String() + " in time"
	if last != nil {
		msg += ": " + last.Error()
	}
	e = status.New(e.Code(), msg).WithCause(err).WithNotRun()
	if e.Code() == status.DeadlineExceeded {
		e = e.WithPhase(status.PhaseDial)
	}
	return e
}

// Unavailable is the error of a call that has no connection because of err.
func Unavailable(err error) *status.Error {
	if err == nil {
		err = transport.ErrClosed
	}
	return status.New(status.Unavailable, err.Error()).WithCause(err).WithNotRun()
}

// Connect opens a connection that is not secure yet. Its errors name the address.
func (cfg *Config) Connect(ctx context.Context) (net.Conn, error) {
	nc, err := cfg.Dial(ctx, cfg.Endpoint.Network, cfg.Endpoint.Addr)
	if err == nil {
		return nc, nil
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return nil, err // which names the address itself
	}
	return nil, cfg.Named(err)
}

// Named says in err which address it is about.
func (cfg *Config) Named(err error) error { return fmt.Errorf("dial %s: %w", cfg.Endpoint, err) }

// open makes a connection. Whoever opens it calls tend, which closes it.
func (cfg *Config) open(ctx context.Context) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.DialTimeout)
	defer cancel()
	nc, err := cfg.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if cfg.Secure != nil {
		if nc, err = cfg.Secure(ctx, nc, cfg.Endpoint.Addr); err != nil {
			return nil, cfg.Named(err)
		}
	}
	peer := cfg.PeerOf(nc, "rpcx")
	c := &connection{
		Client: transport.NewClient(nc, cfg.Transport, peer),
		cfg:    cfg,
		info:   call.ConnInfo{Side: call.Client, Local: nc.LocalAddr(), Remote: nc.RemoteAddr(), Protocol: "rpcx", Opened: time.Now()},
	}
	for _, o := range cfg.Observers {
		o.ConnOpened(c.info)
	}
	return c, nil
}

// connection is a connection that somebody tends.
type connection struct {
	*transport.Client
	cfg  *Config
	info call.ConnInfo
}

// tend keeps the connection until it is dead or stop is closed, pinging it, and
// closes it.
func (c *connection) tend(stop <-chan struct{}) {
	var tick <-chan time.Time
	if c.cfg.Keepalive > 0 {
		t := time.NewTicker(c.cfg.Keepalive)
		defer t.Stop()
		tick = t.C
	}
	var err error
	for seen := c.Received(); ; {
		select {
		case <-c.Dead():
			err = c.Err()
		case <-stop:
		case <-tick:
			now := c.Received()
			if now == seen && c.InFlight() > 0 {
				c.CheckAlive(c.cfg.KeepaliveTimeout)
				now = c.Received()
			}
			seen = now
			continue
		}
		break
	}
	c.Close()
	if err != nil {
		c.cfg.Log.Debug("connection lost", "peer", c.info.Remote, "error", err)
	}
	for _, o := range c.cfg.Observers {
		o.ConnClosed(c.info, err)
	}
}
