package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/transport"
)

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

// open makes a connection. Whoever opens it calls tend, which closes it.
func (cfg *Config) open(ctx context.Context) (*connection, error) {
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

// farewell is how long a server may take to close a connection that nobody uses
// any more.
const farewell = 5 * time.Second

// tend keeps the connection until it is dead or stop is closed, pinging it, and
// closes it. It has it drained when it is old, or idle, or retire is closed.
func (c *connection) tend(stop, retire <-chan struct{}) {
	ping, stopPing := ticker(c.cfg.Keepalive)
	defer stopPing()
	idle, stopIdle := ticker(c.cfg.IdleTimeout / 2)
	defer stopIdle()
	var old, late <-chan time.Time
	if c.cfg.MaxAge > 0 {
		t := time.NewTimer(time.Duration(float64(c.cfg.MaxAge) * (0.9 + rand.Float64()/5)))
		defer t.Stop()
		old = t.C
	}
	left := c.Left()
	heard, used, quiet := c.Received(), uint64(0), 0
	for open := true; open; {
		select {
		case <-c.Dead():
			open = false
		case <-stop:
			open = false
		case <-late:
			open = false
		case <-left:
			left, late = nil, time.After(farewell)
		case <-retire:
			retire = nil
			c.Retire()
		case <-old:
			c.Retire()
		case <-idle:
			quiet++
			if now := c.Received(); now != used || c.InFlight() > 0 {
				used, quiet = now, 0
			}
			if quiet == 2 { // both halves of the time
				c.Retire()
			}
		case <-ping:
			now := c.Received()
			if now == heard && c.InFlight() > 0 {
				c.CheckAlive(c.cfg.KeepaliveTimeout)
				now = c.Received()
			}
			heard = now
		}
	}
	c.close()
}

// close closes the connection and tells the observers.
func (c *connection) close() {
	var err error
	if isDone(c.Dead()) && !isDone(c.Left()) {
		err = c.Err()
	}
	c.Close()
	if err != nil {
		c.cfg.Log.Debug("connection lost", "peer", c.info.Remote, "error", err)
	}
	for _, o := range c.cfg.Observers {
		o.ConnClosed(c.info, err)
	}
}

// ticker returns a channel that receives every d, never if d is zero, and what
// stops it.
func ticker(d time.Duration) (<-chan time.Time, func()) {
	if d <= 0 {
		return nil, func() {}
	}
	t := time.NewTicker(d)
	return t.C, t.Stop
}
