package transport

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// TestWindowsOfReceiversThatRunDry: windows grow where the peer uses up a stream's
// and the receiver takes everything nevertheless, within what they may grow to, and
// not while unary calls are made.
func TestWindowsOfReceiversThatRunDry(t *testing.T) {
	const stream, conn = 64 << 10, 128 << 10
	for title, c := range map[string]struct {
		burst, ready int    // how many messages of 1 KiB come at once, and how many more the receiver would take
		growth       uint32 // how far the stream's window may grow
		calls        int    // unary calls each round
		want         int64
	}{
		"keeps up":                 {48, 1, 16 << 20, 0, dryWindow},
		"beside calls":             {48, 1, 16 << 20, 2, stream},
		"up to the limit":          {48, 1, 100_000, 0, 100_000},
		"not to grow":              {48, 1, 0, 0, stream},
		"does not keep up":         {48, -1, 16 << 20, 0, stream},
		"the peer has credit left": {16, 1, 16 << 20, 0, stream},
	} {
		t.Run(title, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				may := make(chan struct{}, 1000) // one for each message that is taken
				srv, p := settledServer(t, &service{stream: func(_ context.Context, s call.ServerStream) error {
					for range may {
						if _, err := recvText(s); err != nil {
							return err
						}
					}
					return nil
				}}, windows(stream, conn), growing(c.growth, 64<<20))
				p.raw(enc(frame.Header{Type: frame.TypeOpen, Flags: frame.FlagName | kindFlags(echo), ID: 1}, name(echo)))
				defer close(may)
				next := frame.StreamID(3)
				for round := range 6 {
					for range c.burst {
						p.raw(data(1, credited, long(1000)))
					}
					synctest.Wait()
					takes := c.burst
					if round == 0 {
						takes += c.ready
					}
					for range takes {
						may <- struct{}{}
					}
					for range c.calls {
						p.raw(open(next, say, 0, "x"))
						next += 2
					}
					synctest.Wait()
					p.sync()
				}
				if got := srv.calls.get(1).stream.limit.Load(); got != c.want {
					t.Errorf("the stream's window is %d, want %d", got, c.want)
				}
				if got, want := srv.limit.Load(), conn+c.want-stream; got != want {
					t.Errorf("the connection's window is %d, want %d", got, want)
				}
			})
		})
	}
}

// TestWindowsOfStreamsAlike: behind a stream that has run dry, windows grow once a
// quarter of them has been drawn, until a stream gets along without that. Short streams
// teach nothing, and cause no credit.
func TestWindowsOfStreamsAlike(t *testing.T) {
	const stream, conn = 64 << 10, 128 << 10
	// How streams send: so many messages of 1 KiB in each of so many bursts.
	type way struct{ bursts, burst int }
	dry, calm, short := way{6, 48}, way{6, 20}, way{1, 3}
	synctest.Test(t, func(t *testing.T) {
		var may chan struct{} // one for each message that is taken
		srv, p := settledServer(t, &service{stream: func(_ context.Context, s call.ServerStream) error {
			for range may {
				if _, err := recvText(s); err != nil {
					return err
				}
			}
			return nil
		}}, windows(stream, conn), growing(16<<20, 64<<20))
		for i, step := range []struct {
			way
			first int64 // the window behind the first 20 messages
			calls int   // unary calls before it
		}{
			{calm, stream, 0},
			{dry, stream, 0},
			{dry, dryWindow, 0},
			{short, stream, 0},
			{dry, stream, 2}, // they would wait behind it
			{calm, dryWindow, 0},
			{calm, stream, 0},
			{short, stream, 0},
		} {
			id := frame.StreamID(100*i + 1)
			may = make(chan struct{}, 1000)
			may <- struct{}{} // so that the receiver waits once it has taken everything
			for n := range step.calls {
				p.raw(open(id-10+frame.StreamID(2*n), say, 0, "x"))
				p.sync()
			}
			p.raw(enc(frame.Header{Type: frame.TypeOpen, Flags: frame.FlagName | kindFlags(echo), ID: id}, name(echo)))
			for n := range step.bursts * step.burst {
				p.raw(data(id, credited, long(1000)))
				if n == min(step.burst, calm.burst)-1 {
					synctest.Wait()
					credits := 0
					for _, g := range p.sync() {
						if isCredit(g) {
							credits++
						}
					}
					if step.way == short && credits > 0 {
						t.Errorf("stream %d causes %d CREDITs", i, credits)
					}
					if got := srv.calls.get(id).stream.limit.Load(); got != step.first {
						t.Errorf("stream %d: the window is %d, want %d", i, got, step.first)
					}
				}
				if (n+1)%step.burst == 0 {
					synctest.Wait()
					for range step.burst {
						may <- struct{}{}
					}
					synctest.Wait()
					p.sync()
				}
			}
			p.raw(frame.AppendCancel(nil, id, status.Canceled))
			p.sync()
			close(may)
			synctest.Wait()
		}
	})
}
