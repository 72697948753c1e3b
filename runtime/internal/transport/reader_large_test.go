//go:build unix

package transport

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"testing"

	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/metadata"
)

// fragments returns the frames of msg on stream 1, cut into parts of size bytes,
// and a PING behind them.
func fragments(msg string, size int) []byte {
	var b []byte
	for n := 0; n < len(msg); {
		part := msg[n:min(n+size, max(n+1, len(msg)-1), len(msg))] // two at least
		h := frame.Header{Type: frame.TypeData, Flags: frame.FlagMessage, ID: 1}
		mark := len(b)
		if n == 0 {
			h.Flags |= frame.FlagTotal | frame.FlagHeaders
			b = frame.AppendTotal(frame.AppendMetadata(h.Append(b), longMetadata), uint32(len(msg)))
		} else {
			b = h.Append(b)
		}
		b = append(b, part...)
		if n += len(part); n < len(msg) {
			h.Flags |= frame.FlagMore
		}
		h.Length = uint32(len(b) - mark - frame.HeaderSize)
		h.Put(b[mark:])
	}
	return frame.AppendPing(b, 7)
}

var longMetadata = metadata.Pairs("k", long(3000))

// assembling is a message that a reader assembles on a goroutine of its own.
type assembling struct {
	d        reader
	a        *assembly
	b        *Budget
	complete bool
	direct   int // frames of which a part was read into the message
	err      error
	end      chan struct{} // closed at the PING, or an error
}

func assembleFrom(nc net.Conn) *assembling {
	s := &assembling{b: NewBudget(1 << 30), end: make(chan struct{})}
	s.a = &assembly{account: &account{budget: s.b}}
	s.d.init(nc, rawConn(nc), 1<<20)
	go func() {
		defer close(s.end)
		defer s.d.giveBack()
		s.err = s.run()
	}()
	return s
}

func (s *assembling) run() error {
	var h frame.Header
	var sec frame.Sections
	for {
		payload, err := s.d.next(&h)
		if err != nil || h.Type == frame.TypePing {
			return err
		}
		if err := frame.ParseSections(&h, payload, &sec); err != nil {
			return err
		}
		if sec.Missing > 0 {
			s.direct++
		}
		if s.complete, err = s.a.add(&h, &sec, &s.d); err != nil {
			return err
		}
	}
}

// await waits until n bytes have arrived and returns what the message holds then.
func (s *assembling) await(n int) (held, arrived int) {
	for {
		s.a.mu.Lock()
		held, arrived = s.a.heldLocked(), s.a.arrived
		s.a.mu.Unlock()
		select {
		case <-s.end:
			return held, arrived
		default:
		}
		if arrived >= n {
			return held, arrived
		}
		runtime.Gosched()
	}
}

// TestDirect: messages whose fragments are read into their own memory are what
// was sent, however that comes, and hold no more on the way than they may.
func TestDirect(t *testing.T) {
	for _, total := range []int{70_000, 64<<10 + 10, 200_000, 1 << 20, 3_000_001} {
		for _, part := range []int{20_000, 64 << 10, 1<<20 - 8000} {
			for _, piece := range []int{1000, 50_000, 1 << 20} {
				t.Run(fmt.Sprintf("%d by %d in %d", total, part, piece), func(t *testing.T) {
					direct(t, long(total), part, piece)
				})
			}
		}
	}
}

func direct(t *testing.T, msg string, part, piece int) {
	dialed, accepted := sockets(t)
	defer dialed.Close()
	defer accepted.Close()
	s := assembleFrom(accepted)
	for b := fragments(msg, part); len(b) > 0; {
		n, err := dialed.Write(b[:min(len(b), piece)])
		if err != nil {
			t.Fatal(err)
		}
		b = b[n:]
		s.a.mu.Lock()
		held, arrived, used := s.a.heldLocked(), s.a.arrived, s.b.Used()
		s.a.mu.Unlock()
		if held > firstPart+2*arrived {
			t.Fatalf("holds %d bytes after %d", held, arrived)
		}
		if used != int64(held) {
			t.Fatalf("%d bytes are counted, %d held", used, held)
		}
	}
	<-s.end
	if s.err != nil || !s.complete {
		t.Fatalf("complete is %v, %v", s.complete, s.err)
	}
	if got, _ := s.a.take(); string(got) != msg {
		t.Error("the message has changed")
	}
	if s.direct == 0 && part < len(msg) && piece < part/2 {
		t.Error("no fragment was read into the message")
	}
}

// TestDirectCancel: a message that is cancelled while a fragment of it is awaited
// holds nothing from then on, and the frames behind it are understood.
func TestDirectCancel(t *testing.T) {
	for _, arrived := range []int{30_000, 100_000, 700_000} {
		t.Run(fmt.Sprint(arrived), func(t *testing.T) {
			dialed, accepted := sockets(t)
			defer dialed.Close()
			defer accepted.Close()
			s := assembleFrom(accepted)
			b := fragments(long(1<<20), 60_000)
			dialed.Write(b[:arrived])
			if held, _ := s.await(arrived - 10_000); held == 0 {
				t.Fatal("nothing has arrived")
			}
			s.a.cancel()
			if held, _ := s.await(0); held != 0 || s.b.Used() != 0 {
				t.Errorf("holds %d bytes, counts %d", held, s.b.Used())
			}
			dialed.Write(b[arrived:])
			<-s.end
			if held, _ := s.await(0); held != 0 || s.b.Used() != 0 {
				t.Errorf("holds %d bytes in the end, counts %d", held, s.b.Used())
			}
			if s.err != nil || s.complete {
				t.Errorf("complete is %v, %v", s.complete, s.err)
			}
		})
	}
}

// TestDirectCut: a connection that ends within a fragment that is being read into
// its message says so.
func TestDirectCut(t *testing.T) {
	dialed, accepted := sockets(t)
	defer accepted.Close()
	s := assembleFrom(accepted)
	dialed.Write(fragments(long(1<<20), 60_000)[:100_000])
	s.await(90_000)
	dialed.Close()
	<-s.end
	if s.err != io.ErrUnexpectedEOF {
		t.Errorf("got %v, want an unexpected end", s.err)
	}
	if s.a.cancel(); s.b.Used() != 0 {
		t.Errorf("%d bytes are counted after the end", s.b.Used())
	}
}
