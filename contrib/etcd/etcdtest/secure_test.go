package etcdtest_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rpcx-go/rpcx/contrib/etcd"
	"github.com/rpcx-go/rpcx/contrib/etcd/etcdtest"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// selfSigned writes a certificate for 127.0.0.1 that is its own authority.
func selfSigned(t *testing.T) (certFile, keyFile string, cert tls.Certificate, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "test"},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:        true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "EC PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if cert, err = tls.LoadX509KeyPair(certFile, keyFile); err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AddCert(parsed)
	return certFile, keyFile, cert, pool
}

// TestTLS: all of it over mutual TLS, and nothing without a certificate.
func TestTLS(t *testing.T) {
	t.Parallel()
	certFile, keyFile, cert, pool := selfSigned(t)
	server := start(t, etcdtest.Config{CertFile: certFile, KeyFile: keyFile, CAFile: certFile})
	client := connect(t, clientv3.Config{
		TLS: &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool, MinVersion: tls.VersionTLS13},
	}, server.Endpoint())
	registry := etcd.New(client)
	w := watch(t, registry, "etcd:///users", nil)
	w.awaitList()
	registration := register(t, registry, "users", tcp("a:1"))
	w.awaitList("a:1")

	server.Close()
	w.awaitError()
	server = start(t, server.Config())
	w.awaitList("a:1")
	if err := registration.Deregister(soon(t)); err != nil {
		t.Error(err)
	}
	w.awaitList()

	nobody := connect(t, clientv3.Config{TLS: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}}, server.Endpoint())
	watch(t, etcd.New(nobody), "etcd:///users", nil).awaitError()
}

// TestAuth: users may do what their roles say, and what is forbidden fails at once.
func TestAuth(t *testing.T) {
	t.Parallel()
	server := start(t, etcdtest.Config{})
	admin := connect(t, clientv3.Config{}, server.Endpoint())
	try := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	end := clientv3.GetPrefixRangeEnd("/rpcx/")
	for role, permission := range map[string]int32{"reader": int32(clientv3.PermRead), "server": int32(clientv3.PermReadWrite)} {
		try(admin.RoleAdd(soon(t), role))
		try(admin.RoleGrantPermission(soon(t), role, "/rpcx/", end, clientv3.PermissionType(permission)))
	}
	for user, role := range map[string]string{"root": "root", "reader": "reader", "server": "server", "nobody": ""} {
		try(admin.UserAdd(soon(t), user, "secret-"+user))
		if role != "" {
			try(admin.UserGrantRole(soon(t), user, role))
		}
	}
	try(admin.AuthEnable(soon(t)))

	as := func(user string, opts ...etcd.Option) *etcd.Registry {
		client := connect(t, clientv3.Config{Username: user, Password: "secret-" + user}, server.Endpoint())
		return etcd.New(client, opts...)
	}
	servers := as("server", etcd.WithTTL(2*time.Second))
	w := watch(t, as("reader"), "etcd:///users", nil)
	w.awaitList()
	registration := register(t, servers, "users", tcp("a:1"))
	w.awaitList("a:1")

	if _, err := as("reader").Register(soon(t), "users", tcp("b:1")); !errors.Is(err, rpctypes.ErrPermissionDenied) {
		t.Errorf("registering as a reader: got %v", err)
	}
	if u := watch(t, as("nobody"), "etcd:///users", nil).awaitError(); !errors.Is(u.Err, rpctypes.ErrPermissionDenied) {
		t.Errorf("watching as nobody: got %v", u.Err)
	}

	// The tokens of before are worth nothing to a server that has been started again.
	server.Close()
	w.awaitError()
	start(t, server.Config())
	w.awaitList("a:1")
	register(t, servers, "users", tcp("c:1"))
	w.awaitList("a:1", "c:1")
	if err := registration.Deregister(soon(t)); err != nil {
		t.Error(err)
	}
	w.awaitList("c:1")
}
