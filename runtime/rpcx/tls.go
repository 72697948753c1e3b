package rpcx

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/certs"
	"github.com/rpcx-go/rpcx/runtime/internal/steady"
)

// alpn is the native protocol's name in TLS.
const alpn = "rpcx/1"

// secureOption prepares to make the connections of one side secure. Programs
// that use none of the options below do not carry what it needs: nothing else
// refers to it.
type secureOption func(side call.Side, cfg *common) (secureFunc, error)

// secureFunc makes a TLS connection of nc, which was dialed to addr on a client.
// It closes nc if it fails. It is called concurrently.
type secureFunc func(ctx context.Context, nc net.Conn, addr string) (net.Conn, error)

// WithTLS has all connections of a server or a Conn run over TLS, version 1.2 or
// later, as cfg says, of which a copy is made. The protocol "rpcx/1" takes the
// place of cfg.NextProtos, on a server with HTTP followed by "h2" and "http/1.1",
// on a Conn that calls over HTTP those instead.
//
// A server needs a certificate; otherwise its Serve methods fail. It refuses
// connections without TLS, on all its listeners, and, unless it has HTTP, TLS
// connections that do not ask for "rpcx/1". cfg.ClientAuth says whether clients must show certificates;
// handlers find them in the TLS field of [PeerFromContext]. The TLS handshake
// must be over within WithHandshakeTimeout.
//
// On a client cfg may be nil. cfg.ServerName defaults to the host that is
// dialed, "localhost" for Unix sockets. The TLS handshake is part of the attempt
// to connect and bounded by WithDialTimeout.
//
// Of several WithTLS and WithTLSFiles the last one counts.
func WithTLS(cfg *tls.Config) Option {
	cfg = cfg.Clone()
	if cfg == nil {
		cfg = new(tls.Config)
	}
	return option(func(c *common) {
		c.secure = func(side call.Side, c *common) (secureFunc, error) {
			if side == call.Client {
				return clientTLS(c, cfg.Clone), nil
			}
			if len(cfg.Certificates) == 0 && cfg.GetCertificate == nil && cfg.GetConfigForClient == nil {
				return nil, errors.New("rpcx: WithTLS: a server needs a certificate")
			}
			return serverTLS(c, cfg.Clone()), nil
		}
	})
}

// WithTLSFiles is WithTLS with certificates from PEM files. Connections made
// after the files have changed use what they hold then, at most a second later;
// existing ones go on. If the new content is no good, the old one stays in use
// and a warning is logged.
//
// certFile holds this side's certificate, followed by those of intermediate
// authorities, keyFile its key. A client that shows no certificate leaves both
// empty. caFile holds the authorities that certificates of the other side must
// come from. On a client it defaults to those of the system. On a server its
// presence means that every client must show a valid certificate.
//
// If the files cannot be used to begin with, Dial and the Serve methods of a
// server fail with an error that names the file.
func WithTLSFiles(certFile, keyFile, caFile string) Option {
	return option(func(c *common) {
		c.secure = func(side call.Side, c *common) (secureFunc, error) {
			if side == call.Server && certFile == "" {
				return nil, errors.New("rpcx: WithTLSFiles: a server needs a certificate")
			}
			files, err := certs.Open(certs.Paths{Cert: certFile, Key: keyFile, CA: caFile}, c.log)
			if err != nil {
				return nil, fmt.Errorf("rpcx: WithTLSFiles: %w", err)
			}
			if side == call.Client {
				return clientTLS(c, func() *tls.Config {
					m := files.Current()
					return &tls.Config{Certificates: certificates(m), RootCAs: m.Roots}
				}), nil
			}
			return serverTLS(c, &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
				m := files.Current()
				cfg := &tls.Config{Certificates: certificates(m)}
				if m.Roots != nil {
					cfg.ClientAuth, cfg.ClientCAs = tls.RequireAndVerifyClientCert, m.Roots
					// A resumed session would stand for a certificate that was
					// verified with what the file held then.
					cfg.SessionTicketsDisabled = true
				}
				return cfg, nil
			}}), nil
		}
	})
}

func certificates(m *certs.Material) []tls.Certificate {
	if m.Certificate == nil {
		return nil
	}
	return []tls.Certificate{*m.Certificate}
}

// enforce sets what is not the user's to choose. It changes cfg and returns it.
func (c *common) enforce(cfg *tls.Config) *tls.Config {
	cfg.NextProtos = c.protocols
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	return cfg
}

func clientTLS(c *common, fresh func() *tls.Config) secureFunc {
	return func(ctx context.Context, nc net.Conn, addr string) (net.Conn, error) {
		cfg := c.enforce(fresh())
		if cfg.ServerName == "" {
			cfg.ServerName = serverName(nc, addr)
		}
		raw := steady.New(nc)
		// A TLS connection is broken by the first write that runs into its deadline.
		conn := tls.Client(raw, cfg)
		if err := conn.HandshakeContext(ctx); err != nil {
			nc.Close()
			return nil, fmt.Errorf("TLS handshake with %q for %q: %w", cfg.ServerName, strings.Join(c.protocols, ", "), explain(err))
		}
		got := conn.ConnectionState().NegotiatedProtocol
		if !slices.Contains(c.protocols, cmp.Or(got, withoutALPN)) {
			conn.Close()
			return nil, fmt.Errorf("TLS handshake with %q: the server does not speak %q: it chose protocol %q", cfg.ServerName, strings.Join(c.protocols, ", "), got)
		}
		raw.SetStall(c.stall)
		if got != alpn {
			return conn, nil // which those want who speak HTTP
		}
		return &secureConn{conn, nc}, nil
	}
}

// withoutALPN is what those speak who agree on no protocol.
const withoutALPN = "http/1.1"

// serverName returns the name that the certificate of a server must have.
func serverName(nc net.Conn, addr string) string {
	if at, unix := nc.RemoteAddr().(*net.UnixAddr); unix && (addr == at.Name || strings.Contains(addr, "/")) {
		return "localhost" // addr is the socket, and no name of the server's
	}
	host, _, err := net.SplitHostPort(addr)
	switch {
	case err != nil:
		return addr // whatever the user's dialer understands
	case host == "":
		return "localhost"
	}
	return host
}

func serverTLS(c *common, cfg *tls.Config) secureFunc {
	c.enforce(cfg)
	if choose := cfg.GetConfigForClient; choose != nil {
		cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			chosen, err := choose(hello)
			if chosen == nil || err != nil {
				return nil, err
			}
			return c.enforce(chosen.Clone()), nil
		}
	}
	return func(ctx context.Context, nc net.Conn, _ string) (net.Conn, error) {
		raw := steady.New(nc)
		conn := tls.Server(raw, cfg)
		if err := conn.HandshakeContext(ctx); err != nil {
			lingerTLS(nc, err)
			return nil, fmt.Errorf("TLS handshake: %w", explain(err))
		}
		raw.SetStall(c.stall)
		if conn.ConnectionState().NegotiatedProtocol == alpn {
			return &secureConn{conn, nc}, nil
		}
		if len(c.protocols) > 1 { // a client that named none of them speaks HTTP/1.1
			return conn, nil
		}
		conn.Close()
		return nil, fmt.Errorf("TLS handshake: the client did not ask for protocol %q", alpn)
	}
}

// explain adds to err what the other side seems to speak instead of TLS.
func explain(err error) error {
	var header tls.RecordHeaderError
	switch {
	case errors.As(err, &header):
		seen := header.RecordHeader[:]
		hint := ""
		switch string(seen[:4]) {
		case "HTTP", "GET ", "POST", "HEAD", "PUT ", "PRI ", "OPTI":
			hint = " (that is HTTP without TLS)"
		case "\xfbRPX":
			hint = " (that is this protocol without TLS)"
		case "PROX", "\r\n\r\n":
			hint = " (that may be a PROXY header, option WithProxyProtocol)"
		}
		return fmt.Errorf("the peer does not speak TLS: its first bytes are %q%s", seen, hint)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("the peer closed the connection during it; it may not speak TLS: %w", err)
	}
	return err
}

// tlsLinger is how long the server reads on after a handshake that failed.
const tlsLinger = time.Second

// lingerTLS closes nc after a handshake that failed with err. A close with
// unread input would reset the connection and could destroy the alert that says
// why.
func lingerTLS(nc net.Conn, err error) {
	defer nc.Close()
	var header tls.RecordHeaderError
	var network net.Error
	if errors.As(err, &header) || errors.Is(err, io.EOF) || errors.As(err, &network) && network.Timeout() {
		return // no alert was sent
	}
	if half, ok := nc.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		nc.SetReadDeadline(time.Now().Add(tlsLinger))
		io.Copy(io.Discard, io.LimitReader(nc, 64<<10))
	}
}

// secureConn is a TLS connection that ends like a plain one.
type secureConn struct {
	*tls.Conn
	raw net.Conn
}

// NetConn returns what TLS runs on.
func (c *secureConn) NetConn() net.Conn { return c.raw }

// CloseWrite sends close_notify and then ends the direction below, too.
func (c *secureConn) CloseWrite() error {
	if err := c.Conn.CloseWrite(); err != nil {
		return err
	}
	if half, ok := c.raw.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// notifyTime bounds how long Close tries to send close_notify.
const notifyTime = 100 * time.Millisecond

// Close tries to send close_notify and closes. Unlike that of tls.Conn, which
// tries for 5 s, it is not held up by a peer that takes nothing.
func (c *secureConn) Close() error {
	t := time.AfterFunc(notifyTime, func() { c.raw.Close() })
	defer t.Stop()
	return c.Conn.Close()
}
