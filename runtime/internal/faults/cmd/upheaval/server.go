package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/rpcx"
)

// serveVar is the environment variable with the configuration of a child.
const serveVar = "UPHEAVAL_SERVE"

// serverConfig is what a child is told.
type serverConfig struct {
	Name string
	Addr string
	// Journal is a file to which the server appends the number of each call before
	// it does anything else for it, so that it is known also of a server that was
	// killed which calls ran there.
	Journal string
	// Mean is how long a call takes, exponentially distributed, while Workers bound
	// how many do so at a time.
	Mean    time.Duration
	Workers int
}

// runMethod runs the call with a number and returns the name of the server.
var runMethod = rpcx.NewMethod[wrapperspb.UInt64Value, wrapperspb.StringValue](
	rpcx.MethodSpec{Service: "upheaval.v1.Upheaval", Name: "Run"})

// serveIfChild is the server, if this process is a child, and ends the process then.
func serveIfChild() {
	config := os.Getenv(serveVar)
	if config == "" {
		return
	}
	var cfg serverConfig
	err := json.Unmarshal([]byte(config), &cfg)
	if err == nil {
		err = cfg.serve()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "upheaval: server:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve serves until the process is told to end, or its input ends, which is when
// its parent has.
func (cfg *serverConfig) serve() error {
	journal, err := os.OpenFile(cfg.Journal, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	workers := make(chan struct{}, cfg.Workers)
	srv := rpcx.NewServer()
	srv.Register(rpcx.UnaryHandler(runMethod, func(_ context.Context, req *wrapperspb.UInt64Value) (*wrapperspb.StringValue, error) {
		if _, err := journal.Write(binary.BigEndian.AppendUint64(nil, req.Value)); err != nil {
			return nil, err
		}
		workers <- struct{}{}
		defer func() { <-workers }()
		time.Sleep(time.Duration(rand.ExpFloat64() * float64(cfg.Mean)))
		return wrapperspb.String(cfg.Name), nil
	}))
	l, err := listen(cfg.Addr)
	if err != nil {
		return err
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		ended <- os.Interrupt
	}()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	fmt.Println(l.Addr())
	select {
	case err := <-served:
		return err
	case s := <-ended:
		if s == os.Interrupt {
			return srv.Close()
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return srv.Shutdown(ctx)
}

// listen listens on addr. While the port's last user is not gone it tries again.
func listen(addr string) (net.Listener, error) {
	for patience := 100; ; patience-- {
		l, err := net.Listen("tcp", addr)
		if err == nil || patience == 0 {
			return l, err
		}
		time.Sleep(50 * time.Millisecond)
	}
}
