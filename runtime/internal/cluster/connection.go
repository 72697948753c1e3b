package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/transport"
)

// Connect opens a connection that is not secure yet. Its errors name the address.
func (cfg *Config) Connect(ctx context.Context) (net.Conn, error) {
	dial := cfg.Dial
	if dial == nil {
		dial = dialer.DialContext
	}
	nc, err := dial(ctx, cfg.Endpoint.Network, cfg.Endpoint.Addr)
	if err == nil {
		return nc, nil
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return nil, err // which names the address itself
	}
	return nil, cfg.Named(err)
}

var dialer net.Dialer

// bounded is a context with a deadline that does not end it.
type bounded struct {
	context.Context
	deadline time.Time
}

func (b bounded) Deadline() (time.Time, bool) { return b.deadline, true }

// numeric reports whether the endpoint has an address that needs no look-up, and is
// reached by the usual dialer and without TLS: that keeps a deadline without a timer.
func (cfg *Config) numeric() bool {
	if cfg.Dial != nil || cfg.Secure != nil || cfg.Endpoint.Network != "tcp" {
		return false
	}
	_, err := netip.ParseAddrPort(cfg.Endpoint.Addr)
	return err == nil
}

// dial opens a connection, within DialTimeout.
func (cfg *Config) dial(ctx context.Context) (net.Conn, error) {
	if cfg.numeric() {
		deadline := time.Now().Add(cfg.DialTimeout)
		if at, ok := ctx.Deadline(); ok && at.Before(deadline) {
			deadline = at
		}
		return cfg.Connect(bounded{ctx, deadline})
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.DialTimeout)
	defer cancel()
	nc, err := cfg.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if cfg.Secure != nil {
		if nc, err = cfg.Secure(ctx, nc, cfg.Name()); err != nil {
			return nil, cfg.Named(err)
		}
	}
	return nc, nil
}

// Named says in err which address it is about.
func (cfg *Config) Named(err error) error { return fmt.Errorf("dial %s: %w", cfg.Endpoint, err) }

// Name returns what the server's certificate is for: a host, or an address with one.
func (cfg *Config) Name() string {
	e := cfg.Endpoint
	if cfg.Node != nil {
		e = cfg.Node.Endpoint() // its name may have been corrected
	}
	if e.Name != "" {
		return e.Name
	}
	return cfg.Endpoint.Addr
}

// open makes a connection of line's. Whoever opens it calls run.
func (cfg *Config) open(ctx context.Context, line keeper) (*connection, error) {
	nc, err := cfg.dial(ctx)
	if err != nil {
		return nil, err
	}
	peer := cfg.PeerOf(nc, "rpcx")
	c := &connection{
		Client: transport.NewClient(nc, cfg.Transport, peer),
		cfg:    cfg,
		line:   line,
		info:   call.ConnInfo{Side: call.Client, Local: nc.LocalAddr(), Remote: nc.RemoteAddr(), Protocol: "rpcx", Opened: time.Now()},
	}
	for _, o := range cfg.Observers {
		o.ConnOpened(c.info)
	}
	return c, nil
}

// keeper is a line, as its connections know it.
type keeper interface {
	// settled is called when the server has said what it accepts.
	settled(*connection)
	// ended is called last, once.
	ended(*connection)
}

// connection is a connection of a line. It pings the server, and drains when it is
// old or idle. It is the holder of its client.
type connection struct {
	*transport.Client
	cfg   *Config
	line  keeper
	info  call.ConnInfo
	watch watch
}

// run reads until the connection has ended or comes to rest.
func (c *connection) run() { c.Run(c) }

// Begun implements transport.Holder.
func (c *connection) Begun() {
	c.watch.begin(c)
	c.line.settled(c)
}

// Ended implements transport.Holder.
func (c *connection) Ended() {
	defer c.line.ended(c) // whatever the observers do
	c.watch.end()
	err := c.Err()
	if errors.Is(err, transport.ErrClosed) || isDone(c.Left()) {
		err = nil
	}
	if err != nil {
		c.cfg.Log.Debug("connection lost", "peer", c.info.Remote, "error", err)
	}
	for _, o := range c.cfg.Observers {
		o.ConnClosed(c.info, err)
	}
}
