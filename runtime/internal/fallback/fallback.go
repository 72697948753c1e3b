// Package fallback is where connections go that do not speak the native
// protocol. It names no other, so that programs which want none link none.
package fallback

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/codec"
	"github.com/rpcx-go/rpcx/runtime/internal/dispatch"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// Fallback serves connections of a server. Its methods may be called concurrently.
type Fallback interface {
	// Protocols returns the names by which TLS knows what is spoken, the best first.
	Protocols() []string
	// JSON returns the codec of messages in JSON, which the native protocol then
	// has, too.
	JSON() codec.Codec
	// Serve has c served. It may block until it is known what c speaks; c ends later.
	Serve(c *Conn)
	// Shutdown waits until all calls have ended and closes all connections. Once
	// ctx is done, it cancels the calls that are left and closes their connections.
	Shutdown(ctx context.Context) error
	// Close cancels the calls, closes the connections, and returns when all
	// handlers have returned.
	Close()
}

// Conn is a connection to be served.
type Conn struct {
	net.Conn
	// First is what has been received already.
	First []byte
	// Peer is who is at the other end.
	Peer call.Peer
	// Accepted is when the connection was accepted, from where on the time is
	// counted until its protocol is known.
	Accepted time.Time
	// Retired is set when the connection is old: the client should call no more on it.
	Retired *atomic.Bool
	// Hijacked is set when a handler has taken the connection over. It belongs to
	// the Fallback.
	Hijacked atomic.Bool
	// Begun is called when the protocol is known, such as "http/1.1"; then, or
	// without that, Ended is called once when the connection has been closed.
	Begun func(protocol string)
	Ended func(error)
}

// Config is what a server tells its Fallback.
type Config struct {
	// Base is the root of the handlers' contexts.
	Base       context.Context
	Dispatcher *dispatch.Dispatcher
	Log        *slog.Logger
	// Budget bounds what is being received.
	Budget Budget
	// MaxMessage and MaxMetadata bound messages and metadata, in bytes,
	// MaxStreams the calls of one connection.
	MaxMessage, MaxMetadata, MaxStreams int
	// Compressions are the compressions that messages to the server may have;
	// answers of at least CompressFrom bytes are compressed.
	Compressions []codec.CompressionID
	CompressFrom int
	// JSON is the codec for JSON that the server's user has chosen; nil if none.
	JSON codec.Codec
	// HandshakeTimeout bounds the time until the protocol is known and each
	// request's header is there, WriteStall how long a peer may take or send
	// nothing in the middle of a message; zero means for ever.
	HandshakeTimeout, WriteStall time.Duration
}

// Budget bounds what is being received. Its methods may be called concurrently.
type Budget interface {
	// Take takes n bytes, or fails because there is no room for them.
	Take(n int64) *status.Error
	// Give gives them back.
	Give(n int64)
}

// New makes a Fallback.
type New func(Config) Fallback
