package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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

// open makes a connection. Whoever opens it calls tend, which closes it.
func (cfg *Config) open(ctx context.Context) (*connection, error) {
	nc, err := cfg.dial(ctx)
	if err != nil {
		return nil, err
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
	w := c.watch()
	defer w.timer.Stop()
	left := c.Left()
	for open := true; open; {
		select {
		case <-c.Dead():
			open = false
		case <-stop:
			open = false
		case <-left:
			left = nil
			w.late = time.Since(w.begun) + farewell
			w.wait()
		case <-retire:
			retire = nil
			c.Retire()
		case <-w.timer.C:
			open = w.look()
		}
	}
	c.close()
}

// watch says when to look after a connection. Times are since it begun; never is
// one that does not come.
type watch struct {
	c     *connection
	begun time.Time
	timer *time.Timer

	ping, idle, old, late time.Duration // when each is due

	heard, used uint64 // what had been received when the server was last heard of, and a call last used it
	quiet       int    // for how many halves of the idle time none has
}

const never = 1<<63 - 1

func (c *connection) watch() *watch {
	w := &watch{c: c, begun: time.Now(), ping: never, idle: never, old: never, late: never, heard: c.Received()}
	if c.cfg.Keepalive > 0 {
		w.ping = c.cfg.Keepalive
	}
	if c.cfg.IdleTimeout/2 > 0 {
		w.idle = c.cfg.IdleTimeout / 2
	}
	if c.cfg.MaxAge > 0 {
		w.old = time.Duration(float64(c.cfg.MaxAge) * (0.9 + rand.Float64()/5))
	}
	w.timer = time.NewTimer(w.next())
	return w
}

// next returns when the first thing is due.
func (w *watch) next() time.Duration { return min(w.ping, w.idle, w.old, w.late) }

// wait has the timer fire at what is due next.
func (w *watch) wait() { w.timer.Reset(w.next() - time.Since(w.begun)) }

// look does what is due. It returns false if the connection is to be closed.
func (w *watch) look() bool {
	now := time.Since(w.begun)
	if w.late <= now {
		return false
	}
	if w.old <= now {
		w.old = never
		w.c.Retire()
	}
	if w.idle <= now {
		w.idle = now + w.c.cfg.IdleTimeout/2
		w.quiet++
		if n := w.c.Received(); n != w.used || w.c.InFlight() > 0 {
			w.used, w.quiet = n, 0
		}
		if w.quiet == 2 { // both halves of the time
			w.c.Retire()
		}
	}
	if w.ping <= now {
		w.ping = now + w.c.cfg.Keepalive
		n := w.c.Received()
		if n == w.heard && w.c.InFlight() > 0 {
			w.c.CheckAlive(w.c.cfg.KeepaliveTimeout)
			n = w.c.Received()
		}
		w.heard = n
	}
	w.wait()
	return true
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
