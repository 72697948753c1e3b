package rpcxhttp_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectgzip"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// door is a way into a server: a protocol, and what it runs on.
type door struct {
	name   string
	peer   string // what handlers see as the protocol
	secure bool
	open   func(t *testing.T, s *site, secure *tls.Config) caller
	// half says that it cannot do both directions of a stream at once.
	half   bool
	packed bool // it compresses what it sends
}

// caller calls a method and returns what was received, joined.
type caller func(ctx context.Context, m *call.Method, req []string, md metadata.MD) answer

// answer is what a caller sees of a call.
type answer struct {
	res             []string
	header, trailer metadata.MD
	err             *status.Error
}

// doors are all ways in.
func doors() []door {
	all := []door{{name: "native", peer: "rpcx", open: native}, {name: "native TLS", peer: "rpcx", secure: true, open: native}}
	http1, h2c, h2 := new(http.Protocols), new(http.Protocols), new(http.Protocols)
	http1.SetHTTP1(true)
	h2c.SetUnencryptedHTTP2(true)
	h2.SetHTTP2(true)
	for _, p := range []struct {
		name, peer string
		opts       []connecthttp.Option
	}{
		{"connect", "connect", nil},
		{"connect JSON", "connect", []connecthttp.Option{connecthttp.WithProtoJSON()}},
		{"connect GET gzip", "connect", []connecthttp.Option{connecthttp.WithHTTPGet(), connecthttp.WithHTTPGetMaxURLSize(8<<10, true), connecthttp.WithSendGzip()}},
		{"gRPC", "grpc", []connecthttp.Option{connecthttp.WithGRPC()}},
		{"gRPC-Web", "grpcweb", []connecthttp.Option{connecthttp.WithGRPCWeb()}},
		{"gRPC-Web JSON", "grpcweb", []connecthttp.Option{connecthttp.WithGRPCWeb(), connecthttp.WithProtoJSON()}},
	} {
		for _, v := range []struct {
			name      string
			protocols *http.Protocols
			secure    bool
		}{{"HTTP/1.1", http1, false}, {"HTTP/1.1 TLS", http1, true}, {"h2c", h2c, false}, {"h2", h2, true}} {
			if p.peer == "grpc" && v.protocols == http1 {
				continue
			}
			opts := append([]connecthttp.Option{connecthttp.WithCompressors(connectgzip.New())}, p.opts...)
			all = append(all, door{name: p.name + " " + v.name, peer: p.peer, secure: v.secure, half: v.protocols == http1, packed: strings.Contains(p.name, "gzip"),
				open: func(t *testing.T, s *site, secure *tls.Config) caller {
					return overHTTP(t, s, v.protocols, secure, opts)
				}})
		}
	}
	return all
}

// native calls by the native protocol.
func native(t *testing.T, s *site, secure *tls.Config) caller {
	opts := []rpcx.DialOption{rpcx.WithDialer(s.Dial)}
	if secure != nil {
		opts = append(opts, rpcx.WithTLS(secure))
	}
	conn, err := rpcx.Dial("server:1", opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return func(ctx context.Context, m *call.Method, req []string, md metadata.MD) (a answer) {
		o := []rpcx.CallOption{rpcx.WithMetadata(md), rpcx.Header(&a.header), rpcx.Trailer(&a.trailer)}
		if m.Kind() == call.KindUnary {
			var res text
			if a.err = status.FromError(conn.CallUnary(ctx, m, wrapperspb.String(req[0]), &res, o...)); a.err == nil {
				a.res = []string{res.GetValue()}
			}
			return a
		}
		var single any
		if !m.Kind().CallerStreams() {
			single = wrapperspb.String(req[0])
		}
		st, err := conn.CallStream(ctx, m, single, o...)
		if err != nil {
			a.err = status.FromError(err)
			return a
		}
		defer st.Close()
		send := st.Send
		if single != nil {
			send = nil
		}
		a.res, err = exchange(req, send, st.CloseSend, st.Recv)
		a.err = status.FromError(err)
		a.header, _ = st.Header()
		a.trailer = st.Trailer()
		return a
	}
}

// exchange sends all and receives all.
func exchange(req []string, send func(any) error, closeSend func() error, recv func(any) error) (res []string, err error) {
	for _, r := range req {
		if send == nil {
			break
		}
		if err := send(wrapperspb.String(r)); err != nil {
			break // receiving says why
		}
	}
	closeSend()
	for {
		var m text
		if err := recv(&m); errors.Is(err, io.EOF) {
			return res, nil
		} else if err != nil {
			return res, err
		}
		res = append(res, m.GetValue())
	}
}

// overHTTP calls through connect's own client.
func overHTTP(t *testing.T, s *site, protocols *http.Protocols, secure *tls.Config, opts []connecthttp.Option) caller {
	tr := &http.Transport{
		Protocols: protocols, TLSClientConfig: secure, DisableCompression: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) { return s.Dial(ctx, network, addr) },
	}
	t.Cleanup(tr.CloseIdleConnections)
	scheme := "http://"
	if secure != nil {
		scheme = "https://"
	}
	client := connect.NewClient(connecthttp.NewTransport(&http.Client{Transport: tr}, scheme+"server:1", opts...))
	return func(ctx context.Context, m *call.Method, req []string, md metadata.MD) (a answer) {
		ctx, info := connect.NewClientContext(ctx)
		for _, p := range md {
			v := p.Value
			if strings.HasSuffix(p.Key, metadata.BinarySuffix) {
				v = connect.EncodeBinaryHeader([]byte(v))
			}
			info.RequestHeader().Add(p.Key, v)
		}
		spec := connect.Spec{Procedure: m.FullName(), StreamType: connect.StreamType(m.Kind()), IdempotencyLevel: connect.IdempotencyLevel(m.Idempotency())}
		var err error
		switch {
		case m.Kind() == call.KindUnary:
			var res text
			if err = client.CallUnary(ctx, spec, wrapperspb.String(req[0]), &res); err == nil {
				a.res = []string{res.GetValue()}
			}
		case m.Kind().CallerStreams():
			st, e := client.CallClientStream(ctx, spec)
			if err = e; err == nil {
				a.res, err = exchange(req, st.Send, st.CloseSend, st.Receive)
				st.Close()
			}
		default:
			st, e := client.CallServerStream(ctx, spec, wrapperspb.String(req[0]))
			if err = e; err == nil {
				a.res, err = exchange(req, nil, st.CloseSend, st.Receive)
				st.Close()
			}
		}
		a.header, a.trailer = received(info.ResponseHeader()), received(info.ResponseTrailer())
		a.err = fromConnect(err, info)
		return a
	}
}

// received returns metadata of a response as far as tests look at it.
func received(h *connect.Header) (md metadata.MD) {
	for key, values := range h.All() {
		key = strings.ToLower(key)
		if !strings.HasPrefix(key, "x-") {
			continue
		}
		for _, v := range values {
			if strings.HasSuffix(key, metadata.BinarySuffix) {
				b, _ := connect.DecodeBinaryHeader(v)
				v = string(b)
			}
			md.Add(key, v)
		}
	}
	return md
}

// fromConnect returns err as the native client would have it.
func fromConnect(err error, info *connect.CallInfo) *status.Error {
	if err == nil {
		return nil
	}
	var ce *connect.Error
	if !errors.As(err, &ce) {
		return status.FromError(err)
	}
	e := status.New(status.Code(ce.Code()), ce.Message())
	for _, d := range ce.Details() {
		e = e.WithRawDetails(status.Detail{Type: "type.googleapis.com/" + d.Type, Value: d.Value})
	}
	find := func(key string) string {
		for _, h := range []*connect.Header{info.ResponseTrailer(), info.ResponseHeader()} {
			if v := h.Get(key); v != "" {
				return v
			}
		}
		return ""
	}
	if find("Rpcx-Not-Run") == "1" {
		e = e.WithNotRun()
	}
	if v := find("Rpcx-Push-Back"); v == "never" {
		e = e.WithDoNotRetry()
	} else if d, err := time.ParseDuration(v + "ms"); err == nil {
		e = e.WithRetryAfter(d)
	}
	return e
}

// secrets returns what a server and its clients need for TLS.
func secrets(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now() // that of the test, which may be virtual
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"server"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	parsed, _ := x509.ParseCertificate(der)
	roots.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: roots, ServerName: "server"}
}
