package dns

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/rpcx-go/rpcx/runtime/address"
)

// fake returns a Resolver that asks the zone without sockets.
func (z *zone) fake() Resolver { return Resolver{Servers: []string{"192.0.2.1"}, exchange: z.exchange} }

// last returns the last update so far; the test is in a synctest bubble.
func (w *watched) last(t *testing.T) string {
	t.Helper()
	synctest.Wait()
	last := "nothing"
	for {
		select {
		case u := <-w.updates:
			last = said(u)
		default:
			return last
		}
	}
}

// within checks that the questions for what are between low and high apart.
func (z *zone) within(t *testing.T, what string, n int, low, high time.Duration) {
	t.Helper()
	times := z.times(what)
	if len(times) < n {
		t.Errorf("%s was asked %d times, want %d at least", what, len(times), n)
	}
	for i := 1; i < len(times); i++ {
		if gap := times[i].Sub(times[i-1]); gap < low || gap > high {
			t.Errorf("%s was asked again after %v, want %v to %v", what, gap, low, high)
		}
	}
}

// TestTTL: each answer is looked up again when it runs out, and not before.
func TestTTL(t *testing.T) {
	for name, test := range map[string]struct {
		a         reply
		low, high time.Duration
	}{
		"its own":         {of("users.x. 20 IN A 10.0.0.1"), 20 * time.Second, 22 * time.Second},
		"the smallest":    {of("users.x. 90 IN A 10.0.0.1", "users.x. 10 IN A 10.0.0.2"), 10 * time.Second, 11 * time.Second},
		"at least 1 s":    {of("users.x. 0 IN A 10.0.0.1"), time.Second, 1100 * time.Millisecond},
		"at most 5 min":   {of("users.x. 86400 IN A 10.0.0.1"), 300 * time.Second, 330 * time.Second},
		"of an alias":     {of("users.x. 15 IN CNAME a.x.", "a.x. 90 IN A 10.0.0.1"), 15 * time.Second, 16500 * time.Millisecond},
		"of what it ends": {of("users.x. 90 IN CNAME a.x.", "a.x. 15 IN A 10.0.0.1"), 15 * time.Second, 16500 * time.Millisecond},
		"none":            {noName, 40 * time.Second, 44 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				z := newZone(map[string]reply{"users.x. A": test.a, "users.x. AAAA": noName})
				r := z.fake()
				r.Family = "ip4"
				w := watch(t, r, "dns:///users.x:80")
				time.Sleep(20 * time.Minute)
				w.stop()
				z.within(t, "users.x. A", 3, test.low, test.high)
			})
		})
	}
}

// TestTTLOfEach: what has not run out is not asked again, and a change is seen in time.
func TestTTLOfEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone(map[string]reply{
			"_u._tcp.x. SRV": of("_u._tcp.x. 200 IN SRV 1 1 7000 a.x."),
			"a.x. A":         of("a.x. 10 IN A 10.0.0.1"),
			"a.x. AAAA":      noData,
		})
		w := watch(t, z.fake(), "dns:///_u._tcp.x")
		time.Sleep(100 * time.Second)
		if got := w.last(t); got != "10.0.0.1:7000" {
			t.Errorf("got %q", got)
		}
		z.set("a.x. A", of("a.x. 10 IN A 10.0.0.2"))
		time.Sleep(12200 * time.Millisecond)
		if got := w.last(t); got != "10.0.0.2:7000" {
			t.Errorf("after the change: got %q", got)
		}
		time.Sleep(15 * time.Minute)
		w.stop()
		z.within(t, "_u._tcp.x. SRV", 4, 200*time.Second, 220*time.Second)
		z.within(t, "a.x. A", 50, 10*time.Second, 12200*time.Millisecond) // look-ups are a second apart at least
		z.within(t, "a.x. AAAA", 10, 40*time.Second, 55*time.Second)
	})
}

func TestJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone(map[string]reply{"users.x. A": of("users.x. 20 IN A 10.0.0.1"), "users.x. AAAA": noData})
		r := z.fake()
		r.Family = "ip4"
		w := watch(t, r, "dns:///users.x:80")
		time.Sleep(time.Hour)
		w.stop()
		times := z.times("users.x. A")
		gaps := make(map[time.Duration]bool)
		for i := 1; i < len(times); i++ {
			gaps[times[i].Sub(times[i-1])] = true
		}
		if len(gaps) < len(times)/2 {
			t.Errorf("%d different pauses in %d", len(gaps), len(times))
		}
	})
}

func TestFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone(map[string]reply{})
		z.def = reply{rcode: miekg.RcodeServerFailure}
		r := z.fake()
		r.Family, r.Attempts = "ip4", 1
		w := watch(t, r, "dns:///users.x:80")
		time.Sleep(time.Minute)
		if got := w.last(t); got != `error: target "dns:///users.x:80": users.x. A: server 192.0.2.1:53 answers SERVFAIL` {
			t.Errorf("got %q", got)
		}
		if n := len(z.times("users.x. A")); n < 5 || n > 8 { // after 1, 2, 4, 8, 16, 30 s
			t.Errorf("asked %d times in a minute, want 5 to 8", n)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		n := len(z.times("users.x. A"))
		z.set("users.x. A", of("users.x. 3600 IN A 10.0.0.1"))
		time.Sleep(36 * time.Second)
		if got := w.last(t); got != "10.0.0.1:80" {
			t.Errorf("mended: got %q", got)
		}
		if n < 95 || n > 160 {
			t.Errorf("asked %d times in an hour, want about 120", n)
		}

		// The pause is short again after a success.
		z.set("users.x. A", reply{err: errAway})
		w.source.(address.Refresher).Refresh()
		time.Sleep(2 * time.Second) // the third attempt is 2.4 to 3.6 s after the first
		z.set("users.x. A", of("users.x. 3600 IN A 10.0.0.2"))
		time.Sleep(3 * time.Second)
		if got := w.last(t); got != "10.0.0.2:80" {
			t.Errorf("mended again: got %q", got)
		}
	})
}

func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone(map[string]reply{"users.x. A": of("users.x. 300 IN A 10.0.0.1"), "users.x. AAAA": noData})
		w := watch(t, z.fake(), "dns:///users.x:80")
		other := make(chan address.Update, 1000)
		ctx := t.Context()
		go w.source.Watch(ctx, func(u address.Update) { other <- u })
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := len(z.times("users.x. A")); n != 2 {
			t.Fatalf("asked %d times, want once for each Watch", n)
		}
		z.set("users.x. A", of("users.x. 300 IN A 10.0.0.2"))
		w.source.(address.Refresher).Refresh()
		if got := w.last(t); got != "10.0.0.2:80" {
			t.Errorf("got %q", got)
		}
		if len(other) != 2 {
			t.Errorf("the other Watch had %d updates, want 2", len(other))
		}
		before := len(z.times("users.x. A"))
		for range 50 {
			w.source.(address.Refresher).Refresh()
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		if n := len(z.times("users.x. A")) - before; n < 8 || n > 12 {
			t.Errorf("asked %d times in 5 s of refreshing, want once a second for each Watch", n)
		}
	})
}

// TestRefreshAdditional: what a server sends along is not asked for again.
func TestRefreshAdditional(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone(map[string]reply{"_u._tcp.x. SRV": {
			answer: []string{"_u._tcp.x. 300 IN SRV 1 1 7000 a.x."},
			extra:  []string{"a.x. 300 IN A 10.0.0.1", "a.x. 300 IN AAAA fd00::1"},
		}})
		w := watch(t, z.fake(), "dns:///_u._tcp.x")
		time.Sleep(10 * time.Second)
		w.source.(address.Refresher).Refresh()
		if got := w.last(t); got != "10.0.0.1:7000 [fd00::1]:7000" {
			t.Errorf("got %q", got)
		}
		if got := z.all(); got != "_u._tcp.x. SRV, _u._tcp.x. SRV" {
			t.Errorf("asked %q", got)
		}
	})
}

// TestTTLOfSearch: that there is no such name in one domain does not have the
// name in another one looked up sooner.
func TestTTLOfSearch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone(map[string]reply{"users.y. A": of("users.y. 300 IN A 10.0.0.1")})
		r := z.fake()
		r.Family, r.Search = "ip4", []string{"x", "y"}
		w := watch(t, r, "dns:///users:80")
		time.Sleep(20 * time.Minute)
		if got := w.last(t); got != "10.0.0.1:80" {
			t.Errorf("got %q", got)
		}
		z.within(t, "users.x. A", 3, 300*time.Second, 330*time.Second)
		z.within(t, "users.y. A", 3, 300*time.Second, 330*time.Second)
	})
}

// TestStops: Watch returns at once, and without an update, from a question and
// from a pause.
func TestStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone(map[string]reply{})
		z.def = reply{hang: true}
		w := watch(t, z.fake(), "dns:///users.x:80")
		synctest.Wait()
		start := time.Now()
		w.stop()
		if len(w.updates) != 0 || time.Since(start) != 0 {
			t.Errorf("%d updates, stopped after %v; want none, at once", len(w.updates), time.Since(start))
		}
		z.def = noName
		w = watch(t, z.fake(), "dns:///users.x:80")
		synctest.Wait()
		w.stop()
		if len(w.updates) != 1 || time.Since(start) != 0 {
			t.Errorf("%d updates, stopped after %v; want one, at once", len(w.updates), time.Since(start))
		}
	})
}

// TestHanging: a look-up ends, even if everything hangs.
func TestHanging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone(map[string]reply{})
		z.def = reply{hang: true}
		w := watch(t, z.fake(), "dns:///users.x:80")
		time.Sleep(roundTimeout)
		if got := w.last(t); !strings.Contains(got, "deadline exceeded") || !strings.Contains(got, "dns:///users.x:80") {
			t.Errorf("got %q", got)
		}
	})
}

// TestPart: what cannot be looked up again does not take away anything.
func TestPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone(map[string]reply{
			"_u._tcp.x. SRV": of("_u._tcp.x. 300 IN SRV 1 1 7000 a.x.", "_u._tcp.x. 300 IN SRV 1 1 7000 b.x."),
			"a.x. A":         of("a.x. 10 IN A 10.0.0.1"), "a.x. AAAA": of("a.x. 10 IN AAAA fd00::1"),
			"b.x. A": of("b.x. 10 IN A 10.0.0.2"), "b.x. AAAA": noData,
		})
		w := watch(t, z.fake(), "dns:///_u._tcp.x")
		const all = "10.0.0.1:7000 10.0.0.2:7000 [fd00::1]:7000"
		if got := w.last(t); got != all {
			t.Errorf("got %q", got)
		}
		down := reply{rcode: miekg.RcodeRefused}
		for _, what := range []string{"a.x. AAAA", "b.x. A", "b.x. AAAA"} {
			z.set(what, down)
		}
		time.Sleep(15 * time.Minute)
		if got := w.last(t); got != all {
			t.Errorf("a part fails: got %q", got)
		}
		z.set("b.x. A", noName)
		z.set("b.x. AAAA", noName)
		time.Sleep(32 * time.Second)
		if got := w.last(t); got != "10.0.0.1:7000 [fd00::1]:7000" {
			t.Errorf("a part is gone: got %q", got)
		}
		z.set("a.x. A", down)
		time.Sleep(time.Minute)
		if got := w.last(t); !strings.Contains(got, "REFUSED") {
			t.Errorf("all fails: got %q", got)
		}
	})
}

// TestMany: what a server says cannot grow without bounds.
func TestMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone(map[string]reply{})
		var records []string
		for i := range 1000 {
			records = append(records, fmt.Sprintf("_u._tcp.x. 300 IN SRV 1 1 %d h%03d.x.", i+1, i))
			z.replies[fmt.Sprintf("h%03d.x. A", i)] = of(fmt.Sprintf("h%03d.x. 300 IN A 10.0.%d.%d", i, i/250, i%250+1))
		}
		z.replies["_u._tcp.x. SRV"] = of(records...)
		r := z.fake()
		r.Family = "ip4"
		w := watch(t, r, "dns:///_u._tcp.x")
		if n := len(strings.Fields(w.last(t))); n != maxTargets {
			t.Errorf("%d endpoints, want %d", n, maxTargets)
		}
		if n := len(z.asked); n != 1+maxTargets {
			t.Errorf("%d questions", n)
		}
	})
}
