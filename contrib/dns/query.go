package dns

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	miekg "github.com/miekg/dns"
)

// maxChain is how many aliases (CNAME) lead to a name at most.
const maxChain = 8

// question is what a cache is asked.
type question struct {
	name  string // absolute, lower case
	qtype uint16
}

func newQuestion(name string, qtype uint16) question {
	return question{strings.ToLower(miekg.Fqdn(name)), qtype}
}

func (q question) String() string { return q.name + " " + miekg.TypeToString[q.qtype] }

// answer is what is known of a question.
type answer struct {
	records []miekg.RR
	// none says why there are no records.
	none *net.DNSError
	// until is when the answer runs out. It is zero if the answer does not say.
	until time.Time
}

// cache holds the last answers of one Watch, also those that ran out.
type cache struct {
	mu      sync.Mutex
	answers map[question]answer
}

func newCache() *cache { return &cache{answers: make(map[question]answer)} }

func (c *cache) get(q question) (answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, ok := c.answers[q]
	return a, ok
}

func (c *cache) put(q question, a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers[q] = a
}

// forget drops all but what was used.
func (c *cache) forget(used map[question]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for q := range c.answers {
		if !used[q] {
			delete(c.answers, q)
		}
	}
}

// query asks the servers for q and follows aliases. That there is no such record
// is an answer and not an error.
func (s *settings) query(ctx context.Context, servers []string, q question) (answer, *miekg.Msg, error) {
	start := time.Now()
	chain := chain{name: q.name, qtype: q.qtype, ttl: s.MaxTTL}
	for {
		m, server, err := s.ask(ctx, servers, question{chain.name, q.qtype})
		if err != nil {
			return answer{}, nil, fmt.Errorf("%v: %w", q, err)
		}
		before := chain.name
		records, err := chain.follow(m)
		if err != nil {
			return answer{}, nil, fmt.Errorf("%v: server %s: %w", q, server, err)
		}
		if len(records) > 0 {
			return answer{records: records, until: start.Add(max(chain.ttl, s.MinTTL))}, m, nil
		}
		ttl, ok := negativeTTL(m)
		if chain.name == before || ok || m.Rcode == miekg.RcodeNameError {
			none := &net.DNSError{Err: "no such name", Name: q.String(), Server: server, IsNotFound: true}
			a := answer{none: none}
			if m.Rcode == miekg.RcodeSuccess {
				none.Err = "the name has no such records"
				a.until = start.Add(lastPause)
			}
			if ok {
				a.until = start.Add(max(min(ttl, chain.ttl), s.MinTTL))
			}
			return a, m, nil
		}
	}
}

// chain is a name and the aliases that lead on from it.
type chain struct {
	name  string
	qtype uint16
	hops  int
	ttl   time.Duration // the smallest so far
}

// follow returns the records at the end of the chain, if m has them; name is the
// last name that is known then.
func (c *chain) follow(m *miekg.Msg) ([]miekg.RR, error) {
	for {
		var records []miekg.RR
		alias := ""
		for _, r := range m.Answer {
			h := r.Header()
			if h.Class != miekg.ClassINET || !sameName(h.Name, c.name) {
				continue
			}
			switch cname, ok := r.(*miekg.CNAME); {
			case h.Rrtype == c.qtype:
				records = append(records, r)
			case ok:
				alias = cname.Target
			default:
				continue
			}
			c.ttl = min(c.ttl, time.Duration(h.Ttl)*time.Second)
		}
		if len(records) > 0 || alias == "" {
			return records, nil
		}
		if c.hops++; c.hops > maxChain {
			return nil, fmt.Errorf("more than %d aliases, the last one is %s", maxChain, alias)
		}
		c.name = strings.ToLower(alias)
	}
}

// negativeTTL returns how long it is true that there is no record, if m says so
// (RFC 2308, section 5).
func negativeTTL(m *miekg.Msg) (time.Duration, bool) {
	for _, r := range m.Ns {
		if soa, ok := r.(*miekg.SOA); ok {
			return time.Duration(min(soa.Hdr.Ttl, soa.Minttl)) * time.Second, true
		}
	}
	return 0, false
}

// ask returns the first answer that one of the servers gives.
func (s *settings) ask(ctx context.Context, servers []string, q question) (*miekg.Msg, string, error) {
	failed := make([]error, len(servers)) // the last of each
	for range s.Attempts {
		for i, server := range servers {
			m, err := s.askOne(ctx, server, q)
			if err == nil {
				return m, server, nil
			}
			if ctx.Err() != nil {
				return nil, "", fmt.Errorf("%w (%w)", ctx.Err(), err)
			}
			failed[i] = err
		}
	}
	err := failed[0]
	for _, other := range failed[1:] {
		err = fmt.Errorf("%w; %w", err, other)
	}
	return nil, "", err
}

// askOne returns the answer of a server that knows whether there is one.
func (s *settings) askOne(ctx context.Context, server string, q question) (*miekg.Msg, error) {
	m := new(miekg.Msg).SetQuestion(q.name, q.qtype)
	m.SetEdns0(udpSize, false)
	reply, err := s.exchange(ctx, server, m)
	if err == nil && (reply.Rcode == miekg.RcodeFormatError || reply.Rcode == miekg.RcodeNotImplemented) {
		m.Extra = nil // an old server, that does not know the size
		reply, err = s.exchange(ctx, server, m)
	}
	switch {
	case err != nil:
		return nil, err
	case failure(reply.Rcode):
		code, ok := miekg.RcodeToString[reply.Rcode]
		if !ok {
			code = fmt.Sprintf("code %d", reply.Rcode)
		}
		return nil, fmt.Errorf("server %s answers %s", server, code)
	case reply.Rcode == miekg.RcodeSuccess && len(reply.Answer) == 0 && !reply.Authoritative && !reply.RecursionAvailable && !hasSOA(reply):
		return nil, fmt.Errorf("server %s does not look names up for others", server)
	}
	return reply, nil
}

func hasSOA(m *miekg.Msg) bool {
	_, ok := negativeTTL(m)
	return ok
}
