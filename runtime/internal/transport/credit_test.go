package transport

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/dispatch"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest/memnet"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// connected returns a client and a server under test that talk to each other.
func connected(t *testing.T, v *service, edit ...func(*Config)) (*Client, *Server) {
	t.Helper()
	return connectedWith(t, v.dispatcher(dispatch.Config{}), edit...)
}

func connectedWith(t *testing.T, d *dispatch.Dispatcher, edit ...func(*Config)) (*Client, *Server) {
	t.Helper()
	dialed, accepted := pipe(t, memnet.DefaultBuffer)
	s := NewServer(context.Background(), accepted, config(edit...), d, &call.Peer{Addr: accepted.RemoteAddr()})
	var served sync.WaitGroup
	served.Go(func() { s.Serve() })
	c := startClient(dialed, config(edit...), call.Peer{Addr: dialed.RemoteAddr()})
	t.Cleanup(func() {
		c.Close()
		s.Close()
		served.Wait()
		d.Wait()
	})
	return c, s
}

// windows sets the credits that a side grants.
func windows(stream, conn uint32) func(*Config) {
	return func(cfg *Config) { cfg.Settings.StreamCredit, cfg.Settings.ConnCredit = stream, conn }
}

// TestSenderKeepsToCredit: a sender stops where the credit ends and goes on
// when there is more, on the stream and on the connection, in both roles.
func TestSenderKeepsToCredit(t *testing.T) {
	const size = 1000
	for _, limit := range []string{"stream", "connection"} {
		for _, role := range []string{"client", "server"} {
			t.Run(role+" "+limit, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					accepts := func(s *frame.Settings) {
						s.StreamCredit, s.ConnCredit = 64<<10, 64<<10
						if limit == "stream" {
							s.ConnCredit = 1 << 20
						} else {
							s.StreamCredit = 1 << 20
						}
					}
					p := endlessSender(t, role, size, accepts)
					cost, credit := 0, 64<<10
					for _, more := range []uint32{0, 1, frame.HeaderSize + size, 10_000, 1} {
						if more > 0 {
							id := frame.StreamID(0)
							if limit == "stream" {
								id = 1
							}
							p.raw(frame.AppendCredit(nil, id, more))
							credit += int(more)
						}
						for _, g := range p.sync() {
							if g.Type != frame.TypeData || !g.Flags.Has(credited) {
								t.Fatalf("got %v", &g.Header)
							}
							cost += int(g.Cost())
						}
						synctest.Wait()
						for _, g := range p.sync() {
							cost += int(g.Cost())
						}
						if cost > credit || cost+frame.HeaderSize+size <= credit {
							t.Fatalf("%d bytes sent on a credit of %d", cost, credit)
						}
					}
				})
			})
		}
	}
}

// endlessSender returns the peer of a side that sends messages of size bytes
// on stream 1 for as long as it may.
func endlessSender(t *testing.T, role string, size int, accepts func(*frame.Settings)) *peer {
	if role == "server" {
		_, p := serving(t, &service{stream: func(_ context.Context, s call.ServerStream) error {
			for s.Send(str(long(size))) == nil {
			}
			return nil
		}})
		p.hello(accepts)
		p.welcome()
		p.raw(open(1, up, 1, "x"))
		return p
	}
	c, p := dialing(t)
	p.welcome()
	p.hello(accepts)
	<-c.Settled()
	s, _ := streaming(t.Context(), t, c, p, sum, "")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s.Send(str(long(size))) == nil {
		}
	}()
	t.Cleanup(func() {
		s.Close()
		<-done
	})
	return p
}

// TestReceiverGrants: credit comes back as messages are taken, a quarter of
// the window at the latest, and not before.
func TestReceiverGrants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := settledClient(t, windows(64<<10, 128<<10))
		s, id := streaming(t.Context(), t, c, p, up, "x")
		const size, n = 1000, 64
		for range n {
			p.raw(data(id, credited, long(size)))
		}
		if got := p.sync(); len(got) > 0 {
			t.Errorf("granted before anything was taken: %v", headers(got))
		}
		taken, granted := 0, map[frame.StreamID]int{}
		for range n {
			if _, err := recvText(s); err != nil {
				t.Fatal(err)
			}
			taken += size + frame.HeaderSize
			synctest.Wait()
			for _, g := range p.sync() {
				if g.Type != frame.TypeCredit {
					t.Fatalf("got %v", &g.Header)
				}
				granted[g.ID] += int(g.Arg)
			}
			if owed := taken - granted[id]; owed < 0 || owed >= 16<<10 {
				t.Fatalf("%d bytes taken, %d granted on the stream", taken, granted[id])
			}
			// What the stream owes it owes the connection, which may hold back a quarter of its own.
			if owed := taken - granted[0]; owed < 0 || owed >= 16<<10+32<<10 {
				t.Fatalf("%d bytes taken, %d granted on the connection", taken, granted[0])
			}
		}
	})
}

// TestOverdrawnConnection: credit of the connection binds even if each stream
// keeps to its own.
func TestOverdrawnConnection(t *testing.T) {
	for _, role := range []string{"client", "server"} {
		synctest.Test(t, func(t *testing.T) {
			var p *peer
			if role == "client" {
				var c *Client
				c, p = settledClient(t, windows(64<<10, 64<<10))
				for range 2 {
					s, _ := streaming(t.Context(), t, c, p, up, "x")
					defer s.Close()
				}
			} else {
				_, p = settledServer(t, &service{stream: func(ctx context.Context, _ call.ServerStream) error {
					<-ctx.Done()
					return nil
				}}, windows(64<<10, 64<<10))
				p.raw(open(1, sum, 1, ""), again(3, sum, 1, ""))
			}
			p.raw(data(1, credited, long(40_000)), data(3, credited, long(40_000)))
			p.expectEnd(frame.FlowControlError)
		})
	}
}

// conservation checks that the connection's credit of a side under test comes
// back whole: draw sends credited frames and returns what they cost.
func conservation(t *testing.T, p *peer, window int, draw func(round int) int) {
	t.Helper()
	drawn, granted := 0, 0
	for round := range 40 {
		drawn += draw(round)
		synctest.Wait()
		for _, g := range p.sync() {
			if g.Type == frame.TypeCredit && g.ID == 0 {
				granted += int(g.Arg)
			}
		}
		if held := drawn - granted; held < 0 || held >= window/4 {
			t.Fatalf("round %d: %d bytes drawn, %d granted", round, drawn, granted)
		}
	}
	if granted == 0 {
		t.Error("nothing was granted")
	}
}

// TestConnectionCreditComesBack: whatever becomes of a stream, the connection
// gets back the credit that it drew.
func TestConnectionCreditComesBack(t *testing.T) {
	const window = 64 << 10
	const size = 5000
	cost := size + frame.HeaderSize
	for name, ends := range map[string]func(p *peer, s *ClientStream, id frame.StreamID) int{
		"closed by the caller, unread": func(p *peer, s *ClientStream, id frame.StreamID) int {
			p.raw(data(id, credited, long(size)))
			synctest.Wait()
			s.Close()
			return cost
		},
		"late frames": func(p *peer, s *ClientStream, id frame.StreamID) int {
			s.Close()
			p.raw(data(id, credited, long(size)), data(id, credited|frame.FlagMore|frame.FlagTotal, total(size+1), long(size)))
			return 2*cost + 4
		},
		"within a message": func(p *peer, s *ClientStream, id frame.StreamID) int {
			p.raw(data(id, credited|frame.FlagMore|frame.FlagTotal, total(9999), long(size)))
			synctest.Wait()
			s.Close()
			return cost + 4
		},
		"closed by the callee, unread": func(p *peer, s *ClientStream, id frame.StreamID) int {
			p.raw(data(id, credited, long(size)), closing(id, status.Aborted, 0))
			synctest.Wait()
			s.Close()
			return cost
		},
		"closed by the callee within a message": func(p *peer, s *ClientStream, id frame.StreamID) int {
			p.raw(data(id, credited|frame.FlagMore|frame.FlagTotal, total(9999), long(size)), closing(id, status.Aborted, 0))
			recvText(s)
			return cost + 4
		},
		"read to the end": func(p *peer, s *ClientStream, id frame.StreamID) int {
			p.raw(data(id, credited, long(size)), closing(id, status.OK, 0))
			for range 2 {
				recvText(s)
			}
			return cost
		},
		"half read": func(p *peer, s *ClientStream, id frame.StreamID) int {
			p.raw(data(id, credited, long(size)), data(id, credited, long(size)))
			recvText(s)
			s.Close()
			return 2 * cost
		},
	} {
		t.Run("client, "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, p := settledClient(t, windows(window, window))
				conservation(t, p, window, func(int) int {
					s, id := streaming(t.Context(), t, c, p, up, "x")
					defer s.Close()
					return ends(p, s, id)
				})
			})
		})
	}
	for name, handler := range map[string]func(s call.ServerStream) error{
		"unread": func(call.ServerStream) error { return nil },
		"one read": func(s call.ServerStream) error {
			recvText(s)
			return nil
		},
		"all read": join,
	} {
		t.Run("server, "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, p := settledServer(t, &service{stream: func(_ context.Context, s call.ServerStream) error { return handler(s) }}, windows(window, window))
				conservation(t, p, window, func(round int) int {
					id := frame.StreamID(2*round + 1)
					p.raw(open(id, sum, 0, ""), data(id, credited, long(size)), data(id, credited, long(size)),
						data(id, credited|frame.FlagHalfClose, long(size)))
					return 3 * cost
				})
			})
		})
	}
	t.Run("server, cancelled", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, p := settledServer(t, &service{stream: func(ctx context.Context, s call.ServerStream) error {
				<-ctx.Done()
				return nil
			}}, windows(window, window))
			conservation(t, p, window, func(round int) int {
				id := frame.StreamID(2*round + 1)
				p.raw(open(id, sum, 0, ""), data(id, credited, long(size)), data(id, credited|frame.FlagMore|frame.FlagTotal, total(9999), long(size)))
				p.raw(frame.AppendCancel(nil, id, status.Canceled), data(id, credited|frame.FlagMore, long(size)))
				return 3*cost + 4
			})
		})
	})
	t.Run("server, too large", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, p := settledServer(t, &service{}, windows(window, window), func(cfg *Config) { cfg.Settings.MaxMessage = 64 << 10 })
			conservation(t, p, window, func(round int) int {
				id := frame.StreamID(2*round + 1)
				p.raw(open(id, sum, 0, ""), data(id, credited|frame.FlagMore|frame.FlagTotal, total(64<<10+1), long(size)),
					data(id, credited|frame.FlagMore, long(size)))
				return 2*cost + 4
			})
		})
	})
}

// TestLargerThanWindow: messages that are larger than the window travel both
// ways at once, and nobody waits for the other to receive.
func TestLargerThanWindow(t *testing.T) {
	for _, size := range []int{64<<10 - 30, 64 << 10, 300_000, 4<<20 - 1} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := connected(t, &service{stream: func(_ context.Context, s call.ServerStream) error {
					for {
						if err := s.Send(str(long(size))); err != nil {
							return err
						}
						if got, err := recvText(s); err == io.EOF {
							return nil
						} else if err != nil || got != long(size) {
							return status.Errorf(status.Internal, "got %d bytes, %w", len(got), err)
						}
					}
				}}, windows(64<<10, 64<<10))
				s, err := c.Stream(t.Context(), &StreamCall{Method: echo})
				if err != nil {
					t.Fatal(err)
				}
				for range 3 {
					if err := s.Send(str(long(size))); err != nil {
						t.Fatal(err)
					}
					if got, err := recvText(s); err != nil || got != long(size) {
						t.Fatalf("got %d bytes, %v", len(got), err)
					}
				}
				s.CloseSend()
				if _, err := recvText(s); err != nil {
					t.Fatal(err)
				}
				if _, err := recvText(s); err != io.EOF {
					t.Error(err)
				}
			})
		})
	}
}

// TestUnreadStreamsStallNobody: streams that nobody reads take all the credit
// there is, and unary calls of any size go on.
func TestUnreadStreamsStallNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := connected(t, &service{stream: func(ctx context.Context, s call.ServerStream) error {
			for s.Send(str(long(1000))) == nil {
			}
			return ctx.Err()
		}}, windows(64<<10, 128<<10))
		var unread []*ClientStream
		for range 5 {
			s, err := c.Stream(t.Context(), &StreamCall{Method: echo})
			if err != nil {
				t.Fatal(err)
			}
			unread = append(unread, s)
			go func() {
				for s.Send(str(long(1000))) == nil {
				}
			}()
		}
		synctest.Wait()
		for _, size := range []int{1, 1000, 100_000, 4 << 20} {
			wantRes(t, <-calling(t.Context(), c, say, long(size)), long(size))
		}
		for _, s := range unread {
			s.Close()
		}
		synctest.Wait()
		// What they held is there again.
		s, err := c.Stream(t.Context(), &StreamCall{Method: up, Req: str("x")})
		if err != nil {
			t.Fatal(err)
		}
		for range 500 {
			if _, err := recvText(s); err != nil {
				t.Fatal(err)
			}
		}
		s.Close()
	})
}

// TestManyStreamsShareTheConnection: streams that wait for the connection's
// credit all get some of it.
func TestManyStreamsShareTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := connected(t, &service{}, windows(256<<10, 64<<10))
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				s, err := c.Stream(t.Context(), &StreamCall{Method: echo})
				if err != nil {
					t.Error(err)
					return
				}
				size := 1 + i*3000
				go func() {
					for range 30 {
						s.Send(str(long(size)))
					}
					s.CloseSend()
				}()
				n := 0
				for ; ; n++ {
					got, err := recvText(s)
					if err == io.EOF {
						break
					}
					if err != nil || len(got) != size {
						t.Errorf("message %d: %d bytes, %v", n, len(got), err)
						return
					}
				}
				if n != 30 {
					t.Errorf("%d messages came back", n)
				}
			})
		}
		all.Wait()
	})
}
