package rpcx_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/certs/certstest"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// through is a dialer like a proxy's: every connection begins with header.
func through(header string) rpcx.DialOption {
	return rpcx.WithDialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		_, err = io.WriteString(nc, header)
		return nc, err
	})
}

// v2 is a header of version 2 for TCP over IPv4.
func v2(source, dest string) string {
	from, to := netip.MustParseAddrPort(source), netip.MustParseAddrPort(dest)
	b := []byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c")
	b = append(append(b, from.Addr().AsSlice()...), to.Addr().AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, from.Port())
	return string(binary.BigEndian.AppendUint16(b, to.Port()))
}

var (
	loopback = netip.MustParsePrefix("127.0.0.0/8")
	mapped   = netip.MustParsePrefix("::ffff:127.0.0.0/104")
	private  = netip.MustParsePrefix("10.0.0.0/8")
)

const v1 = "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"

func TestProxyProtocol(t *testing.T) {
	server, client := tlsPair(t, certstest.NewCA(t, "ca"), certstest.Leaf{})
	for name, test := range map[string]struct {
		trusted []netip.Prefix
		header  string
		want    string // the peer's address; empty: its own
		refused bool
		log     string // what is logged then
		tlsLog  string // and with TLS; the default is log
	}{
		"version 1":         {trusted: []netip.Prefix{private, loopback}, header: v1, want: "192.0.2.1:56324"},
		"version 2":         {trusted: []netip.Prefix{loopback}, header: v2("192.0.2.1:5", "192.0.2.2:6"), want: "192.0.2.1:5"},
		"mapped prefix":     {trusted: []netip.Prefix{mapped}, header: v1, want: "192.0.2.1:56324"},
		"UNKNOWN":           {trusted: []netip.Prefix{loopback}, header: "PROXY UNKNOWN\r\n"},
		"LOCAL":             {trusted: []netip.Prefix{loopback}, header: "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"},
		"not from a proxy":  {trusted: []netip.Prefix{private}},
		"header missing":    {trusted: []netip.Prefix{loopback}, refused: true, log: "no PROXY header"},
		"header malformed":  {trusted: []netip.Prefix{loopback}, header: "PROXY TCP4 1.2.3.4 1.2.3 1 2\r\n", refused: true, log: "bad address"},
		"header from whom?": {trusted: []netip.Prefix{private}, header: v1, refused: true, tlsLog: "that may be a PROXY header"},
	} {
		for _, secure := range []bool{false, true} {
			t.Run(name+map[bool]string{true: " TLS"}[secure], func(t *testing.T) {
				t.Parallel()
				log, seen := new(logbook), make(peers, 1)
				sopts := []rpcx.ServerOption{rpcx.WithProxyProtocol(test.trusted...), log.option()}
				dopts := []rpcx.DialOption{through(test.header)}
				if secure {
					sopts, dopts = append(sopts, rpcx.WithTLS(server)), append(dopts, rpcx.WithTLS(client))
				}
				conn, srv := startWith(t, &echo{unary: seen.handler}, sopts, dopts)
				_, err := kinds["Unary"](t.Context(), conn)
				if test.refused {
					wantCode(t, err, status.Unavailable, "")
					srv.Close()
					want := test.log
					if secure && test.tlsLog != "" {
						want = test.tlsLog
					}
					if !strings.Contains(log.String(), want) {
						t.Errorf("logged %s want %q", log, want)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				peer := <-seen
				if got := peer.Addr.String(); got != test.want && (test.want != "" || !strings.HasPrefix(got, "127.0.0.1:")) {
					t.Errorf("the handler sees %s, want %q", got, test.want)
				}
				if peer.Secure != secure || (peer.TLS != nil) != secure {
					t.Errorf("secure is %v, want %v", peer.Secure, secure)
				}
			})
		}
	}
}

func TestProxyProtocolUnixSocket(t *testing.T) {
	for name, test := range map[string]struct {
		trusted netip.Prefix
		header  string
		secure  bool
		err     string
	}{
		"trusted":     {netip.Prefix{}, v1, false, ""},
		"LOCAL":       {netip.Prefix{}, "PROXY UNKNOWN\r\n", true, ""},
		"not trusted": {loopback, "", true, ""},
		"no header":   {netip.Prefix{}, "", false, "connection to"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
			if err != nil {
				t.Fatal(err)
			}
			seen := make(peers, 1)
			srv := rpcx.NewServer(rpcx.WithProxyProtocol(test.trusted))
			(&echo{unary: seen.handler}).register(srv)
			go srv.Serve(l)
			defer srv.Close()
			conn, err := rpcx.Dial("unix://"+l.Addr().String(), through(test.header))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, err = kinds["Unary"](t.Context(), conn)
			if test.err != "" {
				wantCode(t, err, status.Unavailable, test.err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if p := <-seen; p.Secure != test.secure {
				t.Errorf("peer %v: secure is %v, want %v", p.Addr, p.Secure, test.secure)
			}
		})
	}
}

// TestProxyProtocolPeers: limits per peer count the clients behind the proxy.
func TestProxyProtocolPeers(t *testing.T) {
	conn, _ := startWith(t, &echo{}, []rpcx.ServerOption{rpcx.WithProxyProtocol(loopback), rpcx.WithMaxConnectionsPerPeer(1)}, []rpcx.DialOption{through(v1)})
	if _, err := kinds["Unary"](t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	for header, code := range map[string]status.Code{v1: status.Unavailable, strings.Replace(v1, "192.0.2.1", "192.0.2.9", 1): status.OK} {
		other, err := rpcx.Dial(conn.Target(), through(header))
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		_, err = kinds["Unary"](t.Context(), other)
		wantCode(t, err, code, "192.0.2.1 has 1 connections")
	}
}

// TestProxyProtocolSlow: the header, the TLS handshake and the protocol's
// beginning share one timeout.
func TestProxyProtocolSlow(t *testing.T) {
	addr, log, srv := serveTLS(t, rpcx.WithProxyProtocol(loopback), rpcx.WithHandshakeTimeout(300*time.Millisecond))
	for _, text := range []string{"", "PROXY TCP4 ", v1, v1 + "\xfbRPX"} {
		start := time.Now()
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		// On a machine that is slow the server may have closed it before that,
		// which resets the connection.
		_, _ = io.WriteString(nc, text)
		nc.SetReadDeadline(start.Add(time.Minute))
		if b, err := io.ReadAll(nc); len(b) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after %q: got %q, %v, want the end", text, b, err)
		}
		if took := time.Since(start); took < 250*time.Millisecond || took > 30*time.Second {
			t.Errorf("after %q: closed after %v, want 300 ms", text, took)
		}
	}
	srv.Close()
	if !strings.Contains(log.String(), "timeout") {
		t.Errorf("logged %s", log)
	}
}

func TestProxyProtocolOption(t *testing.T) {
	for want, trusted := range map[string][]netip.Prefix{
		"no source is trusted":                          nil,
		"prefix 2 is not valid":                         {loopback, netip.PrefixFrom(netip.MustParseAddr("10.0.0.0"), 33)},
		"prefix ::ffff:10.0.0.0/64 is neither IPv4 nor": {netip.PrefixFrom(netip.MustParseAddr("::ffff:10.0.0.0"), 64)},
	} {
		func() {
			defer func() {
				if err, _ := recover().(error); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("NewServer panics with %v, want %q", err, want)
				}
			}()
			rpcx.NewServer(rpcx.WithProxyProtocol(trusted...))
		}()
	}
}
