package rpcx

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/codec"
	"github.com/rpcx-go/rpcx/runtime/internal/cluster"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/internal/transport"
	"github.com/rpcx-go/rpcx/runtime/metadata"
)

// Option configures a Server or a Conn.
type Option interface {
	ServerOption
	DialOption
}

// ServerOption configures a Server.
type ServerOption interface{ applyServer(*serverConfig) }

// DialOption configures a Conn.
type DialOption interface{ applyDial(*dialConfig) }

// CallOption configures one call, or, given to WithDefaultCallOptions, all
// calls of a Conn.
type CallOption interface{ applyCall(*call.Options) }

// common is what servers and connections have in common.
type common struct {
	settings     frame.Settings
	interceptors []call.Interceptor
	observers    []call.Observer
	log          *slog.Logger
	handshake    time.Duration
	stall        time.Duration
	compressors  *codec.Compressors
	compressor   codec.Compressor
	compressFrom int
	secure       secureOption // nil: connections are plain
	err          error        // the first option that makes no sense
}

type serverConfig struct {
	common
	maxHandlers     int
	shutdownTimeout time.Duration
	maxConns        int
	maxPeerConns    int // 0: no limit
	maxAge          time.Duration
	ageGrace        time.Duration
	base            context.Context
	proxies         *proxies // nil: nobody sends PROXY headers
}

type dialConfig struct {
	common
	dial        cluster.DialFunc
	dialTimeout time.Duration
	backoff     cluster.Backoff
	defaults    []CallOption

	keepalive, keepaliveTimeout time.Duration
	connections                 int  // that calls share
	perCall                     bool // each call has its own
	keepIdle                    int  // of those
}

// Defaults of options that have no constant elsewhere.
const (
	defaultHandshakeTimeout = 5 * time.Second
	defaultWriteStall       = 10 * time.Second
	defaultMaxHandlers      = 10_000
	defaultMaxConns         = 65_536
	defaultMaxAge           = 30 * time.Minute
	defaultAgeGrace         = 30 * time.Second
	defaultShutdownTimeout  = 30 * time.Second
	defaultDialTimeout      = 10 * time.Second
	defaultKeepalive        = 30 * time.Second
	defaultKeepaliveTimeout = 20 * time.Second
)

func newCommon() common {
	settings := frame.DefaultSettings()
	compressors := codec.NewCompressors()
	for _, c := range compressors.All() {
		settings.Compressions |= 1 << c.ID()
	}
	return common{
		settings:    settings,
		compressors: compressors,
		log:         slog.New(errorsOnly{}),
		handshake:   defaultHandshakeTimeout,
		stall:       defaultWriteStall,
	}
}

func (c *common) transport() *transport.Config {
	return &transport.Config{
		Settings:         c.settings,
		Codec:            codec.Proto,
		HandshakeTimeout: c.handshake,
		WriteStall:       c.stall,
		Compressors:      c.compressors,
		Compressor:       c.compressor,
		CompressFrom:     c.compressFrom,
		Log:              c.log,
	}
}

type option func(*common)

func (o option) applyServer(c *serverConfig) { o(&c.common) }
func (o option) applyDial(c *dialConfig)     { o(&c.common) }

type serverOption func(*serverConfig)

func (o serverOption) applyServer(c *serverConfig) { o(c) }

type dialOption func(*dialConfig)

func (o dialOption) applyDial(c *dialConfig) { o(c) }

type callOption func(*call.Options)

func (o callOption) applyCall(c *call.Options) { o(c) }

// WithInterceptors adds interceptors, which see every call of every kind; the
// first one is outermost. Given more than once, later ones are inner.
func WithInterceptors(interceptors ...call.Interceptor) Option {
	return option(func(c *common) { c.interceptors = append(c.interceptors, interceptors...) })
}

// WithObserver adds an observer, which is told of calls and connections.
func WithObserver(o call.Observer) Option {
	return option(func(c *common) { c.observers = append(c.observers, o) })
}

// WithLogger has log told of refused connections (warnings), why connections end
// (debug) and of handlers' panics with their stacks (errors). Without it only the
// panics are logged, to slog.Default.
func WithLogger(log *slog.Logger) Option {
	return option(func(c *common) { c.log = log })
}

// WithMaxMessageSize sets the largest message in bytes that is received. The
// default is 4 MiB, the range 64 KiB to 1 GiB; values outside are brought into it.
// A larger message fails its call with RESOURCE_EXHAUSTED.
func WithMaxMessageSize(bytes int) Option {
	return option(func(c *common) { c.settings.MaxMessage = clamp(bytes, 64<<10, 1<<30) })
}

// WithStreamWindow sets how many bytes the peer may send on one stream before
// the receiver has read them. The default is 256 KiB, the range 64 KiB to 16 MiB;
// values outside are brought into it.
func WithStreamWindow(bytes int) Option {
	return option(func(c *common) { c.settings.StreamCredit = clamp(bytes, 64<<10, 16<<20) })
}

// WithConnWindow sets how many bytes the peer may send on all streams of a
// connection before their receivers have read them. Unary messages do not
// count. The default is 1 MiB, the range 64 KiB to 64 MiB; values outside are
// brought into it.
func WithConnWindow(bytes int) Option {
	return option(func(c *common) { c.settings.ConnCredit = clamp(bytes, 64<<10, 64<<20) })
}

// WithMaxMetadataSize sets the largest headers or trailers in bytes that are
// received. The default is 8 KiB, the range 8 KiB to 16 KiB; values outside are
// brought into it. Larger ones fail their call with RESOURCE_EXHAUSTED.
func WithMaxMetadataSize(bytes int) Option {
	return option(func(c *common) { c.settings.MaxMetadata = clamp(bytes, 8<<10, 16<<10) })
}

// WithHandshakeTimeout bounds the time until a new connection's peer has said
// which protocol it speaks. The default is 5 s; zero means for ever.
func WithHandshakeTimeout(d time.Duration) Option {
	return option(func(c *common) { c.handshake = d })
}

// WithWriteStall sets how long a peer may take nothing of what is sent to it
// before the connection is closed; it may take up to twice as long to notice.
// The default is 10 s; zero means for ever.
func WithWriteStall(d time.Duration) Option {
	return option(func(c *common) { c.stall = d })
}

// WithCompression has messages of at least from bytes compressed with "gzip",
// "zstd" or "s2" before they are sent, if that makes them smaller and the peer
// accepts it. The default is to compress nothing; what was received compressed
// may be answered so or not.
func WithCompression(name string, from int) Option {
	return option(func(c *common) {
		c.compressor, c.compressFrom = c.compressorNamed("WithCompression", name), from
	})
}

// WithAcceptedCompressions sets which compressions may be used for messages to
// this side. The default is all: "gzip", "zstd" and "s2".
func WithAcceptedCompressions(names ...string) Option {
	return option(func(c *common) {
		c.settings.Compressions = 1
		for _, name := range names {
			if found := c.compressorNamed("WithAcceptedCompressions", name); found != nil {
				c.settings.Compressions |= 1 << found.ID()
			}
		}
	})
}

// WithChecksums has frames carry a CRC32C if the peer wants it, too. A wrong sum
// closes the connection. The default is off: TCP has a checksum of its own, TLS
// a better one.
func WithChecksums() Option {
	return option(func(c *common) { c.settings.Checksum = 1 })
}

func (c *common) compressorNamed(opt, name string) codec.Compressor {
	found := c.compressors.ByName(name)
	if found == nil && c.err == nil {
		c.err = fmt.Errorf("rpcx: %s: no compression %q (have: gzip, zstd, s2)", opt, name)
	}
	return found
}

// WithMaxStreams sets how many calls of one connection may be open at once, on
// a server. The default is 4,096, the range 16 to 1,048,576; values outside are
// brought into it. A client that knows the limit waits; a call above it fails
// with RESOURCE_EXHAUSTED.
func WithMaxStreams(n int) ServerOption {
	return serverOption(func(c *serverConfig) { c.settings.MaxStreams = clamp(n, 16, 1<<20) })
}

// WithMaxHandlers sets how many handlers of a server run at once, all
// connections together. The default is 10,000. Calls above it fail with
// RESOURCE_EXHAUSTED without having run.
func WithMaxHandlers(n int) ServerOption {
	return serverOption(func(c *serverConfig) { c.maxHandlers = max(n, 1) })
}

// WithMaxConnections sets how many connections a server has at once. The default
// is 65,536. Further ones are told so and closed.
func WithMaxConnections(n int) ServerOption {
	return serverOption(func(c *serverConfig) { c.maxConns = max(n, 1) })
}

// WithMaxConnectionsPerPeer sets how many connections from one IP address a
// server has at once. The default is no limit, as many clients may stand behind
// one address.
func WithMaxConnectionsPerPeer(n int) ServerOption {
	return serverOption(func(c *serverConfig) { c.maxPeerConns = max(n, 0) })
}

// WithMaxConnectionAge has a server close connections that are older than age,
// give or take a tenth of it, so that load spreads to new servers: it asks the
// client for no more calls on it, waits up to grace for those that run, and ends
// the rest with UNAVAILABLE. The defaults are 30 min and 30 s; a zero age means
// never.
func WithMaxConnectionAge(age, grace time.Duration) ServerOption {
	return serverOption(func(c *serverConfig) { c.maxAge, c.ageGrace = age, grace })
}

// WithShutdownTimeout sets how long ListenAndServe waits for calls to end when
// its context is done, before it cancels them. The default is 30 s.
func WithShutdownTimeout(d time.Duration) ServerOption {
	return serverOption(func(c *serverConfig) { c.shutdownTimeout = d })
}

// WithBaseContext sets the context whose values handlers see. Its cancellation
// is not passed on: Shutdown and Close end a server. The default is
// context.Background.
func WithBaseContext(ctx context.Context) ServerOption {
	return serverOption(func(c *serverConfig) { c.base = context.WithoutCancel(ctx) })
}

// WithDialer sets the function that opens connections, such as a proxy's, or
// the Dial method of rpcxtest.Network. The default is net.Dialer.DialContext.
func WithDialer(dial func(ctx context.Context, network, addr string) (net.Conn, error)) DialOption {
	return dialOption(func(c *dialConfig) { c.dial = dial })
}

// WithDialTimeout bounds each attempt to connect. The default is 10 s.
func WithDialTimeout(d time.Duration) DialOption {
	return dialOption(func(c *dialConfig) { c.dialTimeout = d })
}

// WithBackoff sets how long a Conn waits after a failed attempt to connect
// before the next: half to all of base after the first failure, at random, 1.6
// times as long after each further one, at most longest. The defaults are
// 100 ms and 10 s.
func WithBackoff(base, longest time.Duration) DialOption {
	return dialOption(func(c *dialConfig) { c.backoff = cluster.Backoff{Base: base, Max: longest} })
}

// WithKeepalive sets how long a connection with calls in flight may be silent
// before it is pinged, and how long the answer may take before the connection is
// closed and its calls fail with UNAVAILABLE. The defaults are 30 s and 20 s; a
// zero interval means never to ping.
func WithKeepalive(interval, timeout time.Duration) DialOption {
	return dialOption(func(c *dialConfig) { c.keepalive, c.keepaliveTimeout = interval, timeout })
}

// WithConnections has calls share n connections in turn, instead of one. Several
// are worth their cost where many large messages pass at once. n is 1 to 64;
// values outside are brought into that range.
func WithConnections(n int) DialOption {
	return dialOption(func(c *dialConfig) { c.connections, c.perCall = min(max(n, 1), 64), false })
}

// WithPooledConnections gives each call a connection of its own while it lasts,
// and keeps at most idle of those that are not used for later calls.
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

// WithTimeout bounds a call to d, beside its context's own deadline. A call with
// no time left, d ≤ 0, fails with DEADLINE_EXCEEDED at once.
func WithTimeout(d time.Duration) CallOption {
	return callOption(func(o *call.Options) {
		if o.Timeout = d; d <= 0 {
			o.Timeout = -1
		}
	})
}

// WithWaitForReady has a call wait, within its deadline, while the server
// cannot be reached. By default it fails with UNAVAILABLE as soon as an attempt
// to connect has failed.
func WithWaitForReady(wait bool) CallOption {
	return callOption(func(o *call.Options) { o.WaitForReady = wait })
}

// WithMetadata sends md with the request, after the metadata of the context.
func WithMetadata(md metadata.MD) CallOption {
	return callOption(func(o *call.Options) { o.Metadata = metadata.Join(o.Metadata, md) })
}

// WithCredentials adds metadata that says who calls. Credentials that require
// it fail calls over connections that are not secure.
func WithCredentials(c call.Credentials) CallOption {
	return callOption(func(o *call.Options) { o.Credentials = c })
}

// Header has the response headers of a call stored in md. They are complete
// when a unary call has returned; streams have a Header method instead.
func Header(md *metadata.MD) CallOption {
	return callOption(func(o *call.Options) { o.Header = md })
}

// Trailer has the response trailers of a call stored in md. They are complete
// when a unary call has returned; streams have a Trailer method instead.
func Trailer(md *metadata.MD) CallOption {
	return callOption(func(o *call.Options) { o.Trailer = md })
}

// CallOptions collects options, for those who write a Caller.
func CallOptions(opts ...CallOption) call.Options {
	var o call.Options
	for _, opt := range opts {
		opt.applyCall(&o)
	}
	return o
}

func clamp(v, low, high int) uint32 { return uint32(min(max(v, low), high)) }
