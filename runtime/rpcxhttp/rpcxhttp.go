// Package rpcxhttp is how HTTP gets in and out: servers answer Connect, gRPC and
// gRPC-Web calls on the port of the native protocol, and clients call servers of
// those kinds. Programs that do not import it link no net/http.
package rpcxhttp

import (
	"net/http"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/gateway"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
)

// CORS says which pages of other origins may call; see WithCORS.
type CORS = gateway.CORS

// Option configures WithHTTP.
type Option func(*gateway.Options)

// Defaults of options.
const (
	defaultIdleTimeout   = 2 * time.Minute
	defaultMaxHeaderSize = 64 << 10
)

// WithHTTP has a server speak HTTP/1.1 and HTTP/2 on all its listeners, too, and
// in it the protocols Connect, gRPC and gRPC-Web, with messages in protobuf or
// JSON. Without TLS the first bytes of a connection tell what it speaks, with TLS
// the protocol that was agreed on, which is HTTP/1.1 for clients that name none.
//
// A call over HTTP is the same call as a native one to interceptors, limits,
// observers and handlers. The default is that a server speaks the native protocol only.
func WithHTTP(opts ...Option) rpcx.ServerOption {
	o := gateway.Options{IdleTimeout: defaultIdleTimeout, MaxHeader: defaultMaxHeaderSize}
	for _, opt := range opts {
		opt(&o)
	}
	return rpcx.WithFallback(gateway.New(o))
}

// WithCORS lets pages of other origins call. The default is that browsers keep
// them from it, whatever the method.
func WithCORS(cors CORS) Option { return func(o *gateway.Options) { o.CORS = &cors } }

// WithHosts has the server answer calls only under the given names, without ports,
// and others with status 421: a page whose own name has been made to lead here is
// none of them. The default is any name.
func WithHosts(names ...string) Option {
	return func(o *gateway.Options) { o.Hosts = append(o.Hosts, names...) }
}

// WithHandler has h answer requests that are no calls, such as those for a page.
// The default is to answer 404.
func WithHandler(h http.Handler) Option { return func(o *gateway.Options) { o.Other = h } }

// WithIdleTimeout sets how long a connection is kept on which no call runs. The
// default is 2 minutes, any time is allowed; zero means for ever.
func WithIdleTimeout(d time.Duration) Option {
	return func(o *gateway.Options) { o.IdleTimeout = d }
}

// WithMaxHeaderSize sets the largest header of a request in bytes, its URL
// included. The default is 64 KiB, the range 16 KiB to 1 MiB; values outside are
// brought into it. A larger one is answered with status 431. Metadata have a
// limit of their own below that, rpcx.WithMaxMetadataSize.
func WithMaxHeaderSize(bytes int) Option {
	return func(o *gateway.Options) { o.MaxHeader = min(max(bytes, 16<<10), 1<<20) }
}
