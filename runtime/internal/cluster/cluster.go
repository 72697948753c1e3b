// Package cluster chooses the connection that a call goes over, and keeps
// connections: resolver → router → balancer → connections. A Line is the way to
// one endpoint; a Cluster is the way to all that a target stands for.
package cluster

import (
	"context"
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
	// until ctx is done or p.Deadline, if there is one, passes. While all attempts
	// to connect fail it fails at once, unless p.Wait is set.
	Pick(ctx context.Context, p *Pick) (Client, *status.Error)
	// Done says that the call for which Pick returned c is over, and how it ended.
	// It is called once for each Pick that returned a connection, with the same p.
	Done(p *Pick, c Client, err *status.Error)
	// Nodes returns the servers that are known, waiting for the first answer of the
	// resolver until ctx is done.
	Nodes(ctx context.Context) ([]*address.Node, *status.Error)
	// Shard returns a number that is the same for calls that go to the same
	// servers because of their keys; ok is false if keys do not matter.
	Shard(ctx context.Context, r *address.Request) (id uint64, ok bool, err *status.Error)
	// Now returns the time as nodes have it.
	Now() int64
	// Resolver returns what has been heard of the resolver.
	Resolver() address.KeepStats
	// Close closes all connections.
	Close() error
}

// Pick is what a Cluster is told of a call, and what it notes of its choice.
type Pick struct {
	address.Request
	// Deadline is when the caller stops waiting; zero if never.
	Deadline time.Time
	// Wait has the call wait while no server can be reached.
	Wait bool
	// Stream says that how long the call takes tells nothing of the server.
	Stream bool
	// Unsent says, when the call is done, that nothing of it reached the server.
	Unsent bool
	// Only is the one server that may be chosen, or nil.
	Only *address.Node

	// Chosen is the server that was chosen last, nil in a cluster of one endpoint.
	Chosen *address.Node
	line   Line
}

// Failed says that the call went to the chosen server in vain, so that the next
// choice is another one.
func (p *Pick) Failed() {
	if p.Chosen != nil {
		p.Tried = append(p.Tried, p.Chosen)
	}
}

// Line is the way to one endpoint. Its methods may be called concurrently.
type Line interface {
	// Take returns a connection that a call may use at once, or nil.
	Take() Client
	// Pick returns a connection. It waits for one that is being made until ctx is
	// done or deadline, if there is one, passes. While the last attempt to connect
	// has failed it fails at once, unless wait is set.
	Pick(ctx context.Context, deadline time.Time, wait bool) (Client, *status.Error)
	// Done says that the call which a connection was taken or picked for is over.
	Done(c Client)
	// Failing reports whether there is no connection because the last one was lost
	// or the last attempt failed.
	Failing() bool
	// Retire lets no more calls begin and returns when all connections have been
	// closed, each when its last call has ended.
	Retire()
	// Close closes all connections.
	Close() error
}

// connecter is a Line that has connections on which the server has not answered yet.
type connecter interface {
	// Connect is Pick, but returns only connections on which the server has answered.
	Connect(ctx context.Context, deadline time.Time, wait bool) (Client, *status.Error)
}

// connect is line.Pick, or Connect if the line has it.
func connect(ctx context.Context, line Line, deadline time.Time, wait bool) (Client, *status.Error) {
	if l, ok := line.(connecter); ok {
		return l.Connect(ctx, deadline, wait)
	}
	return line.Pick(ctx, deadline, wait)
}

// Client makes calls to one server over what it is connected by.
type Client interface {
	// Unary makes a unary call and waits for its end.
	Unary(ctx context.Context, u *transport.Unary) *status.Error
	// StartUnary and FinishUnary are its halves. What the first returns is received
	// from in between, unless it is nil.
	StartUnary(ctx context.Context, u *transport.Unary) (answered <-chan struct{})
	FinishUnary(ctx context.Context, u *transport.Unary) *status.Error
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

// Foreign makes the ways to servers that do not speak the native protocol.
type Foreign struct {
	// Name is what call.Peer.Protocol says of the servers.
	Name string
	// Protocols are the names by which TLS knows what is spoken, the best first.
	Protocols []string
	// New returns a way to a server, or why what is asked for cannot be had.
	New func(Config) (Line, error)
}

// Config is what a Line is made from.
type Config struct {
	Endpoint address.Endpoint
	// Path is what stands before the names of methods in a URL, for those who
	// make URLs; it begins with a slash if it is not empty.
	Path string
	// Dial opens connections; nil is net.Dialer.DialContext.
	Dial DialFunc
	// Secure, if not nil, makes what Dial returns secure.
	Secure SecureFunc
	// DialTimeout bounds each attempt to connect.
	DialTimeout time.Duration
	Backoff     Backoff
	// Node, if not nil, has the newest attributes of the endpoint.
	Node *address.Node
	// Trusted says that it was the user who named the endpoint, so that a socket of
	// this machine is as secure as TLS.
	Trusted bool
	// Others, if not nil, reports whether there are other servers for the calls.
	Others func() bool
	// Keepalive is how long a connection with calls in flight may be silent
	// before it is pinged, KeepaliveTimeout how long the answer may take; zero
	// means never to ping.
	Keepalive, KeepaliveTimeout time.Duration
	// Connections is how many connections calls share, PerCall that each call has
	// one of its own instead, of which KeepIdle are kept for later ones.
	Connections int
	PerCall     bool
	KeepIdle    int
	// IdleTimeout is how long a connection without calls is kept, MaxAge how long
	// calls may begin on one that is used, a tenth more or less; zero is for ever.
	IdleTimeout, MaxAge time.Duration

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
