// Command testee is what the spec suite tests: the runtime of this repository,
// as a server of the suite's test service and as a client of it.
//
//	testee serve [-handshake=D]   serves on a port of 127.0.0.1; prints "listening ADDRESS"
//	testee call ADDRESS           makes the calls that lines of standard input tell it to
//
// The README of package spec has both contracts. Both end with standard input.
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
	"strconv"
	"strings"
	"time"

	"github.com/rpcx-go/rpcx/runtime/codec/jsoncodec"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
)

func main() {
	err := errors.New("usage: testee serve [-handshake=D] | testee call ADDRESS")
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		err = serve(os.Args[2:], os.Stdin, os.Stdout)
	}
	if len(os.Args) == 3 && os.Args[1] == "call" {
		err = callAll(os.Args[2], os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "testee:", err)
		os.Exit(1)
	}
}

// serve serves until stdin ends, or has told it to drain and that is done.
func serve(args []string, stdin io.Reader, stdout io.Writer) error {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	handshake := flags.Duration("handshake", 5*time.Second, "how long a new connection may take to say its preface")
	_ = flags.Parse(args) // ends the program if it fails
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := rpcx.NewServer(rpcx.WithChecksums(), rpcx.WithCodec(jsoncodec.Codec), rpcx.WithHandshakeTimeout(*handshake))
	register(srv)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	fmt.Fprintln(stdout, "listening", l.Addr())

	lines := bufio.NewScanner(stdin)
	if !lines.Scan() {
		srv.Close()
		<-served
		return lines.Err()
	}
	grace, ok := strings.CutPrefix(lines.Text(), "drain ")
	ms, err := strconv.Atoi(grace)
	if !ok || err != nil {
		return fmt.Errorf("cannot do %q", lines.Text())
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(ms)*time.Millisecond)
	defer cancel()
	err = srv.Shutdown(ctx)
	<-served
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	fmt.Fprintln(stdout, "drained")
	return nil
}
