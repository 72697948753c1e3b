// Quickstart is a small service and its client: a list of tasks with a method
// of each kind.
//
//	quickstart serve -addr 127.0.0.1:7000    serve until interrupted
//	quickstart call  -addr 127.0.0.1:7000    call every method and print the answers
//	quickstart demo                          both, as two processes
//
// The proto is in proto/, the code that buf generates from it in gen/, the
// server in tasks.go and the client in client.go.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"time"

	"github.com/rpcx-go/rpcx/examples/quickstart/gen/tasks/v1/tasksv1rpcx"
	"github.com/rpcx-go/rpcx/runtime/health"
	"github.com/rpcx-go/rpcx/runtime/reflection"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxhttp"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("say serve, call or demo")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	addr := flags.String("addr", "127.0.0.1:7000", "`host:port` to serve on or to call")
	withStdin := flags.Bool("with-stdin", false, "serve until standard input ends")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	switch args[0] {
	case "serve":
		if *withStdin {
			ctx = untilEOF(ctx, os.Stdin)
		}
		return serve(ctx, *addr, os.Stdout)
	case "call":
		return call(ctx, *addr, os.Stdout)
	case "demo":
		return demo(ctx, os.Stdout)
	}
	return fmt.Errorf("%q is none of serve, call and demo", args[0])
}

// ready stands before the address in the line that serve writes.
const ready = "serving on "

// serve answers calls on addr until ctx ends, and then lets running calls finish.
func serve(ctx context.Context, addr string, w io.Writer) error {
	srv := rpcx.NewServer(rpcxhttp.WithHTTP())
	tasksv1rpcx.RegisterTasksServer(srv, newTasks())
	health.Register(srv)     // for load balancers: grpc.health.v1.Health
	reflection.Register(srv) // for grpcurl and buf curl, which then need no proto

	lis, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Fprintln(w, ready+lis.Addr().String())

	// With an address that is known before, srv.ListenAndServe(ctx, addr) does all of this.
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		patience, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		stopped <- srv.Shutdown(patience)
	})
	if err := srv.Serve(lis); !errors.Is(err, rpcx.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// demo serves in a second process, calls it, and ends both.
func demo(ctx context.Context, w io.Writer) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	server := exec.CommandContext(ctx, exe, "serve", "-addr", "127.0.0.1:0", "-with-stdin")
	server.Stderr = os.Stderr
	stdin, err := server.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := server.StdoutPipe()
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	callErr := func() error {
		line, err := bufio.NewReader(stdout).ReadString('\n')
		if err != nil {
			return fmt.Errorf("the server did not start: %w", err)
		}
		fmt.Fprint(w, "server: ", line)
		return call(ctx, strings.TrimSpace(strings.TrimPrefix(line, ready)), w)
	}()
	// The server ends with its input.
	if err := errors.Join(callErr, stdin.Close(), server.Wait()); err != nil {
		return err
	}
	fmt.Fprintln(w, "demo: ok")
	return nil
}

// untilEOF returns a context that also ends when r does.
func untilEOF(ctx context.Context, r io.Reader) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		// Whether it ends or fails, nobody is at the other end any more.
		_, _ = io.Copy(io.Discard, r)
	}()
	return ctx
}
