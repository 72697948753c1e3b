package memnet

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/rpcx-go/rpcx/runtime/internal/leaktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(leaktest.Buffers(m)) }

// connect returns both ends of a new connection over n, which must have no
// listener yet.
func connect(t *testing.T, n *Network) (dialed, accepted net.Conn) {
	t.Helper()
	l := n.Listener()
	t.Cleanup(func() { l.Close() })
	dialed, err := n.Dial(t.Context(), "tcp", "users:7000")
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	accepted, err = l.Accept()
	if err != nil {
		t.Fatalf("Accept: %v", err)
	}
	t.Cleanup(func() { dialed.Close(); accepted.Close() })
	return dialed, accepted
}

func TestAddresses(t *testing.T) {
	dialed, accepted := connect(t, new(Network))
	got := []string{
		dialed.LocalAddr().String(), dialed.RemoteAddr().String(),
		accepted.LocalAddr().String(), accepted.RemoteAddr().String(),
		dialed.LocalAddr().Network(),
	}
	if want := "client-1 users:7000 users:7000 client-1 mem"; strings.Join(got, " ") != want {
		t.Errorf("addresses are %q, want %q", got, want)
	}
}

func TestListenersByName(t *testing.T) {
	n := new(Network)
	fallback := n.Listener()
	defer fallback.Close()
	named, err := n.Listen("a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Listen("a"); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second Listen: %v, want EADDRINUSE", err)
	}
	for _, test := range []struct {
		addr string
		want net.Listener
	}{{"a", named}, {"b", fallback}} {
		c, err := n.Dial(t.Context(), "tcp", test.addr)
		if err != nil {
			t.Fatal(err)
		}
		a, err := test.want.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if a.LocalAddr().String() != test.addr {
			t.Errorf("accepted at %v, want %v", a.LocalAddr(), test.addr)
		}
		c.Close()
		a.Close()
	}
	named.Close()
	again, err := n.Listen("a")
	if err != nil {
		t.Fatalf("Listen after Close: %v", err)
	}
	again.Close()
}

func TestListenerPanicsWhileOpen(t *testing.T) {
	n := new(Network)
	defer n.Listener().Close()
	defer func() {
		if recover() == nil {
			t.Error("second Listener did not panic")
		}
	}()
	n.Listener()
}

func TestDialRefused(t *testing.T) {
	n := new(Network)
	_, err := n.Dial(t.Context(), "tcp", "nowhere")
	if !errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("Dial: %v, want ECONNREFUSED naming the address", err)
	}
	n.Listener().Close()
	if _, err := n.Dial(t.Context(), "tcp", "x"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("Dial after Close: %v, want ECONNREFUSED", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	defer n.Listener().Close()
	if _, err := n.Dial(ctx, "tcp", "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("Dial with a canceled context: %v", err)
	}
}

func TestDialWaitsForBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(Network)
		l := n.Listener()
		for range backlog {
			if _, err := n.Dial(t.Context(), "tcp", "x"); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := n.Dial(ctx, "tcp", "x"); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("Dial with a full backlog: %v after %v", err, time.Since(start))
		}
		done := make(chan error)
		go func() {
			_, err := n.Dial(t.Context(), "tcp", "x")
			done <- err
		}()
		synctest.Wait()
		if _, err := l.Accept(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Errorf("Dial once there is room: %v", err)
		}
		l.Close()
	})
}

func TestListenerCloseEndsAcceptAndResetsQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(Network)
		l := n.Listener()
		accepted := make(chan error)
		go func() {
			_, err := l.Accept()
			accepted <- err
		}()
		synctest.Wait()
		l.Close()
		if err := <-accepted; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept: %v, want net.ErrClosed", err)
		}
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second Close: %v, want net.ErrClosed", err)
		}

		l = n.Listener()
		c, err := n.Dial(t.Context(), "tcp", "x")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("Read of a connection that was never accepted: %v, want ECONNRESET", err)
		}
		c.Close()
	})
}

func TestResetConns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(Network)
		dialed, accepted := connect(t, n)
		failed := make(chan error, 2)
		for _, c := range []net.Conn{dialed, accepted} {
			go func() {
				_, err := c.Read(make([]byte, 1))
				failed <- err
			}()
		}
		synctest.Wait()
		n.ResetConns()
		for range 2 {
			if err := <-failed; !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("Read: %v, want ECONNRESET", err)
			}
		}
	})
}

func TestClosedConnsAreForgotten(t *testing.T) {
	n := new(Network)
	dialed, accepted := connect(t, n)
	dialed.Close()
	accepted.Close()
	if len(n.links) != 0 {
		t.Errorf("the network still holds %d connections", len(n.links))
	}
}

func TestWrap(t *testing.T) {
	n := &Network{
		WrapDial:   func(c *Conn) net.Conn { return NewFault(c, Step{After: 3, Do: FlipBit(0)}) },
		WrapAccept: func(c *Conn) net.Conn { return NewFault(c, Step{After: 1, Do: FIN()}) },
	}
	dialed, accepted := connect(t, n)
	if _, err := dialed.Write([]byte("aaaa")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 4)
	if _, err := io.ReadFull(accepted, got); err != nil || string(got) != "aaa`" {
		t.Errorf("read %q, %v", got, err)
	}
	if n, err := accepted.Write([]byte("bb")); n != 1 || !errors.Is(err, syscall.EPIPE) {
		t.Errorf("wrote %d, %v; want 1 and EPIPE", n, err)
	}
}

func TestConcurrentUse(t *testing.T) {
	n := &Network{Buffer: 10}
	l := n.Listener()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				if _, err := io.Copy(c, c); err != nil {
					t.Error(err)
				}
			})
		}
	})
	var clients sync.WaitGroup
	for range 20 {
		clients.Go(func() {
			c, err := n.Dial(t.Context(), "tcp", "x")
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			const text = "a text that is longer than the buffer"
			wg.Go(func() {
				write(t, c, text)
				ok(t, c.(*Conn).CloseWrite())
			})
			if got, err := io.ReadAll(c); err != nil || string(got) != text {
				t.Errorf("echo is %q, %v", got, err)
			}
		})
	}
	clients.Wait()
	l.Close()
	wg.Wait()
}

func timeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout() && errors.Is(err, os.ErrDeadlineExceeded)
}

// write writes text, all of which must be accepted.
func write(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Errorf("writing %q: %v", text, err)
	}
}

// fill reads as many bytes as p has.
func fill(t *testing.T, r io.Reader, p []byte) {
	t.Helper()
	if _, err := io.ReadFull(r, p); err != nil {
		t.Errorf("reading %d bytes: %v", len(p), err)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}
