package address

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDNSService(t *testing.T) {
	for name, test := range map[string]struct {
		hosts map[string][]string
		srv   []*net.SRV
		want  []Endpoint
		err   string
	}{
		"weights": {
			map[string][]string{"a.x.": {"10.0.0.1", "10.0.0.2"}, "b.x.": {"10.0.0.3"}},
			[]*net.SRV{{Target: "a.x.", Port: 7000, Weight: 3}, {Target: "b.x.", Port: 7001}},
			[]Endpoint{
				{Network: "tcp", Addr: "10.0.0.1:7000", Weight: 3, Name: "x"},
				{Network: "tcp", Addr: "10.0.0.2:7000", Weight: 3, Name: "x"},
				{Network: "tcp", Addr: "10.0.0.3:7001", Name: "x"},
			}, "",
		},
		"the best priority": {
			map[string][]string{"a.x.": {"10.0.0.1"}, "b.x.": {"10.0.0.3"}},
			[]*net.SRV{{Target: "a.x.", Port: 1, Priority: 1}, {Target: "b.x.", Port: 1, Priority: 2}},
			[]Endpoint{{Network: "tcp", Addr: "10.0.0.1:1", Name: "x"}}, "",
		},
		"the next priority": {
			map[string][]string{"b.x.": {"10.0.0.3"}},
			[]*net.SRV{{Target: "a.x.", Port: 1, Priority: 1}, {Target: "b.x.", Port: 1, Priority: 2}},
			[]Endpoint{{Network: "tcp", Addr: "10.0.0.3:1", Name: "x"}}, "",
		},
		"a part": {
			map[string][]string{"b.x.": {"10.0.0.3"}},
			[]*net.SRV{{Target: "a.x.", Port: 1}, {Target: "b.x.", Port: 1}},
			[]Endpoint{{Network: "tcp", Addr: "10.0.0.3:1", Name: "x"}}, "",
		},
		"no addresses": {nil, []*net.SRV{{Target: "a.x.", Port: 1}}, nil, "no such host"},
		"no records":   {nil, nil, nil, ""},
	} {
		for _, target := range []string{"dns:///_users._tcp.x", "dns+srv:_users._tcp.x"} {
			synctest.Test(t, func(t *testing.T) {
				w, _ := dnsWatch(t, DNS{Lookup: &fakeDNS{hosts: test.hosts, srv: test.srv}}, target)
				defer w.stop()
				u := w.updates[0]
				if diff := cmp.Diff(test.want, u.Endpoints); diff != "" {
					t.Errorf("%s: %s", name, diff)
				}
				if test.err == "" && u.Err != nil || test.err != "" && (u.Err == nil || !strings.Contains(u.Err.Error(), test.err)) {
					t.Errorf("%s: got error %v, want %q", name, u.Err, test.err)
				}
			})
		}
	}
}

// TestDNSTargetNames: the records say whose certificate is good only if the user wants.
func TestDNSTargetNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeDNS{hosts: map[string][]string{"a.y.": {"10.0.0.1"}}, srv: []*net.SRV{{Target: "a.y.", Port: 1}}}
		for want, d := range map[string]DNS{"x": {Lookup: f}, "a.y": {Lookup: f, TargetNames: true}} {
			w, _ := dnsWatch(t, d, "dns:///_users._tcp.x")
			if got := w.updates[0].Endpoints[0].Name; got != want {
				t.Errorf("got the name %q, want %q", got, want)
			}
			w.stop()
		}
	})
	for service, want := range map[string]string{
		"_users._tcp.x.y": "x.y", "_users._tcp.x.": "x", "users.x": "users.x", "_users.x": "x", "_users": "", "a._tcp.x": "a._tcp.x",
	} {
		if got := domainOf(service); got != want {
			t.Errorf("%s: got %q, want %q", service, got, want)
		}
	}
}

// TestDNSPart: hosts that cannot be looked up any more keep their addresses, and those
// of another priority do not take their place.
func TestDNSPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeDNS{
			hosts: map[string][]string{"a.x.": {"10.0.0.1"}, "b.x.": {"10.0.0.2"}, "c.x.": {"10.0.0.3"}},
			srv:   []*net.SRV{{Target: "b.x.", Port: 1}, {Target: "c.x.", Port: 1, Priority: 9}, {Target: "a.x.", Port: 1}},
		}
		misbehaves := errors.New("server misbehaving")
		w, _ := dnsWatch(t, DNS{Lookup: f}, "dns:///_users._tcp.x")
		defer w.stop()
		for _, step := range []struct {
			what   string
			broken map[string]error
			want   string
			err    error
		}{
			{"all is well", nil, "10.0.0.1:1 10.0.0.2:1", nil},
			{"one fails", map[string]error{"a.x.": misbehaves}, "10.0.0.1:1 10.0.0.2:1", misbehaves},
			{"all of the priority fail", map[string]error{"a.x.": misbehaves, "b.x.": misbehaves}, "", misbehaves},
			{"one is gone, one fails", map[string]error{"a.x.": misbehaves, "b.x.": notThere}, "", misbehaves},
			{"one is gone", map[string]error{"b.x.": notThere}, "10.0.0.1:1", nil},
			{"the priority is gone", map[string]error{"a.x.": notThere, "b.x.": notThere}, "10.0.0.3:1", nil},
			{"what is gone is not kept", map[string]error{"a.x.": misbehaves, "b.x.": notThere}, "10.0.0.3:1", misbehaves},
		} {
			f.mu.Lock()
			f.broken = step.broken
			f.mu.Unlock()
			time.Sleep(2 * DefaultDNSInterval)
			synctest.Wait()
			if _, got, err := w.last(); got != step.want || !errors.Is(err, step.err) || (err == nil) != (step.err == nil) {
				t.Errorf("%s: got %q, %v; want %q, %v", step.what, got, err, step.want, step.err)
			}
		}
	})
}

// TestDNSMany: what a server says cannot grow without bounds.
func TestDNSMany(t *testing.T) {
	var addrs []string
	for i := range 4096 {
		addrs = append(addrs, fmt.Sprintf("10.0.%d.%d", i/256, i%256))
	}
	var ports, targets []*net.SRV
	hosts := map[string][]string{"a.x.": addrs}
	for i := range 3000 {
		ports = append(ports, &net.SRV{Target: "a.x.", Port: uint16(i + 1)})
		target := fmt.Sprintf("h%d.x.", i)
		targets = append(targets, &net.SRV{Target: target, Port: 1})
		hosts[target] = addrs[i : i+1]
	}
	for name, test := range map[string]struct {
		srv             []*net.SRV
		lookups, length int
	}{
		"records times addresses": {ports, 1, maxDNSEndpoints},
		"targets":                 {targets, maxDNSTargets, maxDNSTargets},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeDNS{hosts: hosts, srv: test.srv}
			w, _ := dnsWatch(t, DNS{Lookup: f}, "dns:///_users._tcp.x")
			defer w.stop()
			u := w.updates[0]
			if len(u.Endpoints) != test.length || len(f.times()) != test.lookups || u.Err != nil {
				t.Errorf("%s: %d endpoints, %d look-ups, %v; want %d, %d", name, len(u.Endpoints), len(f.times()), u.Err, test.length, test.lookups)
			}
			// The slice grows with what is kept, not with what could be.
			if n := cap(u.Endpoints); n > 2*maxDNSEndpoints {
				t.Errorf("%s: a slice for %d endpoints", name, n)
			}
		})
	}
}
