// Command server is the server that the conformance suite tests. The runner says
// on standard input what it is to be like, and learns from standard output where
// it is.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/rpcx-go/rpcx/conformance/compat"
	conformancev1 "github.com/rpcx-go/rpcx/conformance/gen"
	"github.com/rpcx-go/rpcx/conformance/gen/conformancev1rpcx"
	"github.com/rpcx-go/rpcx/conformance/service"
	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/codec/jsoncodec"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxhttp"
)

func main() {
	native := flag.Bool("native", false, "speak the native protocol only")
	compression := flag.String("compression", "zstd", "with what native answers are compressed for clients that accept it")
	mistake := flag.Bool("break", false, "make a mistake in each answer")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, *native, *compression, *mistake); err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, native bool, compression string, mistake bool) error {
	req := new(conformancev1.ServerCompatRequest)
	if err := compat.Read(os.Stdin, req); err != nil {
		return err
	}
	opts, err := options(req, native, compression)
	if err != nil {
		return err
	}
	if mistake {
		opts = append(opts, rpcx.WithInterceptors(oneTooMany))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := rpcx.NewServer(opts...)
	conformancev1rpcx.RegisterConformanceServiceServer(srv, service.Service{})
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()

	addr := l.Addr().(*net.TCPAddr)
	resp := &conformancev1.ServerCompatResponse{Host: addr.IP.String(), Port: uint32(addr.Port), PemCert: req.GetServerCreds().GetCert()}
	if err := compat.Write(os.Stdout, resp); err != nil {
		return err
	}
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		return srv.Close()
	}
}

// options returns the options of a server as the runner wants it. A limit of zero
// means none, for which ours is high enough. However small an answer is, it is
// compressed if the caller likes that; over HTTP the caller says how.
func options(req *conformancev1.ServerCompatRequest, native bool, compression string) ([]rpcx.ServerOption, error) {
	opts := []rpcx.ServerOption{rpcx.WithCompression(compression, 1)}
	if native {
		opts = append(opts, rpcx.WithCodec(jsoncodec.Codec))
	} else {
		opts = append(opts, rpcxhttp.WithHTTP()) // has JSON
	}
	if n := req.GetMessageReceiveLimit(); n > 0 {
		opts = append(opts, rpcx.WithMaxMessageSize(int(n)))
	}
	if req.GetUseTls() {
		cfg, err := tlsConfig(req)
		if err != nil {
			return nil, err
		}
		opts = append(opts, rpcx.WithTLS(cfg))
	}
	return opts, nil
}

func tlsConfig(req *conformancev1.ServerCompatRequest) (*tls.Config, error) {
	cert, err := tls.X509KeyPair(req.GetServerCreds().GetCert(), req.GetServerCreds().GetKey())
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}}
	if pem := req.GetClientTlsCert(); len(pem) > 0 {
		cfg.ClientAuth, cfg.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		if !cfg.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("the clients' certificate is not in PEM")
		}
	}
	return cfg, nil
}

// oneTooMany is a mistake: it adds a value to a trailer that handlers set, too.
func oneTooMany(ctx context.Context, c *call.Call, next call.Next) error {
	err := next(ctx, c)
	if e := rpcx.SetTrailer(ctx, metadata.Pairs("x-custom-trailer", "one too many")); e != nil {
		return e
	}
	return err
}
