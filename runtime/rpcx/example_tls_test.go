package rpcx_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"net/netip"
	"os"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
	"github.com/rpcx-go/rpcx/testdata/gen/users/usersv1rpcx"
)

// A server and its clients over TLS, with certificates that the program has.
func ExampleWithTLS() {
	certificate, err := tls.LoadX509KeyPair("server.crt", "server.key")
	if err != nil {
		log.Fatal(err)
	}
	srv := rpcx.NewServer(rpcx.WithTLS(&tls.Config{Certificates: []tls.Certificate{certificate}}))
	usersv1rpcx.RegisterUsersServer(srv, users{})
	go func() { log.Fatal(srv.ListenAndServe(context.Background(), ":7000")) }()

	// A client checks the server's certificate with the system's authorities, or
	// with its own:
	text, err := os.ReadFile("ca.pem")
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	conn, err := rpcx.Dial("users.internal:7000", rpcx.WithTLS(&tls.Config{RootCAs: roots}))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
}

// Both sides show certificates, which are read again when the files change. An
// interceptor goes by who calls.
func ExampleWithTLSFiles() {
	files := rpcx.WithTLSFiles("tls.crt", "tls.key", "ca.pem")
	admit := func(ctx context.Context, c *call.Call, next call.Next) error {
		// With ca.pem the server verifies every client, so there is a chain.
		caller := c.Peer().TLS.VerifiedChains[0][0].Subject.CommonName
		if caller != "billing" {
			return status.Errorf(status.PermissionDenied, "%s may not call %s", caller, c.Method().FullName())
		}
		return next(ctx, c)
	}
	srv := rpcx.NewServer(files, rpcx.WithInterceptors(admit))
	usersv1rpcx.RegisterUsersServer(srv, users{})
	go func() { log.Fatal(srv.ListenAndServe(context.Background(), ":7000")) }()

	conn, err := rpcx.Dial("users.internal:7000", files)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
}

// A server behind load balancers that say who connected to them.
func ExampleWithProxyProtocol() {
	srv := rpcx.NewServer(
		rpcx.WithProxyProtocol(netip.MustParsePrefix("10.1.0.0/24")),
		rpcx.WithInterceptors(func(ctx context.Context, c *call.Call, next call.Next) error {
			fmt.Println("called from", c.Peer().Addr) // the client, not the load balancer
			return next(ctx, c)
		}))
	usersv1rpcx.RegisterUsersServer(srv, users{})
	log.Fatal(srv.ListenAndServe(context.Background(), ":7000"))
}
