package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"

	conformancev1 "github.com/rpcx-go/rpcx/conformance/gen"
	"github.com/rpcx-go/rpcx/runtime/codec/jsoncodec"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxhttp"
)

// connection is what calls are made over.
type connection interface {
	rpcx.Caller
	Close() error
}

// dialer makes the connection that a call is to be made over.
type dialer func(*conformancev1.ClientCompatRequest) (connection, error)

// settings are what calls must have in common to share a connection.
type settings struct {
	addr        string
	cert, key   string
	version     conformancev1.HTTPVersion
	protocol    conformancev1.Protocol
	codec       conformancev1.Codec
	compression conformancev1.Compression
	limit       uint32
	get         bool
}

// connections holds the connections. Its methods may be called concurrently.
type connections struct {
	dial dialer

	mu  sync.Mutex
	all map[settings]connection
}

func newConnections(dial dialer) *connections {
	return &connections{dial: dial, all: map[settings]connection{}}
}

// get returns a connection for the call.
func (c *connections) get(req *conformancev1.ClientCompatRequest) (connection, error) {
	s := settings{
		addr:        target(req),
		cert:        string(req.GetServerTlsCert()),
		key:         string(req.GetClientTlsCreds().GetKey()),
		version:     req.GetHttpVersion(),
		protocol:    req.GetProtocol(),
		codec:       req.GetCodec(),
		compression: req.GetCompression(),
		limit:       req.GetMessageReceiveLimit(),
		get:         req.GetUseGetHttpMethod(),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if conn := c.all[s]; conn != nil {
		return conn, nil
	}
	conn, err := c.dial(req)
	if err == nil {
		c.all[s] = conn
	}
	return conn, err
}

func (c *connections) close() {
	for _, conn := range c.all {
		conn.Close()
	}
}

func target(req *conformancev1.ClientCompatRequest) string {
	return net.JoinHostPort(req.GetHost(), strconv.Itoa(int(req.GetPort())))
}

// dialNative dials for calls over the native protocol.
func dialNative(req *conformancev1.ClientCompatRequest) (connection, error) {
	opts, err := options(req)
	if err != nil {
		return nil, err
	}
	return rpcx.Dial(target(req), opts...)
}

// dialHTTP dials for calls over HTTP.
func dialHTTP(req *conformancev1.ClientCompatRequest) (connection, error) {
	opts, err := options(req)
	if err != nil {
		return nil, err
	}
	var over []rpcxhttp.ClientOption
	switch req.GetHttpVersion() {
	case conformancev1.HTTPVersion_HTTP_VERSION_1:
		over = append(over, rpcxhttp.WithHTTP1())
	case conformancev1.HTTPVersion_HTTP_VERSION_2:
		over = append(over, rpcxhttp.WithHTTP2())
	default:
		return nil, fmt.Errorf("no %v", req.GetHttpVersion())
	}
	if req.GetUseGetHttpMethod() {
		over = append(over, rpcxhttp.WithGet(0))
	}
	switch req.GetProtocol() {
	case conformancev1.Protocol_PROTOCOL_CONNECT:
		opts = append(opts, rpcxhttp.WithConnect(over...))
	case conformancev1.Protocol_PROTOCOL_GRPC:
		opts = append(opts, rpcxhttp.WithGRPC(over...))
	case conformancev1.Protocol_PROTOCOL_GRPC_WEB:
		opts = append(opts, rpcxhttp.WithGRPCWeb(over...))
	default:
		return nil, fmt.Errorf("no protocol %v", req.GetProtocol())
	}
	return rpcx.Dial(target(req), opts...)
}

// compressions are the names of the suite's compressions. The suite knows no s2,
// which stands where it has its relative.
var compressions = map[conformancev1.Compression]string{
	conformancev1.Compression_COMPRESSION_IDENTITY: "identity",
	conformancev1.Compression_COMPRESSION_GZIP:     "gzip",
	conformancev1.Compression_COMPRESSION_ZSTD:     "zstd",
	conformancev1.Compression_COMPRESSION_SNAPPY:   "s2",
}

// options returns what is the same over every protocol.
func options(req *conformancev1.ClientCompatRequest) ([]rpcx.DialOption, error) {
	var opts []rpcx.DialOption
	if n := req.GetMessageReceiveLimit(); n > 0 {
		opts = append(opts, rpcx.WithMaxMessageSize(int(n)))
	}
	switch name := compressions[req.GetCompression()]; name {
	case "":
		return nil, fmt.Errorf("no compression %v", req.GetCompression())
	case "identity":
		opts = append(opts, rpcx.WithAcceptedCompressions())
	default:
		opts = append(opts, rpcx.WithCompression(name, 0), rpcx.WithAcceptedCompressions(name))
	}
	switch req.GetCodec() {
	case conformancev1.Codec_CODEC_PROTO: // is what there is
	case conformancev1.Codec_CODEC_JSON:
		opts = append(opts, rpcx.WithCodec(jsoncodec.Codec))
	default:
		return nil, fmt.Errorf("no codec %v", req.GetCodec())
	}
	if len(req.GetServerTlsCert()) > 0 {
		cfg, err := tlsConfig(req)
		if err != nil {
			return nil, err
		}
		opts = append(opts, rpcx.WithTLS(cfg))
	}
	return opts, nil
}

func tlsConfig(req *conformancev1.ClientCompatRequest) (*tls.Config, error) {
	cfg := &tls.Config{RootCAs: x509.NewCertPool()}
	if !cfg.RootCAs.AppendCertsFromPEM(req.GetServerTlsCert()) {
		return nil, errors.New("the server's certificate is not in PEM")
	}
	if creds := req.GetClientTlsCreds(); creds != nil {
		cert, err := tls.X509KeyPair(creds.GetCert(), creds.GetKey())
		if err != nil {
			return nil, err
		}
		cfg.Certificates = []tls.Certificate{cert}
	}
	return cfg, nil
}
