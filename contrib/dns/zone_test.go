package dns

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	miekg "github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/rpcx-go/rpcx/runtime/address"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// zone is what a name server knows. It notes what it was asked.
type zone struct {
	mu      sync.Mutex
	replies map[string]reply // by "name. TYPE"
	def     reply            // to all else
	asked   []asked
}

// reply is an answer; records are in the form of a zone file.
type reply struct {
	rcode             int
	answer, ns, extra []string
	err               error
	hang              bool
	large             bool // goes over TCP only
	edit              func(*miekg.Msg)
}

type asked struct {
	what, proto, server string
	at                  time.Time
	edns                bool
}

const soa = "x. 40 IN SOA ns.x. root.x. 1 2 3 4 40"

var (
	noName = reply{rcode: miekg.RcodeNameError, ns: []string{soa}}
	noData = reply{ns: []string{soa}}
)

func newZone(replies map[string]reply) *zone { return &zone{replies: replies, def: noName} }

// of returns a reply with these records.
func of(records ...string) reply { return reply{answer: records} }

func (z *zone) set(what string, r reply) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.replies[what] = r
}

// times returns when it was asked for what.
func (z *zone) times(what string) []time.Time {
	z.mu.Lock()
	defer z.mu.Unlock()
	var at []time.Time
	for _, a := range z.asked {
		if a.what == what {
			at = append(at, a.at)
		}
	}
	return at
}

// all returns what it was asked, sorted.
func (z *zone) all() string {
	z.mu.Lock()
	defer z.mu.Unlock()
	var whats []string
	for _, a := range z.asked {
		whats = append(whats, a.what)
	}
	slices.Sort(whats)
	return strings.Join(whats, ", ")
}

func (z *zone) reply(proto, server string, q *miekg.Msg) (*miekg.Msg, reply) {
	z.mu.Lock()
	defer z.mu.Unlock()
	what := question{strings.ToLower(q.Question[0].Name), q.Question[0].Qtype}.String()
	z.asked = append(z.asked, asked{what, proto, server, time.Now(), q.IsEdns0() != nil})
	r, ok := z.replies[what]
	if !ok {
		r = z.def
	}
	m := new(miekg.Msg).SetRcode(q, r.rcode)
	m.RecursionAvailable = true
	for _, part := range []struct {
		texts []string
		to    *[]miekg.RR
	}{{r.answer, &m.Answer}, {r.ns, &m.Ns}, {r.extra, &m.Extra}} {
		for _, text := range part.texts {
			rr, err := miekg.NewRR(text)
			if err != nil {
				panic(err)
			}
			*part.to = append(*part.to, rr)
		}
	}
	if r.edit != nil {
		r.edit(m)
	}
	if r.large && proto == "udp" {
		m.Truncated = true
		m.Answer = m.Answer[:1]
	}
	return m, r
}

// exchange is an exchanger without sockets.
func (z *zone) exchange(ctx context.Context, server string, q *miekg.Msg) (*miekg.Msg, error) {
	m, r := z.reply("test", server, q)
	if r.hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return m, r.err
}

// serve runs a server for the zone, over UDP and TCP, and returns its address.
func (z *zone) serve(t *testing.T, addr string) (string, func()) {
	t.Helper()
	var packets net.PacketConn
	var l net.Listener
	for range 20 { // until a port is free for both
		var err error
		if packets, err = net.ListenPacket("udp", addr); err != nil {
			t.Fatal(err)
		}
		if l, err = net.Listen("tcp", packets.LocalAddr().String()); err == nil {
			break
		}
		packets.Close()
	}
	if l == nil {
		t.Fatal("no port is free")
	}
	var stops []func()
	for _, s := range []*miekg.Server{{PacketConn: packets}, {Listener: l}} {
		started, done := make(chan struct{}), make(chan struct{})
		proto := "udp"
		if s.Listener != nil {
			proto = "tcp"
		}
		s.NotifyStartedFunc = func() { close(started) }
		s.Handler = miekg.HandlerFunc(func(w miekg.ResponseWriter, q *miekg.Msg) {
			m, r := z.reply(proto, "", q)
			if !r.hang {
				w.WriteMsg(m)
			}
		})
		go func() {
			defer close(done)
			s.ActivateAndServe()
		}()
		<-started
		stops = append(stops, func() {
			s.Shutdown()
			<-done
		})
	}
	stop := sync.OnceFunc(func() {
		for _, s := range stops {
			s()
		}
	})
	t.Cleanup(stop)
	return packets.LocalAddr().String(), stop
}

// watched is what a Source tells.
type watched struct {
	source  address.Source
	updates chan address.Update
	stop    func() // returns when Watch has
}

// watch starts a Source. Nobody has to read the updates: the last ones are dropped.
func watch(t *testing.T, r Resolver, target string) *watched {
	t.Helper()
	source, err := address.Schemes{"dns": r, "dns+srv": r}.Resolve(target)
	if err != nil {
		t.Fatal(err)
	}
	w := &watched{source: source, updates: make(chan address.Update, 10_000)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		source.Watch(ctx, func(u address.Update) {
			select {
			case w.updates <- u:
			default:
			}
		})
	}()
	w.stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(w.stop)
	return w
}

// until waits for an update in which the addresses, or the error, contain text.
func (w *watched) until(t *testing.T, text string) address.Update {
	t.Helper()
	late := time.After(20 * time.Second)
	var last address.Update
	for {
		select {
		case last = <-w.updates:
			if strings.Contains(said(last), text) {
				return last
			}
		case <-late:
			t.Fatalf("no update has %q, the last one is %q", text, said(last))
		}
	}
}

// said returns the addresses, with their weights if they have some, or the error.
func said(u address.Update) string {
	if u.Err != nil && len(u.Endpoints) == 0 {
		return "error: " + u.Err.Error()
	}
	var all []string
	for _, e := range u.Endpoints {
		all = append(all, e.Addr)
	}
	if u.Err != nil {
		all = append(all, "and an error")
	}
	return strings.Join(all, " ")
}

var errAway = errors.New("server 192.0.2.1:53: no route")
