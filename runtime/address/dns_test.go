package address

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

// fakeDNS answers from maps and notes when it was asked.
type fakeDNS struct {
	mu     sync.Mutex
	hosts  map[string][]string
	broken map[string]error // by host
	srv    []*net.SRV
	err    error
	hang   bool
	asked  []time.Time
}

var notThere = &net.DNSError{Err: "no such host", IsNotFound: true}

func (f *fakeDNS) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	f.mu.Lock()
	f.asked = append(f.asked, time.Now())
	hang, err, texts := f.hang, cmp.Or(f.err, f.broken[host]), f.hosts[host]
	f.mu.Unlock()
	if hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if err == nil && texts == nil {
		err = &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	var addrs []netip.Addr
	for _, text := range texts {
		if a := netip.MustParseAddr(text); network == "ip" || network == "ip4" && a.Is4() {
			addrs = append(addrs, a)
		}
	}
	return addrs, err
}

func (f *fakeDNS) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	if service != "" || proto != "" || name != "_users._tcp.x" {
		return "", nil, errors.New("asked for " + service + proto + name)
	}
	return name, f.srv, f.err
}

// times returns when it was asked.
func (f *fakeDNS) times() []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asked)
}

func (f *fakeDNS) set(host string, addrs ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hosts = map[string][]string{host: addrs}
}

func dnsWatch(t *testing.T, d DNS, target string) (*watched, Source) {
	t.Helper()
	s, err := Schemes{"dns": d, "dns+srv": d}.Resolve(target)
	if err != nil {
		t.Fatal(err)
	}
	return watch(t, s), s
}

func TestDNS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeDNS{}
		f.set("users.x", "10.0.0.2", "10.0.0.1", "::ffff:10.0.0.2", "fd00::1")
		w, _ := dnsWatch(t, DNS{Lookup: f}, "dns:///users.x:80")
		want := []Endpoint{
			{Network: "tcp", Addr: "10.0.0.1:80", Name: "users.x"},
			{Network: "tcp", Addr: "10.0.0.2:80", Name: "users.x"},
			{Network: "tcp", Addr: "[fd00::1]:80", Name: "users.x"},
		}
		if diff := gocmp.Diff(want, w.updates[0].Endpoints); diff != "" {
			t.Error(diff)
		}
		f.set("users.x", "10.0.0.9")
		time.Sleep(DefaultDNSInterval * 6 / 5)
		synctest.Wait()
		if _, got, err := w.last(); got != "10.0.0.9:80" || err != nil {
			t.Errorf("refreshed: got %q, %v", got, err)
		}
		w.stop()
		w, _ = dnsWatch(t, DNS{Lookup: f, Family: "ip4"}, "dns:users.x:1")
		if _, got, _ := w.last(); got != "10.0.0.9:1" {
			t.Errorf("IPv4: got %q", got)
		}
		w.stop()
	})
}

// TestDNSInterval: look-ups are an interval apart, more or less, and no two
// clients keep in step.
func TestDNSInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const interval = 10 * time.Second
		gaps := make(map[time.Duration]bool)
		for range 3 {
			f := &fakeDNS{}
			f.set("users.x", "10.0.0.1")
			w, _ := dnsWatch(t, DNS{Lookup: f, Interval: interval}, "dns:///users.x:1")
			time.Sleep(time.Hour)
			w.stop()
			if n := len(f.asked); n < 340 || n > 380 {
				t.Errorf("%d look-ups in an hour, want about 360", n)
			}
			for i := range f.asked[1:] {
				gap := f.asked[i+1].Sub(f.asked[i])
				if gap < interval*4/5 || gap > interval*6/5 {
					t.Errorf("%v between look-ups, want %v and a fifth", gap, interval)
				}
				gaps[gap] = true
			}
		}
		if len(gaps) < 500 {
			t.Errorf("only %d different intervals", len(gaps))
		}
	})
}

func TestDNSFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeDNS{err: errors.New("server misbehaving")}
		start := time.Now()
		w, source := dnsWatch(t, DNS{Lookup: f}, "dns:///users.x:1")
		time.Sleep(time.Minute)
		synctest.Wait()
		n, _, err := w.last()
		if err == nil || n < 5 || n > 8 { // after 1, 2, 4, 8, 16, 30 s
			t.Errorf("%d look-ups failed in a minute with %v; want 5 to 8", n, err)
		}
		if first := f.times()[1].Sub(start); first > 2*time.Second {
			t.Errorf("tried again after %v, want about a second", first)
		}
		f.mu.Lock()
		f.err, f.hosts = nil, map[string][]string{"users.x": {"10.0.0.1"}}
		f.mu.Unlock()
		time.Sleep(DefaultDNSInterval * 6 / 5)
		synctest.Wait()
		if _, got, err := w.last(); got != "10.0.0.1:1" || err != nil {
			t.Errorf("mended: got %q, %v", got, err)
		}

		// Refresh is heard, but not more often than once a second.
		time.Sleep(2 * time.Second)
		synctest.Wait()
		before := len(f.times())
		for range 50 {
			source.(Refresher).Refresh()
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		if n := len(f.times()) - before; n < 4 || n > 6 {
			t.Errorf("%d look-ups in 5 s of refreshing, want one a second", n)
		}

		// A server that does not answer.
		f.mu.Lock()
		f.hang = true
		f.mu.Unlock()
		time.Sleep(DefaultDNSInterval*6/5 + DefaultDNSTimeout)
		synctest.Wait()
		if _, _, err := w.last(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("hanging: got %v, want a timeout", err)
		}
		n, _, _ = w.last()
		time.Sleep(time.Minute)
		w.stop() // during a look-up or a pause: both end
		if len(w.updates) == n {
			t.Error("no further attempts")
		}
	})
}

// TestDNSPausesAnew: the pause after a failure does not depend on those before
// the last success.
func TestDNSPausesAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeDNS{}
		w, _ := dnsWatch(t, DNS{Lookup: f}, "dns:///users.x:1")
		defer w.stop()
		time.Sleep(5 * time.Minute)
		f.set("users.x", "10.0.0.1")
		time.Sleep(time.Minute)
		f.set("other.x")
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		w.mu.Lock()
		defer w.mu.Unlock()
		times := f.times()
		for i := 1; i < len(w.updates)-1; i++ {
			if w.updates[i-1].Err == nil && w.updates[i].Err != nil {
				if pause := times[i+1].Sub(times[i]); pause > 2*time.Second {
					t.Errorf("tried again after %v, want about a second", pause)
				}
				return
			}
		}
		t.Error("no failure after a success")
	})
}

func TestDNSStopsWhileAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeDNS{hang: true}
		w, _ := dnsWatch(t, DNS{Lookup: f}, "dns:///users.x:1")
		start := time.Now()
		w.stop()
		if len(w.updates) != 0 || time.Since(start) != 0 {
			t.Errorf("%d updates, stopped after %v; want none, at once", len(w.updates), time.Since(start))
		}
	})
}

// TestDNSServer asks a server over UDP that the target names.
func TestDNSServer(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			conn.WriteTo(dnsAnswer(buf[:n]), from)
		}
	}()
	defer func() {
		conn.Close()
		<-done
	}()
	for target, want := range map[string]string{
		"dns://" + conn.LocalAddr().String() + "/users.example.:7000":      "10.1.2.3:7000",
		"dns+srv://" + conn.LocalAddr().String() + "/_users._tcp.example.": "10.1.2.3:7070",
	} {
		s, err := Builtin().Resolve(target)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		s.Watch(ctx, func(u Update) {
			if got := list(u.Endpoints); got != want || u.Err != nil {
				t.Errorf("%s: got %q, %v; want %q", target, got, u.Err, want)
			}
			cancel()
		})
	}
}

// dnsAnswer answers any question for A with 10.1.2.3, for SRV with port 7070 of
// users.example, and others with nothing.
func dnsAnswer(q []byte) []byte {
	end := 12
	for q[end] != 0 {
		end += int(q[end]) + 1
	}
	question := q[12 : end+5]
	var data []byte
	switch binary.BigEndian.Uint16(q[end+1:]) {
	case 1:
		data = []byte{10, 1, 2, 3}
	case 33:
		data = append([]byte{0, 1, 0, 2, 7070 >> 8, 7070 & 0xff}, "\x05users\x07example\x00"...)
	}
	answer := append([]byte{q[0], q[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, question...)
	if data != nil {
		answer[7] = 1
		answer = append(answer, 0xc0, 12)                      // the name of the question
		answer = append(answer, question[len(question)-4:]...) // its type and class
		answer = append(answer, 0, 0, 0, 60, 0, byte(len(data)))
		answer = append(answer, data...)
	}
	return answer
}
