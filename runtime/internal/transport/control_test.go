package transport

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// bothRoles runs f with the peer of a settled client and of a settled server,
// and with what both have in common.
func bothRoles(t *testing.T, f func(t *testing.T, l *link, p *peer)) {
	t.Run("client", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := settledClient(t)
			f(t, &c.link, p)
		})
	})
	t.Run("server", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, p := settledServer(t, &service{})
			f(t, &s.link, p)
		})
	})
}

func TestPing(t *testing.T) {
	bothRoles(t, func(t *testing.T, l *link, p *peer) {
		p.raw(frame.AppendPing(nil, 1<<63+5))
		if g := p.expect(frame.TypePing); g.Flags != frame.FlagAck || frame.ParsePing(g.payload) != 1<<63+5 {
			t.Errorf("got %v % x", &g.Header, g.payload)
		}
		// And the other way: answers are told apart, strange ones ignored.
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { first <- l.Ping(t.Context()) }()
		a := frame.ParsePing(p.expect(frame.TypePing).payload)
		go func() { second <- l.Ping(t.Context()) }()
		b := frame.ParsePing(p.expect(frame.TypePing).payload)
		p.raw(frame.AppendPingAck(nil, 99999), frame.AppendPingAck(nil, b))
		if err := <-second; err != nil {
			t.Error(err)
		}
		select {
		case <-first:
			t.Error("answered by another's answer")
		default:
		}
		p.raw(frame.AppendPingAck(nil, a))
		if err := <-first; err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("unanswered: %v", err)
		}
		p.nc.Close()
		<-l.dead.done()
		if err := l.Ping(t.Context()); err == nil {
			t.Error("a dead connection answers")
		}
	})
}

// TestUnknownFrames: those marked ignorable are skipped, others end the connection.
func TestUnknownFrames(t *testing.T) {
	bothRoles(t, func(t *testing.T, _ *link, p *peer) {
		p.raw(enc(frame.Header{Type: 0x90, Flags: 0x1234, ID: 77, Arg: 5, Code: 6, Class: 7}, long(60_000)))
		if got := p.sync(); len(got) > 0 {
			t.Errorf("got %v", headers(got))
		}
		p.raw(enc(frame.Header{Type: 0x05}))
		p.expectEnd(frame.ProtocolError)
	})
}

// TestFlood: frames that bring nothing end the connection when they are many.
func TestFlood(t *testing.T) {
	for name, junk := range map[string][]byte{
		"ping":    frame.AppendPing(nil, 1),
		"ack":     frame.AppendPingAck(nil, 1),
		"unknown": enc(frame.Header{Type: 0x90}),
		"credit":  frame.AppendCredit(nil, 0, 1),
	} {
		t.Run(name, func(t *testing.T) {
			bothRoles(t, func(t *testing.T, _ *link, p *peer) {
				send := func(n int) {
					for range n {
						p.raw(junk)
						if name == "ping" {
							p.expect(frame.TypePing)
						}
					}
				}
				// Not too many in any 10 seconds.
				for range 3 {
					send(900)
					time.Sleep(10*time.Second + 1)
				}
				send(998)
				p.lastStraw(junk)
			})
		})
	}
	t.Run("progress", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, p := settledServer(t, &service{})
			for i := range 20 {
				for range 400 {
					p.raw(frame.AppendPing(nil, 1))
					p.expect(frame.TypePing)
				}
				p.raw(open(frame.StreamID(2*i+1), say, 0, "x"))
				p.expectClose(frame.StreamID(2*i+1), status.OK)
			}
		})
	})
}

// lastStraw expects that 998 frames without progress and a PING behind them are
// no flood yet, and that junk makes it one.
func (p *peer) lastStraw(junk []byte) {
	p.t.Helper()
	p.sync()
	p.raw(junk)
	p.expectEnd(frame.FloodError)
}

// TestLateFlood: each late frame counts as one, whatever it is.
func TestLateFlood(t *testing.T) {
	late := func(p *peer, junk []byte) {
		for range 998 {
			p.raw(junk)
		}
		p.lastStraw(junk)
	}
	for name, junk := range map[string][]byte{
		"data":   data(1, 0, "x"),
		"credit": frame.AppendCredit(nil, 1, 1),
		"cancel": frame.AppendCancel(nil, 1, status.Canceled),
	} {
		t.Run("server/"+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, p := settledServer(t, &service{})
				p.raw(open(1, up, 1, "a"))
				p.expect(frame.TypeData)
				p.expectClose(1, status.OK)
				late(p, junk)
			})
		})
	}
	for name, junk := range map[string][]byte{
		"data":   data(1, 0, "x"),
		"credit": frame.AppendCredit(nil, 1, 1),
		"close":  answer(1, "x"),
	} {
		t.Run("client/"+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, p := settledClient(t)
				o := calling(t.Context(), c, say, "x")
				p.expectFrame(frame.TypeOpen, 1)
				p.raw(answer(1, "y"))
				wantRes(t, <-o, "y")
				late(p, junk)
			})
		})
	}
}

// TestControlReplies: a peer that provokes replies and does not read them
// stops being read, and nothing is lost when it reads again.
func TestControlReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := serving(t, &service{})
		p.hello()
		p.welcome()
		written := make(chan struct{})
		const n = 5000
		go func() {
			defer close(written)
			for i := range n {
				if _, err := p.nc.Write(open(frame.StreamID(2*i+1), absent, 0, long(100))); err != nil {
					return
				}
			}
		}()
		synctest.Wait()
		s.w.mu.Lock()
		if waiting := len(s.w.buf); waiting > 2*maxControl*300 {
			t.Errorf("%d bytes of replies wait", waiting)
		}
		s.w.mu.Unlock()
		select {
		case <-written:
			t.Error("everything was read although nobody takes the replies")
		default:
		}
		for i := range n {
			p.expectClose(frame.StreamID(2*i+1), status.Unimplemented)
		}
		<-written
	})
}

// TestBadFrames: what cannot be a frame ends the connection, and calls in
// flight learn why.
func TestBadFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := settledClient(t)
		o := calling(t.Context(), c, say, "x")
		p.expect(frame.TypeOpen)
		bad := answer(1, "y")
		bad[3] ^= 0x40
		p.raw(bad)
		p.expectEnd(frame.ProtocolError)
		wantErr(t, (<-o).err, status.Unavailable, false, "XOR")
	})
	synctest.Test(t, func(t *testing.T) {
		_, p := settledServer(t, &service{})
		h := frame.Header{Type: frame.TypeOpen, Flags: frame.FlagName | kindFlags(say), ID: 1, Length: 64<<10 + 1}
		p.raw(h.Append(nil))
		p.expectEnd(frame.FrameSizeError)
	})
	synctest.Test(t, func(t *testing.T) {
		_, p := settledServer(t, &service{}, func(cfg *Config) { cfg.Settings.MaxFrame = 128 << 10 })
		p.raw(open(1, say, 1, long(128<<10-30)))
		if res, _ := assemble(p, 1); res != long(128<<10-30) {
			t.Errorf("got %d bytes", len(res))
		}
	})
}
