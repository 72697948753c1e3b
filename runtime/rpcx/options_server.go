package rpcx

import (
	"context"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/fallback"
)

type serverConfig struct {
	common
	maxHandlers     int
	shutdownTimeout time.Duration
	maxConns        int
	maxPeerConns    int // 0: no limit
	maxAge          time.Duration
	ageGrace        time.Duration
	base            context.Context
	proxies         *proxies     // nil: nobody sends PROXY headers
	fallback        fallback.New // nil: only the native protocol is spoken
	registrations   []registration
}

type serverOption func(*serverConfig)

func (o serverOption) applyServer(c *serverConfig) { o(c) }

// WithMaxStreams sets how many calls of one connection may be open at once, on
// a server. The default is 4,096, the range 16 to 1,048,576; values outside are
// brought into it. A client that knows the limit waits; a call above it fails
// with RESOURCE_EXHAUSTED.
func WithMaxStreams(n int) ServerOption {
	return serverOption(func(c *serverConfig) { c.settings.MaxStreams = clamp(n, 16, 1<<20) })
}

// WithMaxMethods sets for how many methods a client may use numbers instead of
// names on one connection; for others it sends the name each time. The default is
// 4,096, the range 64 to 65,535; values outside are brought into it. A client that
// defines more has its connection closed.
func WithMaxMethods(n int) ServerOption {
	return serverOption(func(c *serverConfig) { c.settings.MaxMethods = clamp(n, 64, 1<<16-1) })
}

// WithMaxHandlers sets how many handlers of a server run at once, all
// connections together. The default is 10,000, the range 1 to 1,048,576; values
// outside are brought into it. Calls above it fail with
// RESOURCE_EXHAUSTED without having run.
func WithMaxHandlers(n int) ServerOption {
	return serverOption(func(c *serverConfig) { c.maxHandlers = int(clamp(n, 1, 1<<20)) })
}

// WithMaxConnections sets how many connections a server has at once. The default
// is 65,536, the range 1 to 1,048,576; values outside are brought into it. Further
// ones are told so and closed.
func WithMaxConnections(n int) ServerOption {
	return serverOption(func(c *serverConfig) { c.maxConns = int(clamp(n, 1, 1<<20)) })
}

// WithMaxConnectionsPerPeer sets how many connections from one IP address a
// server has at once. The default is no limit, as many clients may stand behind
// one address; any number is allowed, zero means no limit.
func WithMaxConnectionsPerPeer(n int) ServerOption {
	return serverOption(func(c *serverConfig) { c.maxPeerConns = max(n, 0) })
}

// WithMaxConnectionAge has a server close connections that are older than age,
// give or take a tenth of it, so that load spreads to new servers: it asks the
// client for no more calls on it, waits up to grace for those that run, and ends
// the rest with UNAVAILABLE. The defaults are 30 min and 30 s, any times are
// allowed; a zero age means never.
func WithMaxConnectionAge(age, grace time.Duration) ServerOption {
	return serverOption(func(c *serverConfig) { c.maxAge, c.ageGrace = age, grace })
}

// WithShutdownTimeout sets how long ListenAndServe waits for calls to end when
// its context is done, before it cancels them. The default is 30 s, any time is
// allowed.
func WithShutdownTimeout(d time.Duration) ServerOption {
	return serverOption(func(c *serverConfig) { c.shutdownTimeout = d })
}

// WithBaseContext sets the context whose values handlers see. Its cancellation
// is not passed on: Shutdown and Close end a server. The default is
// context.Background.
func WithBaseContext(ctx context.Context) ServerOption {
	return serverOption(func(c *serverConfig) { c.base = context.WithoutCancel(ctx) })
}

// WithFallback has connections served that do not speak the native protocol.
// Packages of this module call it, such as rpcxhttp in its option WithHTTP. The
// default is to close them without a word.
func WithFallback(f fallback.New) ServerOption {
	return serverOption(func(c *serverConfig) { c.fallback = f })
}
