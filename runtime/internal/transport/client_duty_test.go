package transport

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// sayOf makes one call on this goroutine.
func sayOf(t *testing.T, c *Client, want string) {
	t.Helper()
	var res text
	u := &Unary{Method: say, Req: str(want), Res: &res}
	err := c.Unary(t.Context(), u)
	wantRes(t, outcome{res.s, err, u}, want)
}

// lonely makes calls until c's goroutine that reads stands by.
func lonely(t *testing.T, c *Client) {
	t.Helper()
	for c.duty.of.Load() != dutyFree {
		sayOf(t, c, "hello")
	}
}

// TestLoneCallerReads: a caller that is alone reads its answers, as long as they are
// small, and the connection is read when no calls come any more.
func TestLoneCallerReads(t *testing.T) {
	for name, make := range ends {
		t.Run(name, func(t *testing.T) {
			dialed, accepted := make(t)
			c, s := over(t, dialed, accepted, &service{})
			lonely(t, c)
			for seen := c.duty.turns.Load(); c.duty.turns.Load() < seen+3; {
				sayOf(t, c, "hello")
			}
			for size := 1; size < 1<<20; size *= 4 {
				lonely(t, c)
				sayOf(t, c, long(size))
			}
			lonely(t, c)
			for c.duty.of.Load() != dutyReader {
				runtime.Gosched()
			}
			if err := s.Ping(t.Context()); err != nil {
				t.Error(err)
			}
			lonely(t, c)
			if err := c.Ping(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestLoneCallerDetained: what happens to a connection, or to the call, is noticed
// also where it was the caller of a call that takes long who read.
func TestLoneCallerDetained(t *testing.T) {
	type detained struct {
		*testing.T
		c      *Client
		s      *Server
		cancel context.CancelFunc
		answer chan struct{}
		call   <-chan outcome
	}
	tests := map[string]func(t detained){
		"answered": func(t detained) {
			close(t.answer)
			wantRes(t.T, <-t.call, "wait")
			sayOf(t.T, t.c, "next")
		},
		"canceled": func(t detained) {
			t.cancel()
			wantErr(t.T, (<-t.call).err, status.Canceled, false, "")
			sayOf(t.T, t.c, "next")
		},
		"closed here": func(t detained) {
			t.c.Close()
			wantErr(t.T, (<-t.call).err, status.Unavailable, false, "")
		},
		"closed there": func(t detained) {
			t.s.Close()
			wantErr(t.T, (<-t.call).err, status.Unavailable, false, "")
			<-t.c.Dead()
		},
		"drained": func(t detained) {
			done := draining(t.s, time.Minute)
			for !t.c.Dismissed() {
				runtime.Gosched()
			}
			close(t.answer)
			wantRes(t.T, <-t.call, "wait")
			<-t.c.Left()
			<-done
		},
		"others": func(t detained) {
			for i := range 10 {
				sayOf(t.T, t.c, fmt.Sprint("other ", i))
				sayOf(t.T, t.c, long(50_000*i))
			}
			close(t.answer)
			wantRes(t.T, <-t.call, "wait")
		},
		"pinged": func(t detained) {
			if err := t.s.Ping(t.Context()); err != nil {
				t.Error(err)
			}
			if err := t.c.Ping(t.Context()); err != nil {
				t.Error(err)
			}
		},
		"stream": func(t detained) {
			echoed(t.T, t.c, func(i int) string { return fmt.Sprint(i) })
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			entered, answer := make(chan struct{}), make(chan struct{})
			c, s := overTCP(t, &service{stream: echoStream, unary: func(ctx context.Context, req *text) (*text, error) {
				if req.s == "wait" {
					entered <- struct{}{}
					select {
					case <-answer:
					case <-ctx.Done():
					}
				}
				return req, nil
			}})
			for {
				lonely(t, c)
				seen := c.duty.turns.Load()
				ctx, cancel := context.WithCancel(t.Context())
				d := detained{t, c, s, cancel, answer, calling(ctx, c, say, "wait")}
				<-entered
				for c.duty.of.Load() == dutyFree {
					runtime.Gosched()
				}
				taken := c.duty.turns.Load() != seen
				if taken {
					test(d)
				}
				cancel()
				if taken {
					return
				}
				<-d.call // the goroutine that reads was faster
			}
		})
	}
}

// TestLoneCallerDeadline: the deadline of a call holds whoever reads.
func TestLoneCallerDeadline(t *testing.T) {
	never := make(chan struct{})
	c, _ := overTCP(t, &service{unary: func(_ context.Context, req *text) (*text, error) {
		if req.s == "wait" {
			<-never
		}
		return req, nil
	}})
	t.Cleanup(func() { close(never) }) // before both ends are closed
	for _, left := range []time.Duration{lookIn, 3 * lookIn, 20 * lookIn} {
		for _, timed := range []bool{false, true} {
			lonely(t, c)
			ctx, cancel := context.WithCancel(t.Context())
			at := time.Now().Add(left)
			if !timed {
				ctx, cancel = context.WithDeadline(t.Context(), at)
			}
			o := <-calling(ctx, c, say, "wait", func(u *Unary) { u.Deadline, u.Timed = at, timed })
			wantErr(t, o.err, status.DeadlineExceeded, false, "")
			cancel()
		}
	}
	sayOf(t, c, "next")
}

// TestLoneCallerLost: a connection that ends while nobody reads is noticed.
func TestLoneCallerLost(t *testing.T) {
	for name, end := range map[string]func(*Client, *Server){
		"closed there": func(_ *Client, s *Server) { s.Close() },
		"closed here":  func(c *Client, _ *Server) { c.End() },
		"retired":      func(c *Client, _ *Server) { c.Retire() },
		"drained":      func(_ *Client, s *Server) { s.Drain(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			c, s := overTCP(t, &service{})
			lonely(t, c)
			end(c, s)
			<-c.Dead()
			var res text
			err := c.Unary(t.Context(), &Unary{Method: say, Req: str("late"), Res: &res})
			wantErr(t, err, status.Unavailable, true, "")
		})
	}
}

// trapped is a connection that looks like one of TLS, whose reads spring a trap.
type trapped struct {
	net.Conn
	trap func()
}

func (n *trapped) ConnectionState() tls.ConnectionState { return tls.ConnectionState{} }
func (n *trapped) NetConn() net.Conn                    { return n.Conn }

func (n *trapped) Read(b []byte) (int, error) {
	n.trap()
	return n.Conn.Read(b)
}

// TestLoneCallerTrapped: what ends the goroutine of a caller that reads ends the
// connection, and nothing waits for the caller.
func TestLoneCallerTrapped(t *testing.T) {
	for name, trap := range map[string]func(){"panic": func() { panic("trapped") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			dialed, accepted := sockets(t)
			var of atomic.Pointer[atomic.Int32]
			var sprung atomic.Bool
			c, _ := over(t, &trapped{dialed, func() {
				if of := of.Load(); of != nil && of.Load() == dutyCaller && sprung.CompareAndSwap(false, true) {
					trap()
				}
			}}, accepted, &service{})
			of.Store(&c.duty.of)
			for !sprung.Load() {
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					defer func() { recover() }()
					var res text
					c.Unary(t.Context(), &Unary{Method: say, Req: str("hello"), Res: &res})
				}()
				<-ended
			}
			<-c.Dead()
			wantErr(t, (<-calling(t.Context(), c, say, "next")).err, status.Unavailable, true, "")
		})
	}
}

// TestLent: while a caller reads, frames whose handling may wait are left to the
// goroutine that reads otherwise.
func TestLent(t *testing.T) {
	dialed, accepted := sockets(t)
	defer dialed.Close()
	defer accepted.Close()
	var d reader
	defer d.giveBack()
	d.init(dialed, rawConn(dialed), 1<<20)
	part := frame.Header{Type: frame.TypeData, Flags: frame.FlagMessage | frame.FlagMore, ID: 1}
	for _, sent := range [][]byte{frame.AppendPing(nil, 7), enc(part, long(bulkSize)), frame.AppendPing(nil, 8)} {
		if _, err := accepted.Write(sent); err != nil {
			t.Fatal(err)
		}
		var h frame.Header
		d.lent = true
		if _, err := d.next(&h); err != errRelieved {
			t.Fatalf("got %v and %v, want errRelieved", &h, err)
		}
		d.lent = false
		if _, err := d.next(&h); err != nil {
			t.Fatal(err)
		}
		if len(sent) < bulkSize && h.Type != frame.TypePing || len(sent) > bulkSize && h.Type != frame.TypeData {
			t.Errorf("got %v", &h)
		}
	}
	d.lent = true
	var h frame.Header
	if _, err := accepted.Write(answer(1, "hello")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.next(&h); err != nil || h.Type != frame.TypeClose {
		t.Errorf("got %v and %v, want CLOSE", &h, err)
	}
}

// TestLoneAndTogether: callers that come and go lose no call, and mix up none.
func TestLoneAndTogether(t *testing.T) {
	v := &service{}
	for name, make := range ends {
		for _, rests := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", rests: ", rests), func(t *testing.T) {
				dialed, accepted := make(t)
				edit := func(cfg *Config) {
					if rests {
						restless(cfg)
					}
				}
				c, _ := over(t, dialed, accepted, v, edit)
				for c.duty.turns.Load() == 0 {
					sayOf(t, c, "hello")
				}
				for round := range 10 {
					for i := range 40 {
						sayOf(t, c, fmt.Sprint(round, " alone ", i))
					}
					var all sync.WaitGroup
					for worker := range 1 + round%4 {
						all.Go(func() {
							for i := range 10 {
								want := fmt.Sprint(round, worker, i, long(i*7_000))
								ctx, cancel := context.WithCancel(t.Context())
								call := calling(ctx, c, []*call.Method{say, get, inline}[i%3], want)
								if i%4 == worker {
									cancel()
									if o := <-call; o.err == nil {
										wantRes(t, o, want)
									}
								} else {
									wantRes(t, <-call, want)
								}
								cancel()
							}
						})
					}
					all.Wait()
				}
				if n := c.InFlight(); n != 0 {
					t.Errorf("%d calls in flight", n)
				}
			})
		}
	}
}
