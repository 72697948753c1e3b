package rpcxhttp

import (
	"connectrpc.com/connect/v2"

	"github.com/rpcx-go/rpcx/runtime/internal/httpclient"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
)

// ClientOption configures WithConnect, WithGRPC and WithGRPCWeb.
type ClientOption func(*httpclient.Options)

// WithConnect has a Conn call servers of the Connect protocol over HTTP, instead
// of the native protocol. Generated clients, interceptors, observers and options
// are the same, with these differences:
//
//   - The target may be a URL, "https://host:port/path": https asks for TLS as
//     rpcx.WithTLS does, the path stands before the names of methods.
//   - With TLS the server chooses between HTTP/2 and HTTP/1.1; without, it is
//     HTTP/1.1 unless WithHTTP2 is given. Calls share connections of HTTP/2 as
//     rpcx.WithConnections says, and one more where a server lets no further
//     call in. Each call has a connection of HTTP/1.1 to itself while it lasts;
//     up to 64 of them, or as rpcx.WithPooledConnections says, are kept for
//     later calls.
//   - Connections are not pinged unless rpcx.WithKeepalive is given, and only
//     those of HTTP/2: many servers end a connection that is pinged often.
//   - Messages of the size that rpcx.WithCompression names are compressed whether
//     the server knows the compression or not, with gzip or zstd. Servers may
//     compress answers as rpcx.WithAcceptedCompressions says.
//   - The options of windows, frames, checksums and the receive budget do nothing.
//   - A server-streaming or bidi call over HTTP/1.1 waits for headers until the
//     server sends them, and some servers do so only when the client half-closes.
//   - That a call did not run is known if nothing of it was sent, if the server
//     refused its stream of HTTP/2, or if a server of this module says so.
//
// The last of WithConnect, WithGRPC and WithGRPCWeb counts. The default is the
// native protocol.
func WithConnect(opts ...ClientOption) rpcx.DialOption {
	return client(connect.ProtocolNameConnect, opts)
}

// WithGRPC has a Conn call servers of gRPC, over HTTP/2 always. See WithConnect.
func WithGRPC(opts ...ClientOption) rpcx.DialOption { return client(connect.ProtocolNameGRPC, opts) }

// WithGRPCWeb has a Conn call servers of gRPC-Web. See WithConnect.
func WithGRPCWeb(opts ...ClientOption) rpcx.DialOption {
	return client(connect.ProtocolNameGRPCWeb, opts)
}

func client(protocol string, opts []ClientOption) rpcx.DialOption {
	o := httpclient.Options{Protocol: protocol}
	for _, opt := range opts {
		opt(&o)
	}
	return rpcx.WithCluster(httpclient.New(o))
}

// WithHTTP1 has calls go over HTTP/1.1 where TLS would choose HTTP/2. The default
// is said at WithConnect.
func WithHTTP1() ClientOption { return func(o *httpclient.Options) { o.Version = 1 } }

// WithHTTP2 has calls go over HTTP/2: without TLS by prior knowledge, with TLS a
// server that does not speak it is none. The default is said at WithConnect.
func WithHTTP2() ClientOption { return func(o *httpclient.Options) { o.Version = 2 } }

// WithGet has methods without side effects called by GET over Connect, which
// caches between client and server understand, unless their URL is longer than
// maxURL bytes; zero means that all are. The default is POST.
func WithGet(maxURL int) ClientOption {
	return func(o *httpclient.Options) { o.Get, o.MaxURL = true, max(maxURL, 0) }
}

// WithHost sets the name by which requests call the server, with a port where it
// is not the usual one. The default is that of the target, "localhost" for Unix
// sockets.
func WithHost(host string) ClientOption { return func(o *httpclient.Options) { o.Host = host } }
