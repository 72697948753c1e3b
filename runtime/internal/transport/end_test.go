package transport

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/dispatch"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/status"
)

func goAway(last frame.StreamID) []byte { return frame.AppendGoAway(nil, last, frame.NoError, "bye") }

// TestClientGoAway: after a GOAWAY no call starts here, those that were
// accepted go on, and those that were not are told that they never ran.
func TestClientGoAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := settledClient(t)
		var calls []<-chan outcome
		for range 3 {
			calls = append(calls, calling(t.Context(), c, say, "x"))
			p.expect(frame.TypeOpen)
		}
		s, id := streaming(t.Context(), t, c, p, echo, "")
		p.raw(goAway(frame.Undecided))
		p.sync()
		if c.Usable() {
			t.Error("usable after a GOAWAY")
		}
		wantErr(t, (<-calling(t.Context(), c, say, "x")).err, status.Unavailable, true, "")
		if _, err := c.Stream(t.Context(), &StreamCall{Method: echo}); err == nil {
			t.Error("a stream was opened")
		} else {
			wantErr(t, err, status.Unavailable, true, "")
		}
		// Ids 5 and 7 were not accepted.
		p.raw(goAway(3))
		wantErr(t, (<-calls[2]).err, status.Unavailable, true, "")
		_, err := recvText(s)
		wantErr(t, err, status.Unavailable, true, "")
		p.raw(answer(1, "a"), data(id, credited, "late"), answer(3, "b"))
		wantRes(t, <-calls[0], "a")
		wantRes(t, <-calls[1], "b")
		p.expectEOF() // nothing is left to wait for
	})
}

// TestClientGoAwayWaiting: calls that wait for a slot do not wait on a
// connection that takes no more.
func TestClientGoAwayWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := dialing(t)
		p.welcome()
		p.hello(func(s *frame.Settings) { s.MaxStreams = 16 })
		<-c.Settled()
		for range 16 {
			calling(t.Context(), c, say, "x")
			p.expect(frame.TypeOpen)
		}
		o := calling(t.Context(), c, say, "x")
		synctest.Wait()
		p.raw(goAway(frame.Undecided))
		wantErr(t, (<-o).err, status.Unavailable, true, "")
	})
}

// TestClientGoAwayError: the text reaches the callers; calls above the id never ran.
func TestClientGoAwayError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := settledClient(t)
		first := calling(t.Context(), c, say, "x")
		p.expect(frame.TypeOpen)
		second := calling(t.Context(), c, say, "x")
		p.expect(frame.TypeOpen)
		p.raw(frame.AppendGoAway(nil, 1, frame.InternalError, "out of memory"))
		wantErr(t, (<-first).err, status.Unavailable, false, "out of memory")
		wantErr(t, (<-second).err, status.Unavailable, true, "")
		deadErr(t, c)
	})
}

// TestDeath: when a connection ends, calls of which something was written may
// have run, others have not.
func TestDeath(t *testing.T) {
	for name, kill := range map[string]func(c *Client, p *peer){
		"end":   func(_ *Client, p *peer) { p.nc.(interface{ CloseWrite() error }).CloseWrite() },
		"reset": func(_ *Client, p *peer) { p.nc.(interface{ Reset() error }).Reset() },
		"Close": func(c *Client, _ *peer) { c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, p := dialingWith(t, 1000)
				p.welcome()
				p.hello()
				<-c.Settled()
				written := calling(t.Context(), c, say, "x")
				p.expect(frame.TypeOpen)
				s, _ := streaming(t.Context(), t, c, p, echo, "")
				partly := calling(t.Context(), c, say, long(10_000))
				synctest.Wait() // the writer is stuck in it
				not := calling(t.Context(), c, say, "never seen")
				synctest.Wait()
				kill(c, p)
				wantErr(t, (<-written).err, status.Unavailable, false, "")
				wantErr(t, (<-partly).err, status.Unavailable, false, "")
				wantErr(t, (<-not).err, status.Unavailable, true, "")
				_, err := recvText(s)
				wantErr(t, err, status.Unavailable, false, "")
				if err := s.Send(str("x")); err != io.EOF {
					t.Errorf("Send: %v", err)
				}
				wantErr(t, (<-calling(t.Context(), c, say, "later")).err, status.Unavailable, true, "")
				<-c.Dead()
				var ce *ConnError
				if err := c.Err(); !errors.As(err, &ce) || ce.Addr.String() != "server" {
					t.Errorf("Err: %v", err)
				}
				if name == "Close" && !errors.Is(c.Err(), ErrClosed) {
					t.Errorf("Err: %v", c.Err())
				}
				if n := c.InFlight(); n != 0 {
					t.Errorf("%d calls in flight", n)
				}
			})
		})
	}
}

// TestDeathKeepsWhatArrived: messages that arrived before the connection ended
// can be received.
func TestDeathKeepsWhatArrived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := settledClient(t)
		s, id := streaming(t.Context(), t, c, p, up, "x")
		p.raw(data(id, credited, "a"), data(id, credited, "b"))
		p.nc.(interface{ CloseWrite() error }).CloseWrite()
		<-c.Dead()
		for _, want := range []string{"a", "b"} {
			if got, err := recvText(s); got != want || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
		}
		_, err := recvText(s)
		wantErr(t, err, status.Unavailable, false, "")
	})
}

// draining runs Drain on a goroutine.
func draining(s *Server, patience time.Duration) (done chan struct{}) {
	done = make(chan struct{})
	go func() {
		defer close(done)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		s.Drain(ctx)
	}()
	return done
}

func expectGoAway(p *peer, last frame.StreamID) {
	p.t.Helper()
	g := p.expect(frame.TypeGoAway)
	if g.ID != last || g.Code != 0 {
		p.t.Fatalf("got %v, want last id %d", &g.Header, last)
	}
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s, p := settledServer(t, &service{unary: func(_ context.Context, req *text) (*text, error) {
			<-release
			return req, nil
		}})
		p.raw(open(1, say, 1, "before"))
		synctest.Wait()
		done := draining(s, time.Minute)
		expectGoAway(p, frame.Undecided)
		ping := p.expect(frame.TypePing)
		// A call that was on its way is accepted.
		p.raw(again(3, say, 1, "on its way"), frame.AppendPingAck(nil, frame.ParsePing(ping.payload)))
		expectGoAway(p, 3)
		// One above the last id is not answered; its definition counts.
		p.raw(open(5, get, 2, "late"))
		if got := p.sync(); len(got) > 0 {
			t.Errorf("got %v", headers(got))
		}
		select {
		case <-done:
			t.Error("drained with calls running")
		default:
		}
		close(release)
		for range 2 {
			if g := p.expect(frame.TypeClose); g.ID > 3 || g.Code != 0 {
				t.Errorf("got %v", &g.Header)
			}
		}
		p.expectEOF()
		<-done
	})
}

func TestDrainIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := settledServer(t, &service{})
		start := time.Now()
		done := draining(s, time.Minute)
		answerDrain(p)
		<-done
		if took := time.Since(start); took > time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// TestDrainSilentPeer: a peer that does not answer the PING is not waited for
// longer than 5 s; one that does not close, not longer than a second more.
func TestDrainSilentPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := settledServer(t, &service{})
		start := time.Now()
		done := draining(s, time.Minute)
		expectGoAway(p, frame.Undecided)
		p.expect(frame.TypePing)
		time.Sleep(4 * time.Second)
		p.raw(open(1, say, 1, "on its way"))
		p.expectClose(1, status.OK)
		expectGoAway(p, 1)
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("the second GOAWAY came after %v", took)
		}
		<-done
		if took := time.Since(start); took > 7*time.Second {
			t.Errorf("took %v", took)
		}
		p.expectEOF()
	})
}

// TestDrainImpatient: calls that still run when its context is done end with
// UNAVAILABLE, their handlers are cancelled, and the connection is closed.
func TestDrainImpatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		s, p := settledServer(t, &service{unary: func(ctx context.Context, req *text) (*text, error) {
			<-ctx.Done()
			ended <- ctx.Err()
			return req, nil
		}})
		p.raw(open(1, say, 1, "x"))
		synctest.Wait()
		start := time.Now()
		<-draining(s, 2*time.Second)
		if took := time.Since(start); took < 2*time.Second || took > 4*time.Second {
			t.Errorf("took %v", took)
		}
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the handler saw %v", err)
		}
		expectGoAway(p, frame.Undecided)
		p.expectFrame(frame.TypePing, 0)
		expectGoAway(p, 1)
		p.expectClose(1, status.Unavailable)
		p.expectEOF()
	})
}

// TestDrainBothSides: no call of a real client fails for another reason than
// that it never ran.
func TestDrainBothSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := connected(t, &service{unary: func(_ context.Context, req *text) (*text, error) {
			time.Sleep(time.Millisecond)
			return req, nil
		}})
		results := make(chan outcome, 64)
		for range 64 {
			go func() {
				for {
					o := <-calling(t.Context(), c, say, "x")
					if results <- o; o.err != nil {
						return
					}
				}
			}()
		}
		var done chan struct{}
		for n, failed := 0, 0; failed < 64; n++ {
			o := <-results
			if n == 500 {
				done = draining(s, time.Minute)
			}
			if o.err != nil {
				failed++
				wantErr(t, o.err, status.Unavailable, true, "")
			}
		}
		<-done
		<-c.Dead()
	})
}

// TestServerDeath: when a connection ends the contexts of its calls do, and
// their slots are free when the handlers have returned.
func TestServerDeath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 2)
		s, p := settledServer(t, &service{
			unary:  func(ctx context.Context, req *text) (*text, error) { <-ctx.Done(); ended <- ctx.Err(); return req, nil },
			stream: func(ctx context.Context, _ call.ServerStream) error { <-ctx.Done(); ended <- ctx.Err(); return nil },
		})
		p.raw(open(1, say, 1, "x"), open(3, echo, 2, ""))
		synctest.Wait()
		p.nc.(interface{ Reset() error }).Reset()
		for range 2 {
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("the handler saw %v", err)
			}
		}
		synctest.Wait()
		if n := s.running.Load(); n != 0 {
			t.Errorf("%d handlers run", n)
		}
	})
}

// TestServe: what Serve returns.
func TestServe(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(s *Server, p *peer)
		want string
	}{
		"the peer closes":        {func(_ *Server, p *peer) { p.nc.Close() }, ""},
		"this side closes":       {func(s *Server, _ *peer) { s.Close() }, ""},
		"drained":                {func(s *Server, p *peer) { done := draining(s, time.Minute); answerDrain(p); <-done }, ""},
		"the peer breaks a rule": {func(_ *Server, p *peer) { p.raw(enc(frame.Header{Type: 5})); p.nc.Close() }, "connection to client-1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dialed, accepted := pipe(t, 64<<10)
				s := NewServer(context.Background(), accepted, config(), (&service{}).dispatcher(dispatch.Config{}), &call.Peer{})
				served := make(chan error, 1)
				go func() { served <- s.Serve() }()
				p := newPeer(t, dialed)
				p.hello()
				p.welcome()
				test.end(s, p)
				err := <-served
				if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
					t.Errorf("Serve: %v, want %q", err, test.want)
				}
			})
		})
	}
}

// answerDrain does what a client does while the server drains.
func answerDrain(p *peer) {
	expectGoAway(p, frame.Undecided)
	p.raw(frame.AppendPingAck(nil, frame.ParsePing(p.expect(frame.TypePing).payload)))
	expectGoAway(p, 0)
	p.expectEOF()
}
