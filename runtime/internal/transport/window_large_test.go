package transport

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// TestWindowsForLargeMessages: the windows grow so that large messages fit the
// stream's and others keep their share of the connection's, once; of what
// fragments drew less than a quarter of the window is owed. They stay as they are
// where they may not grow, and while small calls are answered.
func TestWindowsForLargeMessages(t *testing.T) {
	const stream, conn = 256 << 10, 1 << 20
	for name, c := range map[string]struct {
		stream, conn uint32 // how far windows may grow
		small        bool   // calls go beside
		grows        int
	}{
		"alone":                  {16 << 20, 64 << 20, false, largeWindow - stream},
		"up to the limit":        {600_000, 64 << 20, false, 600_000 - stream},
		"not to grow":            {0, 0, false, 0},
		"the connection may not": {16 << 20, conn + 1000, false, 0},
		"beside small calls":     {16 << 20, 64 << 20, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, taken := taker(t, windows(stream, conn), growing(c.stream, c.conn))
				credits := [2]struct{ window, drawn, granted int }{{window: conn}, {window: stream}}
				next := frame.StreamID(3)
				sent := sendLarge(p, 3, func() {
					if c.small {
						p.raw(open(next, say, 0, "x"), open(next+2, say, 0, "x"))
						next += 4
						synctest.Wait() // for the answers, which make the difference
						p.sync()
					}
				}, func(cost int) {
					synctest.Wait()
					for _, g := range p.sync() {
						if g.Type == frame.TypeCredit {
							credits[g.ID].granted += int(g.Arg)
						}
					}
					for i := range credits {
						b := &credits[i]
						b.drawn += cost
						owed, window := b.drawn-(b.granted-c.grows), b.window+c.grows
						if owed < 0 || owed > 0 && owed >= window/4 {
							t.Fatalf("credit %d: %d are owed, the window is %d", i, owed, window)
						}
					}
				})
				if *taken != sent {
					t.Errorf("%d bytes were taken of %d", *taken, sent)
				}
			})
		})
	}
}

// TestConnectionWindowForLargeMessages: so many streams of large messages at a time
// have grown, and the connection's window by as much. Those that follow streams
// that have ended grow, and it does not, any more.
func TestConnectionWindowForLargeMessages(t *testing.T) {
	const stream, conn = 256 << 10, 1 << 20
	const most = largeStreams * largeWindow / (largeWindow - stream)
	for title, c := range map[string]struct {
		ends              bool // each before the next begins
		streams, connects int  // how many have grown, and for how many the connection's has
	}{
		"one after the other": {true, 2 * most, 1},
		"at a time":           {false, most, most},
	} {
		t.Run(title, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, p := settledServer(t, &service{stream: func(ctx context.Context, _ call.ServerStream) error {
					<-ctx.Done()
					return ctx.Err()
				}}, windows(stream, conn), growing(16<<20, 64<<20))
				grown := 0
				for i := range 2 * most {
					id := frame.StreamID(2*i + 1)
					p.raw(enc(frame.Header{Type: frame.TypeOpen, Flags: frame.FlagName | kindFlags(echo), ID: id}, name(echo)))
					p.raw(data(id, credited|frame.FlagMore|frame.FlagTotal, total(1_500_000), long(60_000)))
					synctest.Wait()
					for _, g := range p.sync() {
						if g.Type == frame.TypeCredit && g.ID == id && int(g.Arg) == largeWindow-stream {
							grown++
						}
					}
					if c.ends {
						p.raw(frame.AppendCancel(nil, id, status.Canceled))
						p.sync()
					}
				}
				if grown != c.streams {
					t.Errorf("%d streams have grown, want %d", grown, c.streams)
				}
				if got, want := int(s.limit.Load()), conn+c.connects*(largeWindow-stream); got != want {
					t.Errorf("the connection's window is %d, want %d", got, want)
				}
			})
		})
	}
}

// taker returns the peer of a server that takes all messages of stream 1, and how
// many bytes it has taken.
func taker(t *testing.T, edit ...func(*Config)) (*peer, *int) {
	taken := new(int)
	_, p := settledServer(t, &service{stream: func(_ context.Context, s call.ServerStream) error {
		var m text
		for s.Recv(&m) == nil {
			*taken += len(m.s)
		}
		return nil
	}}, edit...)
	p.raw(enc(frame.Header{Type: frame.TypeOpen, Flags: frame.FlagName | kindFlags(echo), ID: 1}, name(echo)))
	return p, taken
}

// sendLarge sends n large messages in fragments and returns how many bytes these
// are. It calls before each fragment, and after it with what that drew.
func sendLarge(p *peer, n int, before func(), after func(cost int)) (sent int) {
	const size, part = 1_500_000, 60_000
	msg := long(size)
	for range n {
		for at := 0; at < size; at += part {
			flags, head := credited|frame.FlagMore, ""
			if at == 0 {
				flags, head = flags|frame.FlagTotal, total(size)
			}
			if at+part >= size {
				flags &^= frame.FlagMore
			}
			before()
			p.raw(data(1, flags, head, msg[at:min(at+part, size)]))
			after(frame.HeaderSize + len(head) + min(part, size-at))
		}
		sent += size
	}
	return sent
}
