package rpcx

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/codec"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/internal/transport"
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
	codec        codec.Codec   // of calls that this side makes
	codecs       []codec.Codec // further ones that calls of the peer may use
	compressors  *codec.Compressors
	compressor   codec.Compressor
	compressFrom int
	busyPoll     time.Duration     // 0: connections are not polled
	budget       int64             // 0: that of the process
	receiving    *transport.Budget // made of it; nil: that of the process
	streamGrowth uint32            // how far a stream's window grows
	connGrowth   uint32
	secure       secureOption // nil: connections are plain
	protocols    []string     // that TLS offers or accepts, the best first
	err          error        // the first option that makes no sense
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
	defaultIdleTimeout      = 30 * time.Minute

	// restAfter is how long nothing must come before a connection gives back
	// memory. It costs a few microseconds when something comes again.
	restAfter = time.Second
)

// Hard caps of windows, which are also how far they grow by default.
const (
	maxStreamWindow = 16 << 20
	maxConnWindow   = 64 << 20
)

// What servers and connections without options share; it does not change.
var (
	native   = slices.Clip([]string{alpn})
	errorLog = slog.New(errorsOnly{})
	builtin  = address.Builtin()
)

func newCommon() common {
	settings := frame.DefaultSettings()
	compressors := codec.NewCompressors()
	for _, c := range compressors.All() {
		settings.Compressions |= 1 << c.ID()
	}
	return common{
		settings:     settings,
		codec:        codec.Proto,
		compressors:  compressors,
		protocols:    native,
		log:          errorLog,
		handshake:    defaultHandshakeTimeout,
		stall:        defaultWriteStall,
		streamGrowth: maxStreamWindow,
		connGrowth:   maxConnWindow,
	}
}

func (c *common) transport() *transport.Config {
	return &transport.Config{
		Budget:           c.receiveBudget(),
		Settings:         c.settings,
		Codec:            c.codec,
		Codecs:           c.codecs,
		HandshakeTimeout: c.handshake,
		WriteStall:       c.stall,
		BusyPoll:         c.busyPoll,
		RestAfter:        restAfter,
		Compressors:      c.compressors,
		Compressor:       c.compressor,
		CompressFrom:     c.compressFrom,
		MaxStreamCredit:  c.streamGrowth,
		MaxConnCredit:    c.connGrowth,
		Log:              c.log,
	}
}

// receiveBudget returns the budget that the option has asked for, nil if none.
func (c *common) receiveBudget() *transport.Budget {
	if c.budget > 0 && c.receiving == nil {
		c.receiving = transport.NewBudget(c.budget)
	}
	return c.receiving
}

type option func(*common)

func (o option) applyServer(c *serverConfig) { o(&c.common) }
func (o option) applyDial(c *dialConfig)     { o(&c.common) }

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
// the receiver has read them, to begin with; see WithWindowGrowth. The default is
// 256 KiB, the range 64 KiB to 16 MiB; values outside are brought into it.
func WithStreamWindow(bytes int) Option {
	return option(func(c *common) { c.settings.StreamCredit = clamp(bytes, 64<<10, maxStreamWindow) })
}

// WithConnWindow sets how many bytes the peer may send on all streams of a
// connection before their receivers have read them, to begin with; see
// WithWindowGrowth. Unary messages do not count. The default is 1 MiB, the range
// 64 KiB to 64 MiB; values outside are brought into it.
func WithConnWindow(bytes int) Option {
	return option(func(c *common) { c.settings.ConnCredit = clamp(bytes, 64<<10, maxConnWindow) })
}

// WithWindowGrowth sets how large the windows of a stream and of a connection
// become, in bytes, where the peer waits for them a round trip long, the messages
// are read as fast as they come, and at most half of the receive budget is used.
// For messages of more than half of a stream's window that grows at once, to 1 MiB
// at most, unless small messages are sent at the same time.
// The defaults are 16 MiB and 64 MiB, which are also the most; larger values are
// brought down to them. Windows that begin with as much or more do not grow:
// WithWindowGrowth(0, 0) has none grow.
func WithWindowGrowth(stream, conn int) Option {
	return option(func(c *common) {
		c.streamGrowth, c.connGrowth = clamp(stream, 0, maxStreamWindow), clamp(conn, 0, maxConnWindow)
	})
}

// WithMaxFrameSize sets the largest payload of a frame, in bytes, that is
// received. Larger messages come in several frames. The default is 64 KiB, the
// range 64 KiB to 1 MiB; values outside are brought into it. A larger frame closes
// the connection.
func WithMaxFrameSize(bytes int) Option {
	return option(func(c *common) { c.settings.MaxFrame = clamp(bytes, 64<<10, 1<<20) })
}

// WithReceiveBudget gives a Server or a Conn a budget of its own, in bytes, for
// what is being received: messages that have arrived in part, messages of more
// than one frame that have not been decoded, and what streams have received and
// nobody has taken, of all connections together. The range is 1 MiB to 1 TiB;
// values outside are brought into it. By default all Servers and Conns of a
// process share one budget of 256 MiB. When it is used up, the youngest
// message that has arrived in part fails its call with RESOURCE_EXHAUSTED.
// Single messages that arrive in one frame are not counted, nor are the first
// 64 KiB that the streams of a connection leave unread.
func WithReceiveBudget(bytes int64) Option {
	return option(func(c *common) { c.budget = min(max(bytes, 1<<20), 1<<40) })
}

// WithMaxMetadataSize sets the largest headers or trailers in bytes that are
// received. The default is 8 KiB, the range 8 KiB to 16 KiB; values outside are
// brought into it. Larger ones fail their call with RESOURCE_EXHAUSTED.
func WithMaxMetadataSize(bytes int) Option {
	return option(func(c *common) { c.settings.MaxMetadata = clamp(bytes, 8<<10, 16<<10) })
}

// WithHandshakeTimeout bounds the time until a new connection's peer has said
// which protocol it speaks. The default is 5 s, any time is allowed; zero means
// for ever.
func WithHandshakeTimeout(d time.Duration) Option {
	return option(func(c *common) { c.handshake = d })
}

// WithWriteStall sets how long a peer may take nothing of what is sent to it
// before the connection is closed; it may take up to twice as long to notice.
// The default is 10 s, any time is allowed; zero means for ever.
func WithWriteStall(d time.Duration) Option {
	return option(func(c *common) { c.stall = d })
}

// WithBusyPoll has the goroutine that reads a connection look for input again and
// again, for up to d each time, before it waits for it. Where processors are idle
// that saves what waking it takes, most of the latency of a small call; it costs
// processor time while calls are made, none on idle connections. It is done only
// where few calls are made at a time, as long as it is measured to be faster than
// waiting; see docs/performance.md. Both ends should have it, with a d of at least
// the latency of a call without it: 100 µs within a machine or a rack. The default is
// 0, which means never, the range 0 to 1 ms; values outside are brought into it. It
// has no effect on TLS, on HTTP, on connections that are not plain TCP or Unix
// sockets, and on Windows.
func WithBusyPoll(d time.Duration) Option {
	return option(func(c *common) { c.busyPoll = min(max(d, 0), time.Millisecond) })
}

// WithCompression has messages of at least from bytes compressed with "gzip",
// "zstd" or "s2" before they are sent, if that makes them smaller and the peer
// accepts it; from may be any number. The default is to compress nothing; what was received compressed
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

// WithCodec has a Conn make its calls in c, and a Server accept and answer calls
// in c. The default is binary protobuf, which servers always accept. It is meant
// for jsoncodec.Codec, to look at what is sent; other codecs of the program's own
// have the numbers 8 to 15. Given more than once, the last one counts for a Conn,
// and for a Server all that have different numbers. Calls to a server that does
// not accept c fail with UNIMPLEMENTED, not run.
func WithCodec(c codec.Codec) Option { return codecOption{c} }

type codecOption struct{ codec.Codec }

func (o codecOption) applyDial(c *dialConfig) {
	if o.check(&c.common) {
		c.codec = o.Codec
		c.settings.Codecs = 1 | 1<<o.ID()
	}
}

func (o codecOption) applyServer(c *serverConfig) {
	if !o.check(&c.common) {
		return
	}
	if o.ID() == codec.ProtoID {
		c.fail(fmt.Errorf("rpcx: WithCodec: %q has the number of binary protobuf", o.Name()))
		return
	}
	c.settings.Codecs |= 1 << o.ID()
	c.codecs = append([]codec.Codec{o.Codec}, c.codecs...) // the first one with its number is taken
}

// check reports whether the codec's number is one that frames can have.
func (o codecOption) check(c *common) bool {
	if o.ID() > 15 {
		c.fail(fmt.Errorf("rpcx: WithCodec: %q has the number %d, the range is 0 to 15", o.Name(), o.ID()))
		return false
	}
	return true
}

// WithChecksums has frames carry a CRC32C if the peer wants it, too. A wrong sum
// closes the connection. The default is off: TCP has a checksum of its own, TLS
// a better one.
func WithChecksums() Option {
	return option(func(c *common) { c.settings.Checksum = 1 })
}

func (c *common) compressorNamed(opt, name string) codec.Compressor {
	found := c.compressors.ByName(name)
	if found == nil {
		c.fail(fmt.Errorf("rpcx: %s: no compression %q (have: gzip, zstd, s2)", opt, name))
	}
	return found
}

// fail keeps err as what is wrong with the options, unless something is already.
func (c *common) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

func clamp(v, low, high int) uint32 { return uint32(min(max(v, low), high)) }
