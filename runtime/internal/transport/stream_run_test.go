package transport

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
)

// TestRun: messages come out of a run as they went in, in chunks that are no
// larger than what a message may keep alive, and changing or growing one does
// not change another.
func TestRun(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var s stream
	var copies, want [][]byte
	held, kept := 0, 0
	take := func() {
		s.mu.Lock()
		s.endRunLocked()
		s.taken, s.inbox = s.inbox, s.taken
		s.mu.Unlock()
		for it, ok := s.next(); ok; it, ok = s.next() {
			if got := int(it.held); got != frame.HeaderSize+len(it.data) || cap(it.data) != len(it.data) {
				t.Fatalf("message of %d bytes: room for %d, it holds %d", len(it.data), cap(it.data), got)
			}
			copies = append(copies, it.data)
		}
		if s.run != nil {
			t.Fatal("a run that is over is kept alive")
		}
	}
	for i := range 2000 {
		n := r.IntN(300)
		if i%50 == 0 {
			n = ownChunk - 1 - r.IntN(3)
		}
		msg := bytes.Repeat([]byte{byte(i)}, n)
		before := &s.chunk
		last, full := cap(*before), cap(s.chunk)-len(s.chunk) < runLength+n
		s.keepLocked(msg)
		if full {
			held += cap(s.chunk)
		} else if cap(s.chunk) != last {
			t.Fatal("a chunk with room was left")
		}
		if kept += n + runLength; cap(s.chunk) > maxChunk || held > 2*kept+maxChunk {
			t.Fatalf("%d bytes are held for %d, a chunk of %d", held, kept, cap(s.chunk))
		}
		want = append(want, msg)
		if r.IntN(20) == 0 {
			take()
		}
	}
	take()
	if len(copies) != len(want) {
		t.Fatalf("%d of %d messages came out", len(copies), len(want))
	}
	for i, c := range copies {
		if !bytes.Equal(c, want[i]) {
			t.Fatalf("message %d has changed", i)
		}
		clear(c)
		_ = append(c, 0xff)
		clear(want[i])
	}
}

// runs returns frames of a stream, among them many in a row that differ in
// nothing but length, and the messages that they carry.
func runs(id frame.StreamID, r *rand.Rand) (frames [][]byte, want []string) {
	for i := range 300 {
		msg := fmt.Sprint(i, strings.Repeat("x", r.IntN(100)))
		switch r.IntN(40) {
		case 0:
			msg = fmt.Sprint(i, strings.Repeat("y", ownChunk-10+r.IntN(20)))
		case 1:
			frames = append(frames, data(id, credited|frame.FlagMore|frame.FlagTotal, total(len(msg)), msg[:1]), data(id, credited, msg[1:]))
			want = append(want, msg)
			continue
		case 2:
			msg = ""
		}
		frames, want = append(frames, data(id, credited, msg)), append(want, msg)
	}
	return frames, want
}

// TestRunsAndOthers: messages keep their order, however they arrive and however
// much of them at a time, and all of their credit comes back.
func TestRunsAndOthers(t *testing.T) {
	receive := func(t *testing.T, s interface{ Recv(any) error }, want []string) {
		for i, w := range want {
			if got, err := recvText(s); got != w || err != nil {
				t.Fatalf("message %d: %q, %v; want %q", i, got, err, w)
			}
		}
		if _, err := recvText(s); err != io.EOF {
			t.Errorf("at the end: %v", err)
		}
	}
	write := func(r *rand.Rand, p *peer, frames [][]byte) {
		for all := bytes.Join(frames, nil); len(all) > 0; {
			n := min(len(all), 1+r.IntN(1<<(4+r.IntN(12))))
			p.raw(all[:n])
			if all = all[n:]; r.IntN(2) == 0 {
				synctest.Wait()
			}
		}
	}
	wide := windows(256<<10, 1<<20)
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(7, seed))
		synctest.Test(t, func(t *testing.T) {
			c, p := settledClient(t, wide)
			s, id := streaming(t.Context(), t, c, p, up, "x")
			frames, want := runs(id, r)
			go write(r, p, append(frames, closing(id, 0, 0)))
			receive(t, s, want)
			if held, owed := s.held.Load(), c.unread(); held != 0 || owed != 0 {
				t.Errorf("%d bytes are held, %d unread", held, owed)
			}
		})
		synctest.Test(t, func(t *testing.T) {
			frames, want := runs(1, r)
			done := make(chan struct{})
			srv, p := settledServer(t, &service{stream: func(_ context.Context, s call.ServerStream) error {
				defer close(done)
				receive(t, s, want)
				return nil
			}}, wide)
			write(r, p, append(append([][]byte{open(1, sum, 1, "")}, frames...), enc(frame.Header{Type: frame.TypeData, Flags: frame.FlagHalfClose, ID: 1})))
			<-done
			synctest.Wait()
			if owed := srv.unread(); owed != 0 {
				t.Errorf("%d bytes are unread", owed)
			}
		})
	}
}

// TestOverdrawnInARun: in the middle of a run, too, the first byte above the
// window is one too many, of the stream's and of the connection's.
func TestOverdrawnInARun(t *testing.T) {
	const size = 1000
	for name, edit := range map[string]func(*Config){"stream": windows(64<<10, 1<<20), "connection": windows(1<<20, 64<<10)} {
		for over := range 2 {
			t.Run(fmt.Sprint(name, " by ", over), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c, p := settledClient(t, edit)
					s, id := streaming(t.Context(), t, c, p, up, "x")
					var all []byte
					left := 64<<10 + over
					for ; left >= 2*(size+frame.HeaderSize); left -= size + frame.HeaderSize {
						all = append(all, data(id, credited, long(size))...)
					}
					p.raw(append(all, data(id, credited, long(left-frame.HeaderSize))...))
					if over > 0 {
						p.expectEnd(frame.FlowControlError)
						return
					}
					if got := p.sync(); len(got) > 0 {
						t.Errorf("got %v", headers(got))
					}
					s.Close()
				})
			})
		}
	}
}

// TestPausedReceiversOweLittle: receivers that pause in the middle of what they
// have taken leave the peer enough credit of the connection for one more frame on
// every stream, and one that has received all it has taken owes nothing.
func TestPausedReceiversOweLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const window, size = 128 << 10, 100
		c, p := settledClient(t, windows(64<<10, window))
		streams := make([]*ClientStream, 40)
		granted, drawn := 0, 0
		for i := range streams {
			s, id := streaming(t.Context(), t, c, p, up, "x")
			defer s.Close()
			streams[i] = s
			for range 50 { // more than a receiver may owe
				p.raw(data(id, credited, long(size)))
				drawn += size + frame.HeaderSize
			}
			for range 49 {
				if _, err := recvText(s); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			for _, g := range p.sync() {
				if g.Type == frame.TypeCredit && g.ID == 0 {
					granted += int(g.Arg)
				}
			}
			if left := window - drawn + granted; left < window/4 {
				t.Fatalf("%d bytes of credit are left after %d streams", left, i+1)
			}
		}
		for _, s := range streams {
			if _, err := recvText(s); err != nil {
				t.Fatal(err)
			}
			if held := s.held.Load(); held != 0 {
				t.Errorf("a stream that has received everything holds %d bytes", held)
			}
		}
	})
}
