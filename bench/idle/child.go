package idle

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rpcx-go/rpcx/bench/gen/echo"
	"github.com/rpcx-go/rpcx/bench/gen/echo/echorpcx"
	"github.com/rpcx-go/rpcx/bench/workload"
	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
)

// childConfig is what a child is started with.
type childConfig struct {
	Role  string
	TLS   bool
	Addr  string // where the client finds the server
	Roots []byte // whom it trusts, in PEM
	Conns int
	// Allocs has the server record every allocation.
	Allocs bool
}

// request asks the server for its memory.
type request struct {
	// Profile is what the names of the files with profiles begin with; empty: none.
	Profile string
}

// reply is what a child says: the server once it listens and to each request,
// the client once all connections have made their call.
type reply struct {
	Error string
	Addr  string
	Roots []byte
	memory
}

// Child is the life of one of the two processes. It ends with its input.
func Child(config string, in io.Reader, out io.Writer) error {
	var cfg childConfig
	if err := json.Unmarshal([]byte(config), &cfg); err != nil {
		return err
	}
	replies := json.NewEncoder(out)
	run := serve
	if cfg.Role == "client" {
		run = hold
	}
	if err := run(cfg, json.NewDecoder(in), replies); err != nil && err != io.EOF {
		return replies.Encode(reply{Error: err.Error()})
	}
	return nil
}

// connections counts those of a server.
type connections struct {
	call.NopObserver
	open atomic.Int64
}

func (c *connections) ConnOpened(call.ConnInfo)        { c.open.Add(1) }
func (c *connections) ConnClosed(call.ConnInfo, error) { c.open.Add(-1) }

// serve is the server: it answers until its input ends.
func serve(cfg childConfig, requests *json.Decoder, replies *json.Encoder) error {
	if cfg.Allocs {
		runtime.MemProfileRate = 1
	} else {
		runtime.MemProfileRate = 0
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	hello := reply{Addr: lis.Addr().String()}
	var conns connections
	opts := []rpcx.ServerOption{rpcx.WithObserver(&conns)}
	if cfg.TLS {
		var config *tls.Config
		if config, hello.Roots, err = workload.SelfSigned(); err != nil {
			return err
		}
		opts = append(opts, rpcx.WithTLS(config))
	}
	srv := rpcx.NewServer(opts...)
	echorpcx.RegisterEchoSvcServer(srv, echoServer{})
	go func() { _ = srv.Serve(lis) }() // until it is closed
	defer srv.Close()
	for r := hello; ; {
		if err := replies.Encode(r); err != nil {
			return err
		}
		var ask request
		if err := requests.Decode(&ask); err != nil {
			return err
		}
		r = reply{}
		if r.memory, err = look(ask.Profile, cfg.Allocs); err != nil {
			return err
		}
		r.Conns = int(conns.open.Load())
	}
}

type echoServer struct {
	echorpcx.UnimplementedEchoSvcServer
}

func (echoServer) Unary(_ context.Context, in *echo.Echo) (*echo.Echo, error) { return in, nil }

// dialing is how many connections the client makes at a time.
const dialing = 32

// hold is the client: it opens the connections, makes a call on each, and keeps
// them until its input ends.
func hold(cfg childConfig, requests *json.Decoder, replies *json.Encoder) error {
	var opts []rpcx.DialOption
	if cfg.TLS {
		opts = append(opts, rpcx.WithTLS(workload.Trusting(cfg.Roots)))
	}
	conns := make([]*rpcx.Conn, cfg.Conns)
	errs := make([]error, dialing)
	var all sync.WaitGroup
	for i := range dialing {
		all.Go(func() {
			for j := i; j < len(conns) && errs[i] == nil; j += dialing {
				conns[j], errs[i] = callOnce(cfg.Addr, opts)
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := replies.Encode(reply{}); err != nil {
		return err
	}
	err := requests.Decode(new(request)) // there is none: it waits for the end
	runtime.KeepAlive(conns)
	return err
}

// callOnce returns a connection that has made one call.
func callOnce(addr string, opts []rpcx.DialOption) (*rpcx.Conn, error) {
	conn, err := rpcx.Dial(addr, opts...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	payload := bytes.Repeat([]byte("x"), 128)
	_, err = echorpcx.NewEchoSvcClient(conn).Unary(ctx, &echo.Echo{Payload: payload}, rpcx.WithWaitForReady(true))
	return conn, err
}
