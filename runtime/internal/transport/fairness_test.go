package transport

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/dispatch"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
)

// largeBefore reads frames until one with the message, and returns how many
// bulk frames came before it.
func largeBefore(p *peer, msg string) int {
	p.t.Helper()
	for n := 0; ; {
		g := p.next()
		if string(g.Message) == msg {
			return n
		}
		if g.Length > bulkSize {
			n++
		}
	}
}

// TestSmallPassesLarge: while large messages are being sent, a small frame has
// at most two large ones before it: the one that is being written and one that
// waits. The connection itself holds next to nothing here.
func TestSmallPassesLarge(t *testing.T) {
	const buffer = 4000
	t.Run("client", func(t *testing.T) {
		for _, senders := range []int{1, 5} {
			synctest.Test(t, func(t *testing.T) {
				c, p := dialingWith(t, buffer)
				p.welcome()
				p.hello()
				<-c.Settled()
				ctx, cancel := context.WithCancel(t.Context())
				for range senders {
					calling(ctx, c, say, long(4<<20-100))
				}
				s, err := c.Stream(ctx, &StreamCall{Method: sum})
				if err != nil {
					t.Fatal(err)
				}
				go s.Send(str(long(1 << 20)))
				for range 20 {
					synctest.Wait()
					calling(ctx, c, get, "small")
					synctest.Wait()
					if n := largeBefore(p, "small"); n > 2 {
						t.Errorf("%d large frames before a small one", n)
					}
				}
				cancel()
				p.nc.Close()
			})
		}
	})
	t.Run("server", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			v := &service{unary: func(_ context.Context, req *text) (*text, error) {
				if req.s == "large" {
					return str(long(4<<20 - 100)), nil
				}
				return req, nil
			}}
			_, p := servingWith(t, v.dispatcher(dispatch.Config{}), buffer)
			p.hello()
			p.welcome()
			id := frame.StreamID(1)
			for range 5 {
				p.raw(open(id, say, 0, "large"))
				id += 2
			}
			for i := range 20 {
				synctest.Wait()
				m := []*call.Method{say, inline}[i%2]
				p.raw(open(id, m, 0, "small"))
				synctest.Wait()
				if n := largeBefore(p, "small"); n > 2 {
					t.Errorf("%d large frames before the answer of %v", n, m)
				}
				id += 2
			}
			p.nc.Close()
		})
	})
	t.Run("large ones take turns", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := dialingWith(t, buffer)
			p.welcome()
			p.hello()
			<-c.Settled()
			for range 4 {
				calling(t.Context(), c, say, long(1<<20))
				synctest.Wait()
			}
			seen := map[frame.StreamID]int{}
			for range 40 {
				synctest.Wait() // a sender that is not back in time for its turn loses it
				seen[p.next().ID]++
			}
			for _, id := range []frame.StreamID{1, 3, 5, 7} {
				if n := seen[id]; n < 8 {
					t.Errorf("stream %d had %d of 40 turns", id, n)
				}
			}
			p.nc.Close()
		})
	})
}

// TestPingPassesLarge: control frames go ahead of messages that wait.
func TestPingPassesLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := dialingWith(t, 4000)
		p.welcome()
		p.hello()
		<-c.Settled()
		for range 5 {
			calling(t.Context(), c, say, long(4<<20-100))
		}
		synctest.Wait()
		p.raw(frame.AppendPing(nil, 7))
		synctest.Wait()
		n := 0
		for g := p.next(); g.Type != frame.TypePing; g = p.next() {
			n++
		}
		if n > 2 {
			t.Errorf("%d frames before the answer to a PING", n)
		}
		p.nc.Close()
	})
}

// TestWriteStall: a peer that takes nothing ends the connection, one that is
// merely slow does not.
func TestWriteStall(t *testing.T) {
	t.Run("stalled", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := settledClient(t)
			o := calling(t.Context(), c, say, long(1<<20))
			start := time.Now()
			e := (<-o).err
			if took := time.Since(start); took < 10*time.Second || took > 20*time.Second {
				t.Errorf("gave up after %v", took)
			}
			wantErr(t, e, 14, false, "timeout")
			p.nc.Close()
		})
	})
	t.Run("slow", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := settledClient(t)
			o := calling(t.Context(), c, say, long(300_000))
			for {
				time.Sleep(9 * time.Second)
				if g := p.next(); g.Flags.Has(frame.FlagHalfClose) {
					break
				}
			}
			p.raw(answer(1, "y"))
			wantRes(t, <-o, "y")
		})
	})
}

// TestTurnPassesOn: a bulk sender that appends nothing in its turn, because its
// call has ended, gives the turn to the next.
func TestTurnPassesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := pipe(t, 1<<20)
		var tasks sync.WaitGroup
		var w writer
		w.init(nc, nil, 0, &tasks, func(err error) { t.Error(err) })
		if err := w.lockFor(2*bulkSize, nil, nil); err != nil {
			t.Fatal(err)
		}
		next := make(chan error)
		go func() { next <- w.lockFor(2*bulkSize, nil, nil) }()
		w.unlockAsync() // before or after the other one waits
		if err := <-next; err != nil {
			t.Fatal(err)
		}
		go func() { next <- w.lockFor(2*bulkSize, nil, nil) }()
		w.mu.Unlock()
		synctest.Wait() // the other one waits
		w.mu.Lock()
		w.unlockAsync()
		if err := <-next; err != nil {
			t.Fatal(err)
		}
		w.unlockLead(false)
		w.close(net.ErrClosed)
		tasks.Wait()
		nc.Close()
		peer.Close()
	})
}

// TestSharedBatches: large frames share a batch while the connection takes batches
// at once, but not when a small frame has come lately or it did not take the last.
func TestSharedBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const large = 2 * bulkSize
		var tasks sync.WaitGroup
		var w writer
		w.init(nil, nil, 0, &tasks, func(err error) { t.Error(err) })
		w.flushing = true // the test takes the batches
		send := func(size int) {
			if err := w.lockFor(size, nil, nil); err == nil {
				w.buf = append(w.buf, make([]byte, size)...)
				w.unlockAsync()
			}
		}
		for range 100 {
			tasks.Go(func() { send(large) })
		}
		frames := func() int {
			synctest.Wait()
			b := w.take(false, batch{})
			defer b.free()
			return b.rest() / large
		}
		want := func(frame string, wants ...int) {
			t.Helper()
			for i, want := range wants {
				if n := frames(); n != want {
					t.Errorf("%s: %d large frames in batch %d, want %d", frame, n, i, want)
				}
			}
		}
		want("at first", 1, 1, 1)
		w.swift = true
		want("swift", 1, bulkTurns, bulkTurns)
		synctest.Wait()
		send(1)
		want("beside a small one", bulkTurns)
		for i := range smallPause - 1 {
			if n := frames(); n != 1 {
				t.Errorf("%d large frames in a batch, %d after a small one", n, i)
			}
		}
		want("long after it", 1, bulkTurns)
		w.swift = false
		want("no longer swift", bulkTurns, 1, 1)
		w.close(net.ErrClosed)
		tasks.Wait()
	})
}
