//go:build unix

package transport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/dispatch"
)

// unixSockets is sockets for the other kind.
func unixSockets(t *testing.T) (dialed, accepted net.Conn) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if dialed, err = net.Dial("unix", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if accepted, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return dialed, accepted
}

// polling returns a link whose reads poll for as long as the connection lasts,
// the other end, and what receives once a poll has begun.
func polling(t *testing.T, connect func(*testing.T) (dialed, accepted net.Conn)) (*link, net.Conn, <-chan struct{}) {
	t.Helper()
	ours, theirs := connect(t)
	t.Cleanup(func() { theirs.Close() })
	l := new(link)
	l.init(ours, config(func(cfg *Config) { cfg.BusyPoll = time.Hour }))
	began := make(chan struct{}, 1)
	p := l.r.receiver.poller
	p.begin(true)
	p.yield = func() {
		select {
		case began <- struct{}{}:
		default:
		}
		runtime.Gosched()
	}
	return l, theirs, began
}

// read reads once on another goroutine.
func read(l *link) <-chan error {
	done := make(chan error, 1)
	go func() { done <- l.r.read(1) }()
	return done
}

// TestPollSockets: a poll finds what comes, the peer's end and an error, and the
// end of the connection ends it.
func TestPollSockets(t *testing.T) {
	for name, connect := range map[string]func(*testing.T) (dialed, accepted net.Conn){"TCP": sockets, "Unix": unixSockets} {
		t.Run(name, func(t *testing.T) {
			for _, tc := range []struct {
				name string
				act  func(l *link, theirs net.Conn)
				want error
			}{
				{"data", func(_ *link, theirs net.Conn) { theirs.Write([]byte("x")) }, nil},
				{"the peer's end", func(_ *link, theirs net.Conn) { theirs.Close() }, io.EOF},
				{"our end", func(l *link, _ net.Conn) { l.end(ErrClosed) }, net.ErrClosed},
			} {
				t.Run(tc.name, func(t *testing.T) {
					l, theirs, began := polling(t, connect)
					done := read(l)
					<-began
					tc.act(l, theirs)
					if err := <-done; !errors.Is(err, tc.want) {
						t.Errorf("got %v, want %v", err, tc.want)
					}
					if got := string(l.r.buf[l.r.r:l.r.w]); tc.want == nil && got != "x" {
						t.Errorf("received %q", got)
					}
					l.r.giveBack()
					l.end(ErrClosed)
				})
			}
		})
	}
}

// TestPollThenDeadline: a read that has polled in vain holds no buffer while it
// waits, heeds a deadline that passed meanwhile, and does not poll again before
// something has come.
func TestPollThenDeadline(t *testing.T) {
	l, theirs, began := polling(t, sockets)
	defer l.end(ErrClosed)
	l.r.receiver.poller.most = 0
	if err := l.nc.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	// A deadline in the past has the runtime fail the read before it is tried.
	if err := <-read(l); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	if err := l.nc.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	done := read(l)
	<-began
	if err := l.nc.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	if len(l.r.buf) != 0 {
		t.Errorf("it holds a buffer of %d bytes", len(l.r.buf))
	}
	if err := l.nc.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	done = read(l)
	theirs.Write([]byte("x"))
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	l.r.giveBack()
	select {
	case <-began:
		t.Error("it polled twice for one wait")
	default:
	}
}

// TestPollCalls: connections that are polled as much as can be carry calls of any
// size and kind, at rest and when they are closed in the midst of it.
func TestPollCalls(t *testing.T) {
	for name, connect := range map[string]func(*testing.T) (dialed, accepted net.Conn){"TCP": sockets, "Unix": unixSockets} {
		t.Run(name, func(t *testing.T) {
			dialed, accepted := connect(t)
			d := (&service{stream: echoStream}).dispatcher(dispatch.Config{})
			polls := func(cfg *Config) { cfg.BusyPoll, cfg.RestAfter = time.Millisecond, time.Millisecond }
			s := NewServer(t.Context(), accepted, config(polls), d, &call.Peer{Addr: accepted.RemoteAddr()})
			s.r.receiver.poller.begin(true)
			var served sync.WaitGroup
			served.Go(func() { s.Serve() })
			c := startClient(dialed, config(polls), call.Peer{Addr: dialed.RemoteAddr()})
			for i := range 300 {
				want := fmt.Sprint(i, long(i%10*10_000))
				wantRes(t, <-calling(t.Context(), c, []*call.Method{say, get, inline}[i%3], want), want)
			}
			st, err := c.Stream(t.Context(), &StreamCall{Method: echo})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 100 {
				want := fmt.Sprint(i)
				if err := st.Send(str(want)); err != nil {
					t.Fatal(err)
				}
				if got, err := recvText(st); err != nil || got != want {
					t.Fatalf("got %.20q, %v, want %.20q", got, err, want)
				}
			}
			c.Close()
			s.Close()
			served.Wait()
			d.Wait()
		})
	}
}
