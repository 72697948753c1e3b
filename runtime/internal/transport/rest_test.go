package transport

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/certs/certstest"
	"github.com/rpcx-go/rpcx/runtime/internal/dispatch"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
)

// TestOldWriteDeadline: the deadline of an earlier write, which has passed
// since, does not concern the next one.
func TestOldWriteDeadline(t *testing.T) {
	c, s := overTCP(t, &service{})
	for i := range 3 {
		for _, l := range []*link{&c.link, &s.link} {
			if err := l.nc.SetWriteDeadline(time.Unix(1, 0)); err != nil {
				t.Fatal(err)
			}
		}
		for _, m := range []*call.Method{say, inline} {
			want := long(100 << (5 * i))
			wantRes(t, <-calling(t.Context(), c, m, want), want)
		}
	}
}

// restless has a connection rest whenever there is nothing to be read.
func restless(cfg *Config) { cfg.RestAfter = 1 }

// ends makes both ends of a connection that can rest, by what it runs on.
var ends = map[string]func(t *testing.T) (dialed, accepted net.Conn){
	"TCP": sockets,
	"TLS": func(t *testing.T) (dialed, accepted net.Conn) {
		dialed, accepted = sockets(t)
		ca := certstest.NewCA(t, "authority")
		return tls.Client(dialed, &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"}),
			tls.Server(accepted, &tls.Config{Certificates: []tls.Certificate{ca.Pair(t, certstest.Leaf{})}})
	},
}

// TestRest: connections that rest all the time carry calls of any size and
// kind.
func TestRest(t *testing.T) {
	for name, make := range ends {
		t.Run(name, func(t *testing.T) {
			dialed, accepted := make(t)
			c, _ := over(t, dialed, accepted, &service{stream: echoStream}, restless)
			var all sync.WaitGroup
			for worker := range 4 {
				all.Go(func() {
					for i := range 12 {
						want := fmt.Sprint(worker, " ", i, long(i%4*40_000))
						wantRes(t, <-calling(t.Context(), c, []*call.Method{say, get, inline}[i%3], want), want)
					}
				})
			}
			all.Go(func() {
				echoed(t, c, func(i int) string { return fmt.Sprint(i, long(i%4*40_000)) })
			})
			all.Wait()
		})
	}
}

// echoed sends messages on a stream of c, each when the one before has come back. It
// may be called on any goroutine.
func echoed(t *testing.T, c *Client, message func(i int) string) {
	t.Helper()
	s, err := c.Stream(t.Context(), &StreamCall{Method: echo})
	if err != nil {
		t.Error(err)
		return
	}
	for i := range 12 {
		want := message(i)
		if err := s.Send(str(want)); err != nil {
			t.Error(err)
		}
		if got, err := recvText(s); err != nil || got != want {
			t.Errorf("got %.20q, %v, want %.20q", got, err, want)
		}
	}
	s.CloseSend()
	if _, err := recvText(s); err != io.EOF {
		t.Errorf("got %v, want EOF", err)
	}
}

func echoStream(_ context.Context, s call.ServerStream) error {
	for {
		m, err := recvText(s)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.Send(str(m)); err != nil {
			return err
		}
	}
}

// atRest waits until n ends of connections rest, and returns the stacks of all
// goroutines then.
func atRest(n int) string {
	for buf := make([]byte, 1<<20); ; runtime.Gosched() {
		stacks := string(buf[:runtime.Stack(buf, true)])
		if strings.Count(stacks, "transport.await(") == n {
			return stacks
		}
	}
}

// TestRestHoldsLittle: a connection at rest is a goroutine that waits, and has
// neither tables nor buffers.
func TestRestHoldsLittle(t *testing.T) {
	for name, make := range ends {
		t.Run(name, func(t *testing.T) {
			dialed, accepted := make(t)
			c, s := over(t, dialed, accepted, &service{}, restless)
			// It ends before the server rests, which gives back a table without calls.
			wantRes(t, <-calling(t.Context(), c, inline, "x"), "x")
			if stacks := atRest(2); strings.Contains(stacks, "(*link).serve") {
				t.Errorf("somebody reads while both ends rest:\n%s", stacks)
			}
			c.calls.mu.Lock()
			s.calls.mu.Lock()
			if c.calls.slots != nil || s.calls.slots != nil {
				t.Error("a table")
			}
			c.calls.mu.Unlock()
			s.calls.mu.Unlock()
			for _, l := range []*link{&c.link, &s.link} {
				l.w.mu.Lock()
				if l.w.buf != nil {
					t.Error("a write buffer")
				}
				l.w.mu.Unlock()
			}
		})
	}
}

// TestRestEnds: a connection at rest ends like any other.
func TestRestEnds(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(c *Client, s *Server)
		want string // of Serve
	}{
		"the client closes": {func(c *Client, _ *Server) { c.Close() }, ""},
		"the server closes": {func(_ *Client, s *Server) { s.Close() }, ""},
		"the server drains": {func(_ *Client, s *Server) { s.Drain(context.Background()) }, ""},
		"a rule is broken":  {func(c *Client, _ *Server) { c.nc.Write(enc(frame.Header{Type: 5})) }, "connection to 127.0.0.1"},
		"a handler exits":   {func(c *Client, _ *Server) { <-calling(context.Background(), c, inline, "exit") }, "a handler ended"},
		"half a header":     {func(c *Client, _ *Server) { c.nc.Write([]byte{8, 0, 0}); c.nc.Close() }, "unexpected EOF"},
		"a reset":           {func(c *Client, _ *Server) { c.nc.(*net.TCPConn).SetLinger(0); c.nc.Close() }, "reset"},
	} {
		t.Run(name, func(t *testing.T) {
			dialed, accepted := sockets(t)
			d := (&service{unary: func(_ context.Context, req *text) (*text, error) {
				if req.s == "exit" {
					runtime.Goexit()
				}
				return req, nil
			}}).dispatcher(dispatch.Config{})
			s := NewServer(context.Background(), accepted, config(restless), d, &call.Peer{Addr: accepted.RemoteAddr()})
			ended := make(alone, 1)
			go s.Run(time.Now(), ended)
			c := startClient(dialed, config(restless), call.Peer{Addr: dialed.RemoteAddr()})
			wantRes(t, <-calling(t.Context(), c, say, "x"), "x")
			atRest(2)
			test.end(c, s)
			err := <-ended
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("ended with %v, want %q", err, test.want)
			}
			c.Close()
			d.Wait()
		})
	}
}
