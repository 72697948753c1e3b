package memnet

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestWriteWaitsWhileBufferIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := connect(t, &Network{Buffer: 4})
		done := make(chan int)
		go func() {
			n, err := a.Write([]byte("0123456789"))
			if err != nil {
				t.Error(err)
			}
			done <- n
		}()
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("Write returned although the buffer is full")
		default:
		}
		got := make([]byte, 10)
		if _, err := io.ReadFull(b, got); err != nil || string(got) != "0123456789" {
			t.Errorf("read %q, %v", got, err)
		}
		if n := <-done; n != 10 {
			t.Errorf("Write wrote %d", n)
		}
	})
}

func TestHalfClose(t *testing.T) {
	a, b := Pipe()
	defer b.Close()
	defer a.Close()
	write(t, a, "last words")
	if err := a.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("Write after CloseWrite: %v, want EPIPE", err)
	}
	if got, err := io.ReadAll(b); err != nil || string(got) != "last words" {
		t.Errorf("read %q, %v", got, err)
	}
	write(t, b, "answer")
	b.Close()
	if got, err := io.ReadAll(a); err != nil || string(got) != "answer" {
		t.Errorf("read %q, %v after the half-close", got, err)
	}
}

// TestClose is what an end sees of the other one's Close.
func TestClose(t *testing.T) {
	tests := []struct {
		name     string
		graceful bool
		unread   bool // the end that closes has unread input
		reset    bool // Reset instead of Close
		write    bool // the peer writes before it reads
		want     string
		wantErr  error // of the peer's reading
		writeErr error // of a last write of the peer's
	}{
		{name: "clean", want: "answer"},
		{name: "unread input", unread: true, wantErr: syscall.ECONNRESET, writeErr: syscall.ECONNRESET},
		{name: "unread input, graceful", graceful: true, unread: true, want: "answer", writeErr: syscall.EPIPE},
		{name: "peer writes", write: true, wantErr: syscall.ECONNRESET, writeErr: syscall.ECONNRESET},
		{name: "reset", reset: true, wantErr: syscall.ECONNRESET, writeErr: syscall.ECONNRESET},
		{name: "reset, graceful", graceful: true, reset: true, wantErr: syscall.ECONNRESET, writeErr: syscall.ECONNRESET},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, peer := connect(t, &Network{GracefulClose: test.graceful})
			write(t, c, "answer")
			if test.unread {
				write(t, peer, "unread")
			}
			if test.reset {
				ok(t, c.(*Conn).Reset())
			} else {
				c.Close()
			}
			if test.write {
				if n, err := io.WriteString(peer, "late"); n != 4 || err != nil {
					t.Errorf("first write wrote %d, %v; want success", n, err)
				}
			}
			got, err := io.ReadAll(peer)
			if string(got) != test.want || !errors.Is(err, test.wantErr) {
				t.Errorf("peer read %q, %v; want %q, %v", got, err, test.want, test.wantErr)
			}
			if _, err := io.WriteString(peer, "x"); !errors.Is(err, test.writeErr) {
				t.Errorf("peer's write: %v, want %v", err, test.writeErr)
			}
		})
	}
}

func TestUseAfterClose(t *testing.T) {
	c, peer := Pipe()
	defer peer.Close()
	c.Close()
	_, readErr := c.Read(make([]byte, 1))
	_, writeErr := c.Write([]byte("x"))
	for name, err := range map[string]error{
		"Read": readErr, "Write": writeErr, "Close": c.Close(), "CloseWrite": c.CloseWrite(),
		"Reset": c.Reset(), "SetDeadline": c.SetDeadline(time.Now()),
	} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: %v, want net.ErrClosed", name, err)
		}
	}
}

func TestCloseEndsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := Pipe()
		defer peer.Close()
		failed := make(chan error, 2)
		go func() {
			_, err := c.Read(make([]byte, 1))
			failed <- err
		}()
		go func() {
			_, err := c.Write(make([]byte, DefaultBuffer+1))
			failed <- err
		}()
		synctest.Wait()
		c.Close()
		for range 2 {
			if err := <-failed; !errors.Is(err, net.ErrClosed) {
				t.Errorf("%v, want net.ErrClosed", err)
			}
		}
	})
}

func TestDeadlines(t *testing.T) {
	read := func(c net.Conn) (int, error) { return c.Read(make([]byte, 1)) }
	write := func(c net.Conn) (int, error) { return c.Write(make([]byte, DefaultBuffer+1)) }
	tests := []struct {
		name string
		set  func(net.Conn, time.Time) error
		op   func(net.Conn) (int, error)
		n    int
	}{
		{"read", net.Conn.SetReadDeadline, read, 0},
		{"write", net.Conn.SetWriteDeadline, write, DefaultBuffer},
		{"both, read", net.Conn.SetDeadline, read, 0},
		{"both, write", net.Conn.SetDeadline, write, DefaultBuffer},
	}
	for _, faulty := range []bool{false, true} {
		for _, test := range tests {
			name := test.name
			if faulty {
				name += ", in a Fault"
			}
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var c net.Conn
					c, peer := Pipe()
					if faulty {
						c = NewFault(c)
					}
					defer peer.Close()
					defer c.Close()
					start := time.Now()
					test.set(c, start.Add(time.Hour)) // replaced: must not fire
					ok(t, test.set(c, start.Add(time.Second)))
					if n, err := test.op(c); n != test.n || !timeout(err) || time.Since(start) != time.Second {
						t.Errorf("%d, %v after %v; want %d and a timeout after 1s", n, err, time.Since(start), test.n)
					}
					if n, err := test.op(c); n != 0 || !timeout(err) {
						t.Errorf("%d, %v once the deadline has passed", n, err)
					}
					// A deadline that is moved while an operation waits holds for it.
					ok(t, test.set(c, time.Time{}))
					go func() {
						time.Sleep(time.Minute)
						ok(t, test.set(c, time.Now()))
					}()
					start = time.Now()
					if _, err := test.op(c); !timeout(err) || time.Since(start) != time.Minute {
						t.Errorf("%v after %v; want a timeout after 1m", err, time.Since(start))
					}
				})
			})
		}
	}
}

func TestDeadlinePassedComesBeforeData(t *testing.T) {
	c, peer := Pipe()
	defer peer.Close()
	defer c.Close()
	write(t, peer, "data")
	ok(t, c.SetReadDeadline(time.Now().Add(-time.Second)))
	if _, err := c.Read(make([]byte, 4)); !timeout(err) {
		t.Errorf("Read: %v, want a timeout", err)
	}
	ok(t, c.SetReadDeadline(time.Time{}))
	got := make([]byte, 4)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "data" {
		t.Errorf("read %q, %v once the deadline is gone", got, err)
	}
}

func TestConcurrentWritesDoNotMix(t *testing.T) {
	a, b := connect(t, &Network{Buffer: 7})
	words := []string{strings.Repeat("a", 100), strings.Repeat("b", 100), strings.Repeat("c", 100)}
	var wg sync.WaitGroup
	for _, w := range words {
		wg.Go(func() { write(t, a, w) })
	}
	wg.Go(func() {
		got := make([]byte, 300)
		if _, err := io.ReadFull(b, got); err != nil {
			t.Error(err)
		}
		for i := 0; i < 300; i += 100 {
			if part := string(got[i : i+100]); strings.Trim(part, part[:1]) != "" {
				t.Errorf("bytes %d to %d are of several writes: %q", i, i+100, part)
			}
		}
	})
	wg.Wait()
}

func TestEmptyReadAndWrite(t *testing.T) {
	a, b := Pipe()
	defer a.Close()
	defer b.Close()
	if n, err := a.Read(nil); n != 0 || err != nil {
		t.Errorf("empty Read: %d, %v", n, err)
	}
	if n, err := a.Write(nil); n != 0 || err != nil {
		t.Errorf("empty Write: %d, %v", n, err)
	}
}
