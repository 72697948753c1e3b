package suite

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rpcx-go/rpcx/interop/gen/testpbrpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxhttp"
)

// program builds the suite of grpc-go.
func program(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "grpcgo")
	if out, err := exec.Command("go", "build", "-o", bin, "../grpcgo").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// TestServer: grpc-go's client passes all cases against our server.
func TestServer(t *testing.T) {
	bin := program(t)
	cert, key := secret(t)
	plain := ours(t, Service{})
	secure := ours(t, Service{}, rpcx.WithTLSFiles(cert, key, ""))
	for _, c := range Cases {
		t.Run(c.Name, func(t *testing.T) {
			for _, args := range [][]string{
				{"call", "-addr", plain, c.Name},
				{"call", "-addr", secure, "-ca", cert, c.Name},
			} {
				out, err := exec.CommandContext(t.Context(), bin, args...).CombinedOutput()
				if err != nil || !strings.Contains(string(out), c.Name+" passed") {
					t.Errorf("%v: %v\n%s", args, err, out)
				}
			}
		})
	}
}

// ours serves the test service until the test ends.
func ours(t *testing.T, service testpbrpcx.TestServiceServer, opts ...rpcx.ServerOption) string {
	t.Helper()
	srv := rpcx.NewServer(append(opts, rpcxhttp.WithHTTP())...)
	testpbrpcx.RegisterTestServiceServer(srv, service)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(lis) }()
	t.Cleanup(func() {
		srv.Close()
		if err := <-served; !errors.Is(err, rpcx.ErrServerClosed) {
			t.Errorf("Serve returned %v", err)
		}
	})
	return lis.Addr().String()
}

// TestClient: our client passes all cases against grpc-go's server.
func TestClient(t *testing.T) {
	bin := program(t)
	cert, key := secret(t)
	plain, secure := theirs(t, bin), theirs(t, bin, "-cert", cert, "-key", key)
	trust, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(trust)
	conns := map[string]*rpcx.Conn{
		"plain": dial(t, plain),
		"TLS":   dial(t, secure, rpcx.WithTLS(&tls.Config{RootCAs: roots, ServerName: "localhost"})),
	}
	for _, c := range Cases {
		t.Run(c.Name, func(t *testing.T) {
			for name, conn := range conns {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				if err := c.Run(ctx, conn); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				cancel()
			}
		})
	}
}

// TestNotImplemented: cases fail, in both clients, against a server that implements
// nothing.
func TestNotImplemented(t *testing.T) {
	bin := program(t)
	addr := ours(t, testpbrpcx.UnimplementedTestServiceServer{})
	conn := dial(t, addr)
	passes := []string{"timeout_on_sleeping_server", "cancel_after_begin", "unimplemented_method", "unimplemented_service"}
	for _, c := range Cases {
		if slices.Contains(passes, c.Name) {
			continue
		}
		if err := c.Run(t.Context(), conn); err == nil {
			t.Errorf("%s passes", c.Name)
		}
		if out, err := exec.CommandContext(t.Context(), bin, "call", "-addr", addr, c.Name).CombinedOutput(); err == nil {
			t.Errorf("%s passes in grpc-go's client: %s", c.Name, out)
		}
	}
}

// theirs has grpc-go's server serve until the test ends.
func theirs(t *testing.T, bin string, args ...string) string {
	t.Helper()
	cmd := exec.Command(bin, append([]string{"serve"}, args...)...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stdout)
	t.Cleanup(func() {
		stdin.Close()
		io.Copy(io.Discard, lines)
		if err := cmd.Wait(); err != nil {
			t.Errorf("grpc-go's server: %v", err)
		}
	})
	addr, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(addr)
}

// dial returns a connection that speaks gRPC.
func dial(t *testing.T, addr string, opts ...rpcx.DialOption) *rpcx.Conn {
	t.Helper()
	conn, err := rpcx.Dial(addr, append(opts, rpcxhttp.WithGRPC())...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// secret writes a certificate for localhost, which vouches for itself, and its key.
func secret(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, b []byte) string {
		name = filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", private)
}
