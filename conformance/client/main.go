// Command client is the client that the conformance suite tests. The runner says
// on standard input which calls to make, and learns from standard output how they
// ended.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/rpcx-go/rpcx/conformance/compat"
	conformancev1 "github.com/rpcx-go/rpcx/conformance/gen"
	"github.com/rpcx-go/rpcx/conformance/gen/conformancev1rpcx"
)

func main() {
	native := flag.Bool("native", false, "call over the native protocol, whatever is asked for")
	parallel := flag.Int("parallel", 8, "how many calls to make at once")
	mistake := flag.Bool("break", false, "report one trailer too many of each call that has some")
	flag.Parse()
	dial := dialHTTP
	if *native {
		dial = dialNative
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, caller{newConnections(dial), *mistake}, *parallel); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}

// run makes the calls that the runner asks for until it has no more.
func run(ctx context.Context, c caller, parallel int) error {
	defer c.conns.close()
	var (
		calls sync.WaitGroup
		mu    sync.Mutex // held while an outcome is written
		lost  error      // why one could not be
	)
	defer calls.Wait()
	slots := make(chan struct{}, parallel)
	in := bufio.NewReader(os.Stdin)
	for {
		req := new(conformancev1.ClientCompatRequest)
		if err := compat.Read(in, req); err != nil {
			calls.Wait()
			if err == io.EOF {
				return lost
			}
			return err
		}
		slots <- struct{}{}
		calls.Go(func() {
			defer func() { <-slots }()
			resp := c.outcome(ctx, req)
			mu.Lock()
			defer mu.Unlock()
			if err := compat.Write(os.Stdout, resp); err != nil {
				lost = err
			}
		})
	}
}

// caller makes calls.
type caller struct {
	conns   *connections
	mistake bool
}

// outcome makes a call and says how it ended.
func (c caller) outcome(ctx context.Context, req *conformancev1.ClientCompatRequest) *conformancev1.ClientCompatResponse {
	resp := &conformancev1.ClientCompatResponse{TestName: req.GetTestName()}
	conn, err := c.conns.get(req)
	if err == nil {
		var result *conformancev1.ClientResponseResult
		if result, err = makeCall(ctx, conformancev1rpcx.NewConformanceServiceClient(conn), req); err == nil {
			if t := result.ResponseTrailers; c.mistake && len(t) > 0 {
				t[0].Value = append(t[0].Value, "one too many")
			}
			resp.Result = &conformancev1.ClientCompatResponse_Response{Response: result}
			return resp
		}
	}
	resp.Result = &conformancev1.ClientCompatResponse_Error{Error: &conformancev1.ClientErrorResult{Message: err.Error()}}
	return resp
}
