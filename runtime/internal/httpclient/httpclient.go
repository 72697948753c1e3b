// Package httpclient makes calls over HTTP: to servers of Connect, gRPC and
// gRPC-Web, through connectrpc.com/connect/v2. It keeps the connections itself,
// one net/http.ClientConn each, so that it is known of every call which
// connection it goes over, and whether anything of it was sent.
package httpclient

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/rpcx-go/rpcx/runtime/codec"
	"github.com/rpcx-go/rpcx/runtime/internal/cluster"
	"github.com/rpcx-go/rpcx/runtime/internal/httpform"
)

// Options are what users choose.
type Options struct {
	// Protocol is a name of connect's, such as connect.ProtocolNameGRPC.
	Protocol string
	// Version is the version of HTTP, 1 or 2. Zero means that TLS finds out, and
	// without TLS 2 for gRPC and 1 for the others.
	Version int
	// Get has methods without side effects called by GET, with URLs of at most
	// MaxURL bytes; zero means of any length.
	Get    bool
	MaxURL int
	// Host is the name by which the server is called; empty means the one that
	// is dialed.
	Host string
}

// New returns what makes the ways to servers that are called over HTTP.
func New(o Options) cluster.Foreign {
	if o.Protocol == connect.ProtocolNameGRPC {
		o.Version = 2
	}
	return cluster.Foreign{
		Name:      o.Protocol,
		Protocols: o.protocols(),
		New:       func(cfg cluster.Config) (cluster.Line, error) { return newPool(cfg, o) },
	}
}

// protocols returns what TLS offers.
func (o *Options) protocols() []string {
	switch o.Version {
	case 1:
		return []string{http1}
	case 2:
		return []string{http2}
	}
	return []string{http2, http1}
}

// Names of HTTP's versions.
const (
	http1 = "http/1.1"
	http2 = "h2"
)

// maxHeader bounds the headers of an answer beside its metadata, which have a
// limit of their own.
const maxHeader = 64 << 10

// transport returns what makes connections.
func (p *pool) transport() *http.Transport {
	var protocols http.Protocols
	switch {
	case p.cfg.Secure != nil:
		protocols.SetHTTP1(true)
		protocols.SetHTTP2(true)
	case p.opts.Version == 2:
		protocols.SetUnencryptedHTTP2(true)
	default:
		protocols.SetHTTP1(true)
	}
	return &http.Transport{
		DialContext:            p.dial,
		DialTLSContext:         p.dial,
		Protocols:              &protocols,
		DisableCompression:     true, // messages are compressed, not bodies
		MaxResponseHeaderBytes: maxHeader + 4*int64(p.cfg.Transport.Settings.MaxMetadata),
		HTTP2: &http.HTTP2Config{
			SendPingTimeout:  p.cfg.Keepalive,
			PingTimeout:      p.cfg.KeepaliveTimeout,
			WriteByteTimeout: p.cfg.Transport.WriteStall,
		},
	}
}

// caller returns what gives calls the form of their protocol.
func (p *pool) caller() (connect.Transport, error) {
	cfg, o := p.cfg.Transport, &p.opts
	base := url.URL{Scheme: "http", Host: p.host(), Path: p.cfg.Path}
	if p.cfg.Secure != nil {
		base.Scheme = "https"
	}
	if _, err := url.Parse(base.String()); err != nil {
		return nil, fmt.Errorf("rpcx: dial: %q is no host that a URL can name: %w", base.Host, err)
	}
	codecs := []connect.Codec{httpform.Codec{Codec: cfg.Codec}}
	if cfg.Codec.ID() != codec.ProtoID {
		codecs = append(codecs, httpform.Codec{Codec: codec.Proto}) // for details of errors
	}
	var accepted []codec.CompressionID
	for _, id := range []codec.CompressionID{codec.ZstdID, codec.GzipID} { // the better first
		if cfg.Settings.Compressions>>id&1 != 0 {
			accepted = append(accepted, id)
		}
	}
	options := []connecthttp.Option{
		connecthttp.WithCodecs(codecs...),
		connecthttp.WithReadMaxBytes(int(cfg.Settings.MaxMessage)),
	}
	if c := cfg.Compressor; c != nil {
		if len(httpform.Compressors([]codec.CompressionID{c.ID()})) == 0 {
			return nil, fmt.Errorf("rpcx: dial: WithCompression: HTTP has no compression %q (have: gzip, zstd)", c.Name())
		}
		if !slices.Contains(accepted, c.ID()) {
			accepted = append(accepted, c.ID())
		}
		options = append(options, connecthttp.WithSendCompression(c.Name()), connecthttp.WithCompressMinBytes(cfg.CompressFrom))
	}
	options = append(options, connecthttp.WithCompressors(httpform.Compressors(accepted)...))
	switch o.Protocol {
	case connect.ProtocolNameGRPC:
		options = append(options, connecthttp.WithGRPC())
	case connect.ProtocolNameGRPCWeb:
		options = append(options, connecthttp.WithGRPCWeb())
	}
	if o.Get {
		options = append(options, connecthttp.WithHTTPGet(), connecthttp.WithHTTPGetMaxURLSize(o.MaxURL, true))
	}
	return connecthttp.NewTransport(roundTripper{p}, base.String(), options...), nil
}

// host returns the name by which the server is called.
func (p *pool) host() string {
	if p.opts.Host != "" {
		return p.opts.Host
	}
	e := p.cfg.Endpoint
	if e.Network == "unix" {
		return "localhost"
	}
	host, port, err := net.SplitHostPort(e.Addr)
	if err != nil {
		return e.Addr // what the user's dialer understands
	}
	if e.Name != "" {
		host = e.Name
	}
	if host == "" {
		host = "localhost"
	}
	if usual := map[bool]string{false: "80", true: "443"}[p.cfg.Secure != nil]; port == usual {
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		return host
	}
	return net.JoinHostPort(host, port)
}

var errLostAtOnce = errors.New("the server closed the connection at once")
