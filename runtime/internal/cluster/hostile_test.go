package cluster

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/internal/transport"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// TestManyDead: what a call does while many servers are away does not grow with
// their number, and the one that lives is found.
func TestManyDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const servers = 300
		picks := 0
		f := newFarm(t, func(c *BalancedConfig) {
			c.Pool.Balancer = counting{address.Hash{}, &picks}
		})
		for i := range servers {
			f.register(address.Endpoint{Network: "tcp", Addr: fmt.Sprint("s", i)})
		}
		for range servers { // until all are known to fail
			f.pick(&Pick{})
		}
		for _, hash := range []uint64{0, 7} {
			picks = 0
			_, err := f.pick(&Pick{Request: address.Request{Hash: hash, HasKey: hash != 0}})
			if err.Code() != status.Unavailable || !strings.Contains(err.Error(), "refused") {
				t.Fatalf("got %v", err)
			}
			if picks > 10*maxHopeless {
				t.Errorf("one call asked the balancer %d times", picks)
			}
		}
		f.up("s7")
		time.Sleep(20 * time.Second) // it is connected again in the background
		for range 50 {
			if name, err := f.pick(&Pick{}); err != nil || name != "s7" {
				t.Fatalf("got %q, %v", name, err)
			}
		}
		f.down("s7")
	})
}

// counting counts picks.
type counting struct {
	address.Balancer
	picks *int
}

func (c counting) Picker(v address.View, last address.Picker) address.Picker {
	if l, ok := last.(countingPicker); ok {
		last = l.Picker
	}
	p := c.Balancer.Picker(v, last)
	if p == nil {
		return nil
	}
	return countingPicker{p, c.picks}
}

type countingPicker struct {
	address.Picker
	picks *int
}

func (p countingPicker) Pick(r *address.Request) *address.Node {
	*p.picks++
	return p.Picker.Pick(r)
}

// TestDismissedAtOnce: a server that takes every connection and at once asks for no
// calls on it is not connected to without end.
func TestDismissedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServerSite(t)
		s.up()
		stop := make(chan struct{})
		s.tasks.Go(func() {
			for tick := time.NewTicker(time.Millisecond); ; {
				select {
				case <-tick.C:
				case <-stop:
					tick.Stop()
					return
				}
				s.mu.Lock()
				servers := s.servers
				s.servers = nil
				s.mu.Unlock()
				for _, srv := range servers {
					s.tasks.Go(func() { srv.Drain(context.Background()) })
				}
			}
		})
		defer close(stop)
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
			ctx, cancel := context.WithDeadline(t.Context(), end)
			s.Pick(ctx, time.Time{}, true)
			cancel()
		}
		if n := s.dials.Load(); n < 5 || n > 60 {
			t.Errorf("%d connections in a minute", n)
		}
	})
}

// TestOneOfSeveralHangs: with several connections, one that cannot be made delays
// no call while another lives.
func TestOneOfSeveralHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, func(c *BalancedConfig) {
			c.Open = func(cfg Config) (Line, error) { return NewMulti(cfg, 3), nil }
		}, "a")
		f.picks(12)
		f.settle()
		f.hang("a", true)
		f.servers["a"].open()[0].Close()
		time.Sleep(time.Second)
		if _, longest := f.picks(60); longest > 0 {
			t.Errorf("a call waited %v", longest)
		}
		f.hang("a", false)
	})
}

// TestCorrectedName: connections that are made after an endpoint's name has changed
// are checked against the new one.
func TestCorrectedName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var names []string
		f := newFarm(t, func(c *BalancedConfig) {
			c.Line.Secure = func(_ context.Context, nc net.Conn, name string) (net.Conn, error) {
				names = append(names, name)
				return nc, nil
			}
		}, "a")
		f.register(address.Endpoint{Network: "tcp", Addr: "a", Name: "wrong"})
		f.picks(1)
		f.register(address.Endpoint{Network: "tcp", Addr: "a", Name: "right"})
		f.settle()
		f.servers["a"].open()[0].Close()
		time.Sleep(time.Second)
		f.picks(1)
		if got := strings.Join(names, " "); got != "wrong right" {
			t.Errorf("names: %s", got)
		}
	})
}

// TestLocalSocket: a socket of this machine counts as secure only if it was the user
// who named it, and not a registry.
func TestLocalSocket(t *testing.T) {
	for _, trusted := range []bool{true, false} {
		a, b := net.Pipe()
		cfg := Config{Endpoint: address.Endpoint{Network: "unix", Addr: "/run/s"}, Trusted: trusted}
		if peer := cfg.PeerOf(a, "rpcx"); peer.Secure != trusted {
			t.Errorf("trusted %v: secure %v", trusted, peer.Secure)
		}
		a.Close()
		b.Close()
	}
}

// TestUnsent: a call of which nothing reached the server says nothing of it.
func TestUnsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, nil, "a")
		for range 10 {
			p := &Pick{Request: address.Request{Method: nopMethod}}
			c, err := f.Pick(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			p.Unsent = true
			f.Done(p, c, Unavailable(transport.ErrClosed))
		}
		n := f.node("a")
		if _, failed := n.Counts(); failed != 0 || n.Latency(0) != 0 || n.InFlight() != 0 {
			t.Errorf("%d failed, latency %v, %d in flight", failed, n.Latency(0), n.InFlight())
		}
	})
}
