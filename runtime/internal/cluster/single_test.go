package cluster

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/codec"
	"github.com/rpcx-go/rpcx/runtime/internal/dispatch"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/internal/transport"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest/memnet"
	"github.com/rpcx-go/rpcx/runtime/status"
)

func transportConfig() *transport.Config {
	return &transport.Config{
		Settings: frame.DefaultSettings(), Codec: codec.Proto, Log: slog.New(slog.DiscardHandler),
		HandshakeTimeout: 5 * time.Second, WriteStall: 10 * time.Second,
	}
}

// serverSite is a network, a server on it that can be stopped, and a cluster of it.
type serverSite struct {
	t       *testing.T
	network memnet.Network
	dials   atomic.Int32
	// dial, if not nil, comes before the network's.
	dial func(ctx context.Context) error
	*Single
	events observer

	mu      sync.Mutex
	stop    func()
	servers []*transport.Server
	tasks   sync.WaitGroup // of the servers
}

func newServerSite(t *testing.T) *serverSite {
	s := &serverSite{t: t}
	s.Single = NewSingle(Config{
		Endpoint: address.Endpoint{Network: "tcp", Addr: "server:7000"},
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			s.dials.Add(1)
			if s.dial != nil {
				if err := s.dial(ctx); err != nil {
					return nil, err
				}
			}
			return s.network.Dial(ctx, network, addr)
		},
		DialTimeout: 10 * time.Second,
		Backoff:     Backoff{Base: 100 * time.Millisecond, Max: 10 * time.Second},
		Transport:   transportConfig(),
		Observers:   []call.Observer{&s.events},
		Log:         slog.New(slog.DiscardHandler),
	})
	t.Cleanup(func() {
		s.Close()
		s.down()
		s.tasks.Wait()
		if n := s.events.open.Load(); n != 0 {
			t.Errorf("%d connections were opened and not closed", n)
		}
	})
	return s
}

// observer counts connections.
type observer struct {
	call.NopObserver
	open, opened atomic.Int32
	last         atomic.Pointer[error]
}

func (o *observer) ConnOpened(call.ConnInfo) { o.open.Add(1); o.opened.Add(1) }
func (o *observer) ConnClosed(_ call.ConnInfo, err error) {
	o.open.Add(-1)
	o.last.Store(&err)
}

// up starts the server.
func (s *serverSite) up() {
	l := s.network.Listener()
	tasks := &s.tasks
	d := dispatch.New(dispatch.Config{Log: slog.New(slog.DiscardHandler)})
	tasks.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			srv := transport.NewServer(context.Background(), nc, transportConfig(), d, &call.Peer{Addr: nc.RemoteAddr()})
			s.mu.Lock()
			s.servers = append(s.servers, srv)
			s.mu.Unlock()
			tasks.Go(func() { srv.Serve() })
		}
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop = func() {
		l.Close()
		for _, srv := range s.servers {
			srv.Close()
		}
		s.servers = nil
	}
}

// down stops the server, if there is one.
func (s *serverSite) down() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
}

// pick picks without a deadline.
func (s *serverSite) pick(wait bool) (*transport.Client, *status.Error) {
	c, err := s.Pick(s.t.Context(), time.Time{}, wait)
	if err != nil {
		return nil, err
	}
	return c.(*transport.Client), nil
}

func (s *serverSite) mustPick(wait bool) *transport.Client {
	s.t.Helper()
	c, err := s.pick(wait)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func TestLazy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServerSite(t)
		s.up()
		time.Sleep(time.Hour)
		if n := s.dials.Load(); n != 0 {
			t.Fatalf("%d dials before the first call", n)
		}
		first := s.mustPick(false)
		<-first.Settled()
		for range 10 {
			if s.mustPick(false) != first {
				t.Error("another connection")
			}
		}
		if n := s.dials.Load(); n != 1 {
			t.Errorf("%d dials", n)
		}
	})
}

// TestOneDialForAll: calls that come together share one attempt.
func TestOneDialForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServerSite(t)
		s.up()
		s.dial = func(context.Context) error { time.Sleep(time.Second); return nil }
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { s.mustPick(false) })
		}
		all.Wait()
		if n := s.dials.Load(); n != 1 {
			t.Errorf("%d dials", n)
		}
	})
}

// TestFailFast: a call fails with the reason of the attempt, and until the
// next one is due the others fail at once.
func TestFailFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServerSite(t)
		_, err := s.pick(false)
		if err.Code() != status.Unavailable || !err.NotRun() || !strings.Contains(err.Error(), "connection refused") || !strings.Contains(err.Error(), "server:7000") {
			t.Errorf("got %v, not run %v", err, err.NotRun())
		}
		start := time.Now()
		for range 10 {
			if _, err := s.pick(false); err.Code() != status.Unavailable {
				t.Errorf("got %v", err)
			}
		}
		if time.Since(start) > 0 || s.dials.Load() != 1 {
			t.Errorf("waited %v, dialed %d times", time.Since(start), s.dials.Load())
		}
		time.Sleep(100 * time.Millisecond)
		s.up()
		s.mustPick(false)
	})
}

// TestWaitForReady: a call waits while the server cannot be reached, and tries
// at most as often as the backoff says.
func TestWaitForReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServerSite(t)
		time.AfterFunc(time.Minute, s.up)
		start := time.Now()
		c := s.mustPick(true)
		if took := time.Since(start); took < time.Minute || took > time.Minute+10*time.Second {
			t.Errorf("ready after %v", took)
		}
		<-c.Settled()
		// 0.1 s · 1.6^n up to 10 s, half of it at random: 13 to 26 attempts in a minute.
		if n := s.dials.Load(); n < 12 || n > 28 {
			t.Errorf("%d dials in a minute", n)
		}
	})
	t.Run("deadline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newServerSite(t)
			start := time.Now()
			_, err := s.Pick(t.Context(), time.Now().Add(3*time.Second), true)
			if err.Code() != status.DeadlineExceeded || err.Phase() != status.PhaseDial || !err.NotRun() || !strings.Contains(err.Error(), "refused") {
				t.Errorf("got %v", err)
			}
			if took := time.Since(start); took != 3*time.Second {
				t.Errorf("after %v", took)
			}
		})
	})
	t.Run("cancel", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newServerSite(t)
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			if _, err := s.Pick(ctx, time.Time{}, true); err.Code() != status.Canceled || !err.NotRun() || !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		})
	})
}

// TestDialTimeout: an attempt ends in time, and the others' deadlines hold
// while it lasts.
func TestDialTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServerSite(t)
		s.dial = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		impatient := make(chan *status.Error)
		start := time.Now()
		go func() {
			_, err := s.Pick(t.Context(), time.Now().Add(time.Second), false)
			impatient <- err
		}()
		if err := <-impatient; err.Code() != status.DeadlineExceeded || time.Since(start) != time.Second {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
		if _, err := s.pick(false); err.Code() != status.Unavailable || time.Since(start) != 10*time.Second {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
}

// TestReconnect: after a loss the next call connects again, soon: within what the backoff begins with.
func TestReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServerSite(t)
		s.up()
		for range 5 {
			c := s.mustPick(false)
			<-c.Settled()
			time.Sleep(time.Second)
			s.network.ResetConns()
			<-c.Dead()
			start := time.Now()
			if next := s.mustPick(false); next == c || !next.Usable() || time.Since(start) >= 100*time.Millisecond {
				t.Fatalf("got the same connection %v, usable %v, after %v", next == c, next.Usable(), time.Since(start))
			}
		}
	})
}

// TestServerRestarts: while the server is away calls fail fast or wait.
func TestServerRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServerSite(t)
		s.up()
		c := s.mustPick(false)
		<-c.Settled()
		s.down()
		<-c.Dead()
		if _, err := s.pick(false); err.Code() != status.Unavailable {
			t.Errorf("got %v", err)
		}
		time.AfterFunc(2*time.Second, s.up)
		<-s.mustPick(true).Settled()
	})
}

// TestDraining: a connection whose server drains is left, and not closed while
// calls run on it.
func TestDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServerSite(t)
		s.up()
		c := s.mustPick(false)
		<-c.Settled()
		s.mu.Lock()
		srv := s.servers[0]
		s.mu.Unlock()
		go srv.Drain(t.Context())
		synctest.Wait()
		if next := s.mustPick(false); next == c {
			t.Error("a draining connection was picked")
		}
	})
}

// TestNotOurProtocol: a server that speaks something else fails the attempt,
// with backoff, and says what it is.
func TestNotOurProtocol(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServerSite(t)
		l := s.network.Listener()
		var tasks sync.WaitGroup
		tasks.Go(func() {
			for {
				nc, err := l.Accept()
				if err != nil {
					return
				}
				io.WriteString(nc, "HTTP/1.1 400 Bad Request\r\n\r\n")
				tasks.Go(func() { io.Copy(io.Discard, nc); nc.Close() })
			}
		})
		t.Cleanup(func() {
			s.Close()
			l.Close()
			tasks.Wait()
		})
		s.pick(false) // may succeed, for calls that are sent early
		synctest.Wait()
		_, err := s.pick(false)
		if err.Code() != status.Unavailable || !strings.Contains(err.Error(), "HTTP") {
			t.Errorf("got %v", err)
		}
		if n := s.dials.Load(); n != 1 {
			t.Errorf("%d dials", n)
		}
	})
}

func TestClose(t *testing.T) {
	t.Run("idle", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newServerSite(t)
			s.Close()
			s.Close()
			for _, wait := range []bool{false, true} {
				if _, err := s.pick(wait); err.Code() != status.Unavailable || !errors.Is(err, transport.ErrClosed) {
					t.Errorf("got %v", err)
				}
			}
			if n := s.dials.Load(); n != 0 {
				t.Errorf("%d dials", n)
			}
		})
	})
	t.Run("connected", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newServerSite(t)
			s.up()
			c := s.mustPick(false)
			<-c.Settled()
			s.Close()
			<-c.Dead()
			if _, err := s.pick(false); err.Code() != status.Unavailable {
				t.Errorf("got %v", err)
			}
			if err := *s.events.last.Load(); err != nil {
				t.Errorf("observers hear of %v", err)
			}
		})
	})
	t.Run("during a dial", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newServerSite(t)
			s.dial = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
			picked := make(chan *status.Error, 2)
			for _, wait := range []bool{false, true} {
				go func() {
					_, err := s.pick(wait)
					picked <- err
				}()
			}
			synctest.Wait()
			start := time.Now()
			s.Close()
			for range 2 {
				if err := <-picked; err.Code() != status.Unavailable || !err.NotRun() {
					t.Errorf("got %v", err)
				}
			}
			if took := time.Since(start); took > 0 {
				t.Errorf("Close took %v", took)
			}
		})
	})
	t.Run("during backoff", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newServerSite(t)
			picked := make(chan *status.Error, 1)
			go func() {
				_, err := s.pick(true)
				picked <- err
			}()
			synctest.Wait()
			s.Close()
			if err := <-picked; err.Code() != status.Unavailable {
				t.Errorf("got %v", err)
			}
		})
	})
	t.Run("while the server says nothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newServerSite(t)
			l := s.network.Listener()
			defer l.Close()
			s.mustPick(false)
			s.Close()
		})
	})
}

func TestBackoff(t *testing.T) {
	b := Backoff{Base: 100 * time.Millisecond, Max: 10 * time.Second}
	longest := float64(b.Base)
	for failures := 1; failures <= 200; failures++ {
		low, high := time.Duration(longest), time.Duration(0)
		for range 200 {
			d := b.Delay(failures)
			low, high = min(low, d), max(high, d)
		}
		bound := time.Duration(longest)
		if low < bound/2 || high > bound {
			t.Fatalf("after %d failures: %v to %v, want %v to %v", failures, low, high, bound/2, bound)
		}
		if high-low < bound/4 {
			t.Errorf("after %d failures: %v to %v is not random", failures, low, high)
		}
		longest = min(longest*1.6, float64(b.Max))
	}
}

// TestUnanswered: a connection that ends without a word from the server is tried
// once more, at once; calls that never ran do not notice.
func TestUnanswered(t *testing.T) {
	for _, silent := range []int32{0, 1, 2} {
		synctest.Test(t, func(t *testing.T) {
			s := newServerSite(t)
			s.up()
			dial := s.cfg.Dial
			s.cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				nc, err := dial(ctx, network, addr)
				if err == nil && s.dials.Load() <= silent {
					nc.Close()
				}
				return nc, err
			}
			start := time.Now()
			c, err := s.pick(false)
			if err == nil { // it was dialed, and may be lost before it is settled
				select {
				case <-c.Settled():
				case <-c.Dead():
					c, err = s.pick(false)
				}
			}
			if silent < 2 && (err != nil || !c.Usable()) || silent == 2 && err.Code() != status.Unavailable {
				t.Errorf("%d silent connections: %v", silent, err)
			}
			if want := min(silent+1, 2); s.dials.Load() != want || time.Since(start) > 0 {
				t.Errorf("%d silent connections: %d dials, want %d, after %v", silent, s.dials.Load(), want, time.Since(start))
			}
		})
	}
}
