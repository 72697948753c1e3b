package rpcx

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/cluster"
	"github.com/rpcx-go/rpcx/runtime/internal/stats"
	"github.com/rpcx-go/rpcx/runtime/internal/transport"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// Conn is what clients call through: the way to one server or many, not one
// network connection. It looks for servers and connects to them when calls come,
// and again after a connection was lost. Its methods may be called concurrently.
type Conn struct {
	target   string
	cfg      dialConfig
	made     time.Time
	defaults call.Options
	cluster  cluster.Cluster
	stats    stats.Table
	chain    call.Next // nil without interceptors
	unaries  sync.Pool // of *unaryCall
}

// Dial returns a Conn to target: one server, "host:port", "tcp://host:port" or
// "unix:///path"; or those that a resolver finds, such as
// "dns:///users.internal:7000", "static:///a:7000,b:7000", "file:///etc/users.json"
// or a scheme of WithResolver. With WithDialer it is also any other name that the
// dialer understands, and with the options of package rpcxhttp also a URL. It
// neither looks up nor connects yet: an error says that the target or an option
// is wrong.
func Dial(target string, opts ...DialOption) (*Conn, error) {
	c := &Conn{target: target, made: time.Now()}
	cfg := &c.cfg
	*cfg = dialConfig{
		common:           newCommon(),
		dialTimeout:      defaultDialTimeout,
		keepalive:        defaultKeepalive,
		keepaliveTimeout: defaultKeepaliveTimeout,
		backoff:          cluster.Backoff{Base: 100 * time.Millisecond, Max: 10 * time.Second},
		idleTimeout:      defaultIdleTimeout,
		schemes:          builtin,
	}
	for _, o := range opts {
		o.applyDial(cfg)
	}
	if cfg.err != nil {
		return nil, cfg.err
	}
	for _, o := range cfg.defaults {
		o.applyCall(&c.defaults)
	}
	if cfg.ask != nil {
		cfg.check = func(ctx context.Context, n *address.Node) error { return cfg.ask(ctx, &Instance{c, n}) }
	}
	var err error
	if c.cluster, err = cfg.connect(target); err != nil {
		return nil, err
	}
	c.unaries.New = func() any { return new(unaryCall) }
	if len(cfg.interceptors) > 0 {
		c.chain = call.Chain(cfg.interceptors, innermost)
	}
	return c, nil
}

// Target returns what was given to Dial.
func (c *Conn) Target() string { return c.target }

// Stats returns the counts of all methods that have been called, in order of
// their names.
func (c *Conn) Stats() []Stats { return c.stats.Snapshot() }

// Close closes all network connections. Calls in flight, and all later ones,
// fail with UNAVAILABLE.
func (c *Conn) Close() error { return c.cluster.Close() }

func (c *Conn) options(opts []CallOption) *call.Options {
	if len(opts) == 0 {
		return &c.defaults
	}
	o := c.defaults
	for _, opt := range opts {
		opt.applyCall(&o)
	}
	return &o
}

// CallUnary implements Caller.
func (c *Conn) CallUnary(ctx context.Context, m *call.Method, req, res any, opts ...CallOption) error {
	o := c.options(opts)
	if c.chain != nil {
		return c.interceptUnary(ctx, m, req, res, o)
	}
	md, err := outgoing(ctx, o)
	if err != nil {
		return err
	}
	u := c.newUnary(m, req, res, md, o)
	e := c.unary(ctx, u, o)
	c.recycle(u)
	if e != nil {
		return e
	}
	return nil
}

// unaryCall is a unary call and the choice of its server.
type unaryCall struct {
	transport.Unary
	pick cluster.Pick
}

// newUnary returns a call that recycle takes back.
func (c *Conn) newUnary(m *call.Method, req, res any, md metadata.MD, o *call.Options) *unaryCall {
	u := c.unaries.Get().(*unaryCall)
	u.Method, u.Req, u.Res, u.Metadata, u.Class = m, req, res, md, o.Class
	return u
}

func (c *Conn) recycle(u *unaryCall) {
	u.Reset()
	u.pick = cluster.Pick{}
	c.unaries.Put(u)
}

// outgoing returns the metadata that a call is made with, without that of credentials.
func outgoing(ctx context.Context, o *call.Options) (metadata.MD, error) {
	md, _ := metadata.FromOutgoingContext(ctx)
	if len(o.Metadata) > 0 {
		md = metadata.Join(md, o.Metadata)
	}
	return md, validate(md)
}

func validate(md metadata.MD) error {
	if len(md) == 0 {
		return nil
	}
	if err := metadata.Validate(md, metadata.DefaultMaxBytes); err != nil {
		return status.New(status.InvalidArgument, err.Error()).WithNotRun()
	}
	return nil
}

// maxResends bounds how often a call that never ran is sent again, unless it
// waits for the server to be ready.
const maxResends = 10

// resend reports whether a call that was sent n times before may be sent again
// after it ended with err.
func resend(err *status.Error, n int, o *call.Options) bool {
	return err != nil && connectionLost(err) && (o.WaitForReady || n < maxResends)
}

// tried returns n, how often a call was sent before, as the class of a call has it.
func tried(n int) uint8 { return uint8(min(n, call.MaxAttempt)) }

// unary makes one attempt, which is repeated only while it provably never left
// this process or never ran because the connection was on its end.
//
// Everybody waits here for an answer, with no more frames on the stack than must be:
// each garbage collection scans those of all who wait, and many callers together have
// more of them than a cache holds. What only some calls need is in frames of its own.
func (c *Conn) unary(ctx context.Context, u *unaryCall, o *call.Options) *status.Error {
	st := c.stats.Method(u.Method)
	st.Start()
	start := c.now()
	u.Deadline, u.Timed = c.deadline(ctx, start, o)
	c.started(u.Method, start)
	base := u.Metadata
	err := c.route(&u.pick, u.Method, u.Req, o)
	if err == nil {
		u.Class, u.Route, u.Routed = u.pick.Class, u.pick.Hash, u.pick.HasKey
		u.pick.Metadata, u.pick.Deadline = base, u.Deadline
		var client cluster.Client // nil where the cluster has been told the outcome
		defer func() {
			if client != nil { // what is the user's has panicked
				c.attempted(u, client, err)
			}
		}()
		for n := 0; ; n++ {
			u.Class.Attempt = tried(n)
			if client, err = c.cluster.Pick(ctx, &u.pick); err != nil {
				break
			}
			u.Sent = 0
			if o.Credentials != nil || len(c.cfg.observers) > 0 {
				err = c.attempt(ctx, client, u, base, o, n)
			} else {
				if answered := client.StartUnary(ctx, &u.Unary); answered != nil {
					<-answered
				}
				err = client.FinishUnary(ctx, &u.Unary)
			}
			used := client
			client = nil
			c.attempted(u, used, err)
			if !resend(err, n, o) {
				break
			}
			u.pick.Failed()
		}
	}
	if o.Header != nil {
		*o.Header = u.Header
	}
	if o.Trailer != nil {
		*o.Trailer = u.Trailer
	}
	took := c.now() - start
	st.End(err.Code(), took, u.Sent, u.Received)
	c.ended(u.Method, start, err, took, u.Sent, u.Received)
	return err
}

// now returns the time since the Conn was made, which is cheaper to read than what
// the clock says.
func (c *Conn) now() time.Duration { return time.Since(c.made) }

// deadline returns when a call that starts now must end, zero if never, and
// whether that is before its context is done.
func (c *Conn) deadline(ctx context.Context, start time.Duration, o *call.Options) (at time.Time, timed bool) {
	at, _ = ctx.Deadline()
	if o.Timeout != 0 {
		if d := c.made.Add(start + o.Timeout); at.IsZero() || d.Before(at) {
			return d, true
		}
	}
	return at, false
}

// connectionLost reports whether err says that the call never ran because its
// connection ended, so that it may be sent again over another one.
func connectionLost(err *status.Error) bool {
	_, lost := err.Unwrap().(*transport.ConnError)
	return lost && err.NotRun() && err.Code() == status.Unavailable
}

// attempted tells the cluster what came of sending the call to client.
func (c *Conn) attempted(u *unaryCall, client cluster.Client, err *status.Error) {
	u.pick.Unsent = err.NotRun() && (u.Sent == 0 || err.Code() == status.Unavailable)
	c.cluster.Done(&u.pick, client, err)
}

// attempt sends the call once where credentials or observers have a part in it.
func (c *Conn) attempt(ctx context.Context, client cluster.Client, u *unaryCall, base metadata.MD, o *call.Options, n int) (err *status.Error) {
	if o.Credentials != nil {
		if u.Metadata, err = c.authorize(ctx, client, u.Method, base, o.Credentials); err != nil {
			return err
		}
	}
	if len(c.cfg.observers) > 0 {
		return c.observedAttempt(ctx, client, u, n)
	}
	return client.Unary(ctx, &u.Unary)
}

// observedAttempt sends the call to client and tells the observers.
func (c *Conn) observedAttempt(ctx context.Context, client cluster.Client, u *unaryCall, n int) *status.Error {
	info := call.Info{Method: u.Method, Side: call.Client, Peer: client.Peer(), Start: time.Now(), Attempt: n}
	for _, ob := range c.cfg.observers {
		ob.AttemptStarted(info)
	}
	err := client.Unary(ctx, &u.Unary)
	r := result(err, time.Since(info.Start), u.Sent, u.Received)
	for _, ob := range c.cfg.observers {
		ob.AttemptEnded(info, r)
	}
	return err
}

// authorize adds the metadata of credentials for a call to server.
func (c *Conn) authorize(ctx context.Context, server cluster.Client, m *call.Method, md metadata.MD, creds call.Credentials) (metadata.MD, *status.Error) {
	if peer := server.Peer(); creds.RequireSecure() && !peer.Secure {
		return nil, status.New(status.Unauthenticated, fmt.Sprintf("credentials require a secure connection, and that to %v is not", peer.Addr)).WithNotRun()
	}
	own, err := creds.Metadata(ctx, m)
	if err != nil {
		e := status.FromError(err)
		if e.Code() == status.Unknown {
			e = status.New(status.Unauthenticated, "credentials: "+err.Error()).WithCause(err)
		}
		return nil, e.WithNotRun()
	}
	md = metadata.Join(md, own)
	if err := validate(md); err != nil {
		return nil, status.FromError(err)
	}
	return md, nil
}

// started tells the observers of a call that has started at start, ended that it
// has ended.
func (c *Conn) started(m *call.Method, start time.Duration) {
	for _, o := range c.cfg.observers {
		o.CallStarted(c.info(m, start))
	}
}

func (c *Conn) ended(m *call.Method, start time.Duration, err *status.Error, took time.Duration, sent, received int) {
	for _, o := range c.cfg.observers {
		o.CallEnded(c.info(m, start), result(err, took, sent, received))
	}
}

func (c *Conn) info(m *call.Method, start time.Duration) call.Info {
	return call.Info{Method: m, Side: call.Client, Peer: call.Peer{Protocol: c.cfg.protocol()}, Start: c.made.Add(start)}
}

func result(err *status.Error, took time.Duration, sent, received int) call.Result {
	r := call.Result{Duration: took, BytesSent: int64(sent), BytesReceived: int64(received)}
	if err != nil {
		r.Err = err
	}
	return r
}
