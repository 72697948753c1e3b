package dns

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/rpcx-go/rpcx/runtime/address"
)

// quick returns a Resolver that looks up often.
func quick() Resolver { return Resolver{MinTTL: 5 * time.Millisecond} }

// TestServer asks a real server, over UDP and, for an answer that is too large, TCP.
func TestServer(t *testing.T) {
	z := newZone(map[string]reply{
		"users.x. A":     of("users.x. 0 IN A 10.0.0.1"),
		"users.x. AAAA":  noData,
		"_u._tcp.x. SRV": {answer: []string{"_u._tcp.x. 60 IN SRV 1 1 80 users.x."}, extra: []string{"users.x. 60 IN A 10.0.0.2"}},
	})
	addr, _ := z.serve(t, "127.0.0.1:0")
	w := watch(t, quick(), "dns://"+addr+"/users.x:80")
	w.until(t, "10.0.0.1:80")
	z.set("users.x. A", of("users.x. 0 IN A 10.0.0.9"))
	w.until(t, "10.0.0.9:80")
	z.set("users.x. A", noName)
	w.until(t, "on "+addr+": no such name")
	w.stop()
	z.set("users.x. A", reply{rcode: miekg.RcodeServerFailure})
	w = watch(t, Resolver{Family: "ip4", MinTTL: time.Millisecond}, "dns://"+addr+"/users.x:80")
	w.until(t, "server "+addr+" answers SERVFAIL")
	watch(t, quick(), "dns+srv://"+addr+"/_u._tcp.x").until(t, "10.0.0.2:80")

	var large []string
	for i := range 200 {
		large = append(large, fmt.Sprintf("users.x. 0 IN A 10.1.0.%d", i+1))
	}
	z.set("users.x. A", reply{answer: large, large: true})
	u := watch(t, quick(), "dns://"+addr+"/users.x:80").until(t, "10.1.0.1:80")
	if len(u.Endpoints) != 200 {
		t.Errorf("%d of 200 addresses", len(u.Endpoints))
	}
}

// TestServerAway: the error names the server, and when it is back all is well.
func TestServerAway(t *testing.T) {
	z := newZone(map[string]reply{"users.x. A": of("users.x. 0 IN A 10.0.0.1"), "users.x. AAAA": noData})
	addr, stop := z.serve(t, "127.0.0.1:0")
	r := quick()
	r.Timeout = 100 * time.Millisecond
	w := watch(t, r, "dns://"+addr+"/users.x:80")
	w.until(t, "10.0.0.1:80")
	stop()
	w.until(t, "server "+addr+": ")
	z.serve(t, addr)
	w.source.(address.Refresher).Refresh()
	w.until(t, "10.0.0.1:80")
}

// TestTimeout: a server that does not answer, and one that answers something else.
func TestTimeout(t *testing.T) {
	z := newZone(map[string]reply{"users.x. A": {hang: true}, "users.x. AAAA": {hang: true}})
	addr, _ := z.serve(t, "127.0.0.1:0")
	r := quick()
	r.Timeout, r.Attempts = 20*time.Millisecond, 1
	watch(t, r, "dns://"+addr+"/users.x:80").until(t, "server "+addr+": udp: context deadline exceeded")
	z.set("users.x. A", reply{edit: func(m *miekg.Msg) { m.Id++ }})
	watch(t, r, "dns://"+addr+"/users.x:80").until(t, "its id is")
}

// TestForged: what comes over UDP and is not the answer is passed over.
func TestForged(t *testing.T) {
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
			q := new(miekg.Msg)
			if err := q.Unpack(buf[:n]); err != nil {
				t.Error(err)
				return
			}
			for _, edit := range []func(*miekg.Msg){
				func(m *miekg.Msg) { m.Id++ },
				func(m *miekg.Msg) { m.Response = false },
				func(m *miekg.Msg) { m.Opcode = miekg.OpcodeNotify },
				func(m *miekg.Msg) { m.Question[0].Name = "other.x." },
				func(m *miekg.Msg) { m.Question[0].Qtype = miekg.TypeTXT },
				func(m *miekg.Msg) { m.Question = nil },
				func(m *miekg.Msg) { m.Answer[0].(*miekg.A).A = net.IPv4(10, 0, 0, 1) },
			} {
				m := new(miekg.Msg).SetReply(q)
				m.Answer = []miekg.RR{&miekg.A{Hdr: miekg.RR_Header{Name: "users.x.", Rrtype: miekg.TypeA, Class: miekg.ClassINET, Ttl: 60}, A: net.IPv4(10, 6, 6, 6)}}
				edit(m)
				packed, err := m.Pack()
				if err != nil {
					t.Error(err)
					return
				}
				conn.WriteTo(packed[:5], from)
				conn.WriteTo(packed[:len(packed)-2], from)
				conn.WriteTo(packed, from)
			}
		}
	}()
	defer func() {
		conn.Close()
		<-done
	}()
	w := watch(t, Resolver{Family: "ip4"}, "dns://"+conn.LocalAddr().String()+"/users.x:80")
	if u := w.until(t, ":80"); len(u.Endpoints) != 1 || !strings.HasPrefix(u.Endpoints[0].Addr, "10.0.0.1:") {
		t.Errorf("got %v", u.Endpoints)
	}
}

// FuzzParse: nothing that a server sends makes the resolver fail.
func FuzzParse(f *testing.F) {
	q := new(miekg.Msg).SetQuestion("users.x.", miekg.TypeA)
	q.Id = 7
	for _, r := range []reply{of("users.x. 60 IN A 10.0.0.1"), of("users.x. 60 IN CNAME a.x."), noName} {
		m, _ := newZone(map[string]reply{"users.x. A": r}).reply("", "", q)
		packed, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parse(data, q)
		if err != nil {
			return
		}
		if m.Id != 7 || !m.Response {
			t.Errorf("taken for the answer: %v", m)
		}
		c := chain{name: "users.x.", qtype: miekg.TypeA, ttl: time.Minute}
		if _, err := c.follow(m); err == nil && (c.ttl < 0 || c.hops > maxChain) {
			t.Errorf("%+v", c)
		}
		negativeTTL(m)
	})
}
