package dns

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/rpcx-go/rpcx/runtime/address"
)

// weighted returns the addresses with their weights and names.
func weighted(endpoints []address.Endpoint) string {
	var all []string
	for _, e := range endpoints {
		all = append(all, fmt.Sprintf("%s=%d@%s", e.Addr, e.Weight, e.Name))
	}
	return strings.Join(all, " ")
}

func srv(rest string) string { return "_u._tcp.x. 300 IN SRV " + rest }

// TestServiceName: certificates of what SRV records name are for the service's domain.
func TestServiceName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone(map[string]reply{
			"_u._tcp.x. SRV":  of(srv("1 1 80 evil.example.")),
			"evil.example. A": of("evil.example. 300 IN A 10.6.6.6"),
		})
		r := z.fake()
		r.Family = "ip4"
		w := watch(t, r, "dns:///_u._tcp.x")
		synctest.Wait()
		if u := <-w.updates; weighted(u.Endpoints) != "10.6.6.6:80=1@x" {
			t.Errorf("got %q, %v", weighted(u.Endpoints), u.Err)
		}
	})
}

func TestServices(t *testing.T) {
	hosts := map[string]reply{
		"one.x. A":    of("one.x. 300 IN A 10.0.0.1"),
		"two.x. A":    of("two.x. 300 IN A 10.0.0.2", "two.x. 300 IN A 10.0.0.3"),
		"three.x. A":  of("three.x. 300 IN A 10.0.0.4", "three.x. 300 IN A 10.0.0.5", "three.x. 300 IN A 10.0.0.6"),
		"odd.x. A":    of("odd.x. 300 IN A 0.0.0.0", "odd.x. 300 IN A 224.0.0.1", "other.x. 300 IN A 10.6.6.6", "odd.x. 300 CH A 10.6.6.6", "odd.x. 300 IN A 10.0.0.7"),
		"broken.x. A": {rcode: miekg.RcodeServerFailure},
	}
	for name, test := range map[string]struct {
		srv   reply
		want  string
		asked string // for what other than the SRV records
	}{
		"weights are the endpoints'": {
			of(srv("1 3 80 one.x."), srv("1 5 81 one.x.")), "10.0.0.1:80=3@one.x 10.0.0.1:81=5@one.x", "one.x. A",
		},
		"a target's addresses share its weight": {
			of(srv("1 10 80 one.x."), srv("1 10 80 two.x."), srv("1 5 80 three.x.")),
			"10.0.0.1:80=60@one.x 10.0.0.2:80=30@two.x 10.0.0.3:80=30@two.x 10.0.0.4:80=10@three.x 10.0.0.5:80=10@three.x 10.0.0.6:80=10@three.x",
			"one.x. A, three.x. A, two.x. A",
		},
		"no weights":          {of(srv("1 0 80 one.x."), srv("1 0 80 two.x.")), "10.0.0.1:80=2@one.x 10.0.0.2:80=1@two.x 10.0.0.3:80=1@two.x", "one.x. A, two.x. A"},
		"the same twice":      {of(srv("1 3 80 one.x."), srv("1 4 80 ONE.x.")), "10.0.0.1:80=7@one.x", "one.x. A"},
		"the best priority":   {of(srv("2 1 80 one.x."), srv("1 1 80 two.x.")), "10.0.0.2:80=1@two.x 10.0.0.3:80=1@two.x", "two.x. A"},
		"the next, if none":   {of(srv("2 1 80 one.x."), srv("1 1 80 none.x.")), "10.0.0.1:80=1@one.x", "none.x. A, one.x. A"},
		"the next, if broken": {of(srv("2 1 80 one.x."), srv("1 1 80 broken.x.")), "10.0.0.1:80=1@one.x", "broken.x. A, broken.x. A, one.x. A"},
		"broken entries": {
			of(srv("0 1 0 two.x."), srv("0 1 80 ."), srv("1 1 80 none.x."), srv("1 1 80 broken.x."), srv("1 1 80 odd.x."), srv("1 1 80 one.x."), "other.x. 300 IN SRV 1 1 80 three.x."),
			"10.0.0.1:80=1@one.x 10.0.0.7:80=1@odd.x", "broken.x. A, broken.x. A, none.x. A, odd.x. A, one.x. A",
		},
		"sent along": {
			reply{
				answer: []string{srv("1 1 80 one.x."), srv("1 1 80 two.x.")},
				extra:  []string{"one.x. 300 IN A 10.9.9.1", "ONE.x. 300 IN A 10.9.9.2", "two.x. 300 IN AAAA fd00::1", "three.x. 300 IN A 10.6.6.6"},
			}, "10.0.0.2:80=1@two.x 10.0.0.3:80=1@two.x 10.9.9.1:80=1@one.x 10.9.9.2:80=1@one.x", "two.x. A",
		},
		"by an alias": {of("_u._tcp.x. 300 IN CNAME _v._tcp.x.", "_v._tcp.x. 300 IN SRV 1 1 80 one.x."), "10.0.0.1:80=1@one.x", "one.x. A"},
		"not there":   {of(srv("0 0 0 .")), "the service is not there", ""},
		"no records":  {noData, "no such records", ""},
		"no name":     {noName, "no such name", ""},
		"no server":   {reply{rcode: miekg.RcodeRefused}, "server 192.0.2.1:53 answers REFUSED", "_u._tcp.x. SRV"},
		"no targets":  {of(srv("1 1 80 none.x."), srv("2 1 80 nil.x.")), "none.x. A on 192.0.2.1:53: no such name", "nil.x. A, none.x. A"},
		"all broken":  {of(srv("1 1 80 none.x."), srv("2 1 80 broken.x.")), "broken.x. A: server 192.0.2.1:53 answers SERVFAIL", "broken.x. A, broken.x. A, none.x. A"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				z := newZone(map[string]reply{"_u._tcp.x. SRV": test.srv})
				for what, r := range hosts {
					z.replies[what] = r
				}
				r := z.fake()
				r.Family, r.TargetNames = "ip4", true
				w := watch(t, r, "dns:///_u._tcp.x")
				synctest.Wait()
				u := <-w.updates
				got := weighted(u.Endpoints)
				if u.Err != nil {
					if got != "" || !strings.Contains(u.Err.Error(), `target "dns:///_u._tcp.x": `) {
						t.Errorf("with the error %v: %q", u.Err, got)
					}
					if strings.Contains(u.Err.Error(), test.want) {
						got = test.want
					}
				}
				if got != test.want {
					t.Errorf("got  %q, %v\nwant %q", got, u.Err, test.want)
				}
				want := strings.TrimSuffix("_u._tcp.x. SRV, "+test.asked, ", ")
				if asked := z.all(); asked != want {
					t.Errorf("asked %q, want %q", asked, want)
				}
			})
		})
	}
}

func TestHosts(t *testing.T) {
	long := []string{}
	for i := range maxChain + 1 {
		long = append(long, fmt.Sprintf("l%d.x. 60 IN CNAME l%d.x.", i, i+1))
	}
	zones := map[string]reply{
		"m.x. A": of(append([]string{"m.x. 60 IN CNAME l0.x.", "l8.x. 60 IN A 10.0.0.1"}, long[:maxChain]...)...), "m.x. AAAA": {err: errAway},
		"both.x. A": of("both.x. 9 IN A 10.0.0.2", "both.x. 9 IN A 10.0.0.1", "both.x. 9 IN A 10.0.0.1"), "both.x. AAAA": of("both.x. 9 IN AAAA fd00::1", "both.x. 9 IN AAAA ::ffff:10.0.0.1"),
		"six.x. A": noData, "six.x. AAAA": of("six.x. 9 IN AAAA fd00::6"),
		"alias.x. A": of("alias.x. 60 IN CNAME mid.x."), "alias.x. AAAA": noData, "mid.x. A": of("mid.x. 60 IN CNAME six.x."),
		"alias6.x. AAAA": of("alias6.x. 60 IN CNAME mid6.x."), "mid6.x. AAAA": of("mid6.x. 60 IN CNAME six.x.", "six.x. 60 IN AAAA fd00::6"),
		"loop.x. A": of("loop.x. 60 IN CNAME pool.x.", "pool.x. 60 IN CNAME loop.x."), "loop.x. AAAA": {err: errAway},
		"l0.x. A": of(long...), "l0.x. AAAA": of(long[:maxChain]...), "l8.x. AAAA": of("l8.x. 60 IN AAAA fd00::8"),
		"gone.x. A":  {rcode: miekg.RcodeNameError, answer: []string{"gone.x. 60 IN CNAME none.x."}},
		"users.x. A": of("users.x. 60 IN A 10.0.0.4"), "users.y. A": of("users.y. 60 IN A 10.0.0.5"), "down.x. A": {rcode: miekg.RcodeServerFailure}, "down.x. AAAA": {rcode: miekg.RcodeServerFailure}, "down.y. A": of("down.y. 60 IN A 10.0.0.6"),
		"a.b.y. A": of("a.b.y. 60 IN A 10.0.0.7"), "only. A": of("only. 60 IN A 10.0.0.8"),
		"lame.x. A": {edit: func(m *miekg.Msg) { m.RecursionAvailable = false }}, "lame.x. AAAA": {edit: func(m *miekg.Msg) { m.RecursionAvailable = false }},
		"old.x. A": {answer: []string{"old.x. 60 IN A 10.0.0.9"}}, "odd.x. A": {rcode: 4000}, "odd.x. AAAA": {rcode: 4000},
	}
	for host, want := range map[string]string{
		"both.x":  "10.0.0.1:1 10.0.0.2:1 [fd00::1]:1",
		"BOTH.x":  "10.0.0.1:1 10.0.0.2:1 [fd00::1]:1",
		"six.x":   "[fd00::6]:1",
		"alias.x": "no such records", "alias6.x": "[fd00::6]:1",
		"loop.x": "more than 8 aliases", "l0.x": "[fd00::8]:1", "m.x": "more than 8 aliases", "gone.x": "gone.x. A on 192.0.2.1:53: no such name",
		"users": "10.0.0.4:1", "users.": "no such name", "users.y.": "10.0.0.5:1", "down": "down.x. A: server 192.0.2.1:53 answers SERVFAIL",
		"a.b": "10.0.0.7:1", "only": "10.0.0.8:1", "lame.x": "does not look names up for others", "odd.x": "answers code 4000",
		"192.0.2.7": "192.0.2.7:1", "[fd00::7]": "[fd00::7]:1",
	} {
		t.Run(host, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				z := newZone(zones)
				r := z.fake()
				r.Search = []string{"x", "y."}
				w := watch(t, r, "dns:///"+host+":1")
				if got := w.last(t); got != want && (!strings.HasPrefix(got, "error: ") || !strings.Contains(got, want)) {
					t.Errorf("got %q, want %q", got, want)
				}
			})
		})
	}
}

// TestServers: the next one is asked if one fails, and one that does not know
// what a size is is asked without.
func TestServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone(map[string]reply{"users.x. A": of("users.x. 60 IN A 10.0.0.1")})
		z.replies["users.x. A"] = reply{answer: []string{"users.x. 60 IN A 10.0.0.1"}, edit: func(m *miekg.Msg) {
			last := z.asked[len(z.asked)-1] // it is called with the lock
			switch last.server {
			case "192.0.2.1:53":
				m.Rcode = miekg.RcodeServerFailure
			case "[2001:db8::1]:53":
				if last.edns {
					m.Rcode = miekg.RcodeFormatError
				}
			}
		}}
		r := z.fake()
		r.Family = "ip4"
		w := watch(t, r, "dns://192.0.2.1,2001:db8::1,[2001:db8::2]:5353/users.x:1")
		if got := w.last(t); got != "10.0.0.1:1" {
			t.Errorf("got %q", got)
		}
		var servers []string
		for _, a := range z.asked {
			servers = append(servers, a.server)
		}
		if got := strings.Join(servers, " "); got != "192.0.2.1:53 [2001:db8::1]:53 [2001:db8::1]:53" {
			t.Errorf("asked %s", got)
		}
		z.mu.Lock()
		z.replies["users.x. A"] = reply{err: errAway}
		z.asked = nil
		z.mu.Unlock()
		time.Sleep(67 * time.Second)
		if got := w.last(t); !strings.Contains(got, "no route; server") {
			t.Errorf("got %q", got)
		}
		if n := len(z.times("users.x. A")); n < 6 || n%6 != 0 {
			t.Errorf("asked %d times, want twice each of three servers", n)
		}
	})
}

// TestResolvConf: the file is read anew, and what is broken in it is passed over.
func TestResolvConf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone(map[string]reply{"users.a.x. A": of("users.a.x. 60 IN A 10.0.0.1")})
		file := filepath.Join(t.TempDir(), "resolv.conf")
		write := func(text string) {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		asked := func() string {
			z.mu.Lock()
			defer z.mu.Unlock()
			last := z.asked[len(z.asked)-1]
			return last.what + " " + last.server
		}
		r := Resolver{ResolvConf: file, Family: "ip4", exchange: z.exchange}
		w := watch(t, r, "dns:///users.a:1")
		if got := w.last(t); !strings.Contains(got, "no such file") || !strings.Contains(got, "Resolver.Servers") {
			t.Errorf("no file: got %q", got)
		}
		write("# empty\n")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := asked(); got != "users.a. A 127.0.0.1:53" {
			t.Errorf("an empty file: asked %q", got)
		}
		write("nameserver ns.x\nnameserver 192.0.2.9\nsearch . " + strings.Repeat("a", 64) + " x\noptions ndots:2\n")
		time.Sleep(45 * time.Second)
		if got := w.last(t); got != "10.0.0.1:1" {
			t.Errorf("got %q", got)
		}
		if got := asked(); got != "users.a.x. A 192.0.2.9:53" {
			t.Errorf("asked %q", got)
		}
	})
}

func TestTargets(t *testing.T) {
	for target, want := range map[string]string{
		"dns:///users.x":            "want host:port",
		"dns:///:80":                "the host is missing",
		"dns:///users.x:nosuchport": "want host:port",
		"dns:///a..b:80":            `"a..b" is not a domain name`,
		"dns:///_u._tcp.x:80":       "without a port",
		"dns+srv:///":               "want the name of a service",
		"dns+srv:///a..b":           "is not a domain name",
		"dns://ns:port/users.x:80":  `server "ns:port": want host or host:port`,
		"dns://:53/users.x:80":      `server ":53": want host or host:port`,
		"dns://a:b:c/users.x:80":    `server "a:b:c": want host or host:port`,
	} {
		_, err := address.Schemes{"dns": Resolver{}, "dns+srv": Resolver{}}.Resolve(target)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), target) {
			t.Errorf("%s: got %v, want %q", target, err, want)
		}
	}
	for want, r := range map[string]Resolver{
		"Resolver.Family":  {Family: "ip5"},
		"Resolver.MinTTL":  {MinTTL: time.Hour, MaxTTL: time.Minute},
		"Resolver.Search":  {Search: []string{"a..b"}},
		`server "::1:x:y"`: {Servers: []string{"::1:x:y"}},
	} {
		_, err := address.Schemes{"dns": r}.Resolve("dns:///users.x:80")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", r, err, want)
		}
	}
}
