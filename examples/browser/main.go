// Browser is a service and a web page that calls it, on one port: native clients,
// the page, curl and gRPC clients all come in by the same door.
//
//	browser -addr 127.0.0.1:8080 -page examples/browser/page/dist
//
// The proto is in proto/. The page is in page/, built by npm with code that
// protoc-gen-es generates from the proto; the service is in guestbook.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/rpcx-go/rpcx/examples/browser/gen/guestbook/v1/guestbookv1rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxhttp"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "browser:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, w io.Writer) error {
	flags := flag.NewFlagSet("browser", flag.ContinueOnError)
	addr := flags.String("addr", "127.0.0.1:8080", "`host:port` to serve on")
	page := flags.String("page", "examples/browser/page/dist", "`folder` of the built page")
	origins := flags.String("cors", "", "comma-separated `origins` whose pages may call, too")
	cert := flags.String("cert", "", "`file` with a certificate, to serve over TLS")
	key := flags.String("key", "", "`file` with the certificate's key")
	if err := flags.Parse(args); err != nil {
		return err
	}
	files := os.DirFS(*page)
	if _, err := fs.Stat(files, "index.html"); err != nil {
		return fmt.Errorf("the page is not built (npm ci && npm run build): %w", err)
	}

	// What is no call is a request for a file of the page.
	web := []rpcxhttp.Option{rpcxhttp.WithHandler(http.FileServerFS(files))}
	if *origins != "" {
		web = append(web, rpcxhttp.WithCORS(rpcxhttp.CORS{Origins: strings.Split(*origins, ",")}))
	}
	opts := []rpcx.ServerOption{rpcxhttp.WithHTTP(web...)}
	scheme := "http"
	if *cert != "" {
		scheme = "https"
		opts = append(opts, rpcx.WithTLSFiles(*cert, *key, ""))
	}
	srv := rpcx.NewServer(opts...)
	guestbookv1rpcx.RegisterGuestbookServer(srv, newGuestbook())

	lis, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "serving on %s://%s\n", scheme, lis.Addr())
	return serve(ctx, srv, lis)
}

// serve serves until ctx ends, and then lets running calls finish.
func serve(ctx context.Context, srv *rpcx.Server, lis net.Listener) error {
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		patience, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		stopped <- srv.Shutdown(patience)
	})
	if err := srv.Serve(lis); !errors.Is(err, rpcx.ErrServerClosed) {
		return err
	}
	// Pages that read the guest book do so for ever: those streams are cut off.
	if err := <-stopped; !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}
