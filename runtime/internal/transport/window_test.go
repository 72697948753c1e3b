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
)

// wire is one direction of a network that takes delay to carry a byte and
// carries at most rate bytes a second, if that is not 0.
type wire struct {
	delay time.Duration
	rate  int
}

// carry carries from one connection to another until one of them ends.
func (w wire) carry(from, to net.Conn) {
	type chunk struct {
		b  []byte
		at time.Time
	}
	chunks := make(chan chunk, 1<<16)
	go func() {
		defer close(chunks)
		free := time.Now() // when the wire takes the next byte
		for {
			b := make([]byte, 32<<10)
			n, err := from.Read(b)
			if err != nil {
				return
			}
			if w.rate > 0 {
				if now := time.Now(); free.Before(now) {
					free = now
				}
				free = free.Add(time.Duration(n) * time.Second / time.Duration(w.rate))
				time.Sleep(time.Until(free))
			}
			chunks <- chunk{b[:n], time.Now().Add(w.delay)}
		}
	}()
	defer to.Close()
	defer from.Close()
	for c := range chunks {
		time.Sleep(time.Until(c.at))
		if _, err := to.Write(c.b); err != nil {
			from.Close()
			for range chunks {
			}
			return
		}
	}
}

// distant is connected over a network whose round trip takes 100 ms, and that has
// much room for what the server sends before it carries it. It works within
// synctest only.
func distant(t *testing.T, v *service, rate int, edit ...func(*Config)) (*Client, *Server) {
	t.Helper()
	dialed, near := pipe(t, 64<<10)
	far, accepted := pipe(t, 8<<20)
	d := v.dispatcher(dispatch.Config{})
	s := NewServer(context.Background(), accepted, config(edit...), d, &call.Peer{Addr: accepted.RemoteAddr()})
	var all sync.WaitGroup
	w := wire{50 * time.Millisecond, rate}
	all.Go(func() { w.carry(near, far) })
	all.Go(func() { w.carry(far, near) })
	all.Go(func() { s.Serve() })
	c := startClient(dialed, config(edit...), call.Peer{Addr: dialed.RemoteAddr()})
	t.Cleanup(func() {
		c.Close()
		s.Close()
		all.Wait()
		d.Wait()
	})
	return c, s
}

// growing sets how far the credits grow.
func growing(stream, conn uint32) func(*Config) {
	return func(cfg *Config) { cfg.MaxStreamCredit, cfg.MaxConnCredit = stream, conn }
}

// probes returns how often l has measured a round trip.
func probes(l *link) uint64 {
	if p := l.probe.Load(); p != nil {
		return p.id
	}
	return 0
}

// endless sends messages for as long as somebody takes them.
var endless = &service{stream: func(ctx context.Context, s call.ServerStream) error {
	m := str(long(50_000))
	for s.Send(m) == nil {
	}
	return ctx.Err()
}}

// received reads from s for d and returns the bytes per second.
func received(t *testing.T, s *ClientStream, d time.Duration) int {
	t.Helper()
	n, start := 0, time.Now()
	for time.Since(start) < d {
		m, err := recvText(s)
		if err != nil {
			t.Fatal(err)
		}
		n += len(m)
	}
	return int(float64(n) / time.Since(start).Seconds())
}

// trips is how many round trips to the distant peer there are in a second.
const trips = 10

// TestWindowsGrow: a stream over a long way is as fast as the largest windows
// let it be, and without growth as those at the beginning do. The stream's and
// the connection's window grow each for itself.
func TestWindowsGrow(t *testing.T) {
	const stream, conn = 256 << 10, 1 << 20
	for name, test := range map[string]struct{ maxStream, maxConn, want int }{
		"no growth":      {0, 0, stream},
		"both":           {4 << 20, 8 << 20, 4 << 20},
		"no connection":  {4 << 20, 0, conn},
		"one connection": {8 << 20, 2 << 20, 2 << 20},
		"no stream":      {0, 8 << 20, stream},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := distant(t, endless, 0, windows(stream, conn), growing(uint32(test.maxStream), uint32(test.maxConn)))
				s, err := c.Stream(t.Context(), &StreamCall{Method: up, Req: str("")})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				received(t, s, 3*time.Second)
				rate, most := received(t, s, 2*time.Second), test.want*trips
				if rate > most*21/20 || rate < most*7/10 {
					t.Errorf("%d bytes per second; a window of %d in each of %d round trips is %d", rate, test.want, trips, most)
				}
				t.Logf("%d KiB/s with windows of %d and %d KiB", rate>>10, s.limit.Load()>>10, c.limit.Load()>>10)
			})
		})
	}
}

// TestWindowsFitTheNetwork: over a network that is slower, windows stop growing
// once that brings nothing: one that is twice as large as necessary only makes
// data wait.
func TestWindowsFitTheNetwork(t *testing.T) {
	for _, test := range []struct{ rate, most int }{
		{1 << 20, 512 << 10}, // a round trip has room for 100 KiB; growth is tried once
		{5 << 20, 2 << 20},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, _ := distant(t, endless, test.rate, growing(16<<20, 64<<20))
			s, err := c.Stream(t.Context(), &StreamCall{Method: up, Req: str("")})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			received(t, s, 5*time.Second)
			if got := received(t, s, 2*time.Second); got < test.rate*9/10 {
				t.Errorf("%d bytes per second of %d", got, test.rate)
			}
			if got := int(s.limit.Load()); got > test.most {
				t.Errorf("the window grew to %d at %d bytes per second", got, test.rate)
			}
		})
	}
}

// TestWindowsThatDoNotGrow: those of readers that sleep, where there is no
// memory, and of unary calls, which cause no PING either.
func TestWindowsThatDoNotGrow(t *testing.T) {
	reading := func(pause time.Duration) func(t *testing.T, c *Client) {
		return func(t *testing.T, c *Client) {
			s, err := c.Stream(t.Context(), &StreamCall{Method: up, Req: str("")})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for start := time.Now(); time.Since(start) < 5*time.Second; time.Sleep(pause) {
				if _, err := recvText(s); err != nil {
					t.Fatal(err)
				}
			}
			if got := s.limit.Load(); got != 256<<10 {
				t.Errorf("the stream's window grew to %d", got)
			}
		}
	}
	small := NewBudget(1 << 20)
	full := &account{budget: small}
	full.take(600_000)
	for name, test := range map[string]struct {
		b     *Budget
		pings bool
		do    func(t *testing.T, c *Client)
	}{
		"a reader that sleeps": {nil, true, reading(time.Second / 5)},
		"no memory":            {small, true, reading(0)},
		"unary calls": {nil, false, func(t *testing.T, c *Client) {
			for range 5 {
				wantRes(t, <-calling(t.Context(), c, say, long(300_000)), long(300_000))
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, srv := distant(t, &service{stream: endless.stream}, 0, budget(test.b), growing(16<<20, 64<<20))
				test.do(t, c)
				if got := c.limit.Load(); got != 1<<20 {
					t.Errorf("the connection's window grew to %d", got)
				}
				c.Close()
				srv.Close()
				synctest.Wait()
				if pings := probes(&c.link) + probes(&srv.link); (pings > 0) != test.pings || pings > 800 {
					t.Errorf("%d probes", pings)
				}
			})
		})
	}
}

// TestGrownWindowsKeepTheirPromise: what was granted beyond the beginning may be
// sent, is counted, and comes back.
func TestGrownWindowsKeepTheirPromise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(64 << 20)
		c, _ := distant(t, endless, 0, growing(4<<20, 8<<20), budget(b))
		s, err := c.Stream(t.Context(), &StreamCall{Method: up, Req: str("")})
		if err != nil {
			t.Fatal(err)
		}
		received(t, s, 4*time.Second)
		time.Sleep(time.Second) // unread now, as much as may be
		if got := c.unread(); got < 3<<20 || got > 4<<20 {
			t.Errorf("%d bytes are unread", got)
		}
		if got, want := b.Used(), c.unread()-freeUnread; got < want || got > want+2*unreadStep {
			t.Errorf("%d bytes are counted, %d unread", got, c.unread())
		}
		wantRes(t, <-calling(t.Context(), c, say, "beside it"), "beside it")
		s.Close()
		time.Sleep(time.Second)
		if got := c.unread(); got != 0 || b.Used() != 0 {
			t.Errorf("%d bytes are unread in the end, %d counted", got, b.Used())
		}
	})
}
