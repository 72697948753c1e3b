package consul

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	nodeName = "node1"
	nodeAddr = "10.0.0.1"
)

// agent answers as a Consul agent does: blocking queries on the health of services,
// services with TTL checks, tokens, all over HTTP.
type agent struct {
	mu       sync.Mutex
	index    uint64
	changed  chan struct{}
	services map[string]*entry // by id
	token    string            // that it wants, "" for none
	fail     int               // status of all answers, 0 for none
	hang     bool              // it says nothing
	raw      string            // body of all answers about health
	requests []request
}

type entry struct {
	api.ServiceEntry
	ttl           time.Duration
	expires, goes *time.Timer
}

type request struct {
	method, path string
	query        url.Values
	at           time.Time
}

func newAgent() *agent {
	return &agent{index: 10, changed: make(chan struct{}), services: make(map[string]*entry)}
}

// bump tells those who wait that something has changed.
func (a *agent) bump() {
	a.index++
	close(a.changed)
	a.changed = make(chan struct{})
}

// do runs f with the lock.
func (a *agent) do(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

// put puts in a service that nobody keeps.
func (a *agent) put(id, name, addr, health string, edit ...func(*api.ServiceEntry)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	host, port, _ := net.SplitHostPort(addr)
	n, _ := strconv.Atoi(port)
	e := &entry{ServiceEntry: api.ServiceEntry{
		Node:    &api.Node{Node: nodeName, Address: nodeAddr, Datacenter: "dc1"},
		Service: &api.AgentService{ID: id, Service: name, Address: host, Port: n, Weights: api.AgentWeights{Passing: 1, Warning: 1}},
		Checks:  api.HealthChecks{{CheckID: "serfHealth", Status: "passing"}, {CheckID: "service:" + id, Status: health}},
	}}
	for _, f := range edit {
		f(&e.ServiceEntry)
	}
	a.services[id] = e
	a.bump()
}

func (a *agent) remove(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.removeLocked(id)
}

func (a *agent) removeLocked(id string) {
	e := a.services[id]
	if e == nil {
		return
	}
	for _, t := range []*time.Timer{e.expires, e.goes} {
		if t != nil {
			t.Stop()
		}
	}
	delete(a.services, id)
	a.bump()
}

// forget is a restart of the agent, and its servers, without their data.
func (a *agent) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id := range a.services {
		a.removeLocked(id)
	}
	a.index = 1
}

// state returns the health of all services of a name: "id=health".
func (a *agent) state(name string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []string
	for id, e := range a.services {
		if e.Service.Service == name {
			all = append(all, id+"="+e.Checks.AggregatedStatus())
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// count returns how many requests of a path there were, and forgets them.
func (a *agent) count(path string) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests = slices.DeleteFunc(a.requests, func(r request) bool {
		if strings.HasPrefix(r.path, path) {
			n++
			return true
		}
		return false
	})
	return n
}

func (a *agent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.requests = append(a.requests, request{r.Method, r.URL.Path, r.URL.Query(), time.Now()})
	fail, token, hang := a.fail, a.token, a.hang
	a.mu.Unlock()
	last := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	switch {
	case hang:
		<-r.Context().Done()
	case fail == http.StatusFound:
		http.Redirect(w, r, "http://elsewhere.test/", fail)
	case fail != 0:
		http.Error(w, "failing: "+strings.Repeat("x", 10_000), fail)
	case token != "" && r.Header.Get("X-Consul-Token") != token:
		http.Error(w, "Permission denied: token with AccessorID '0' lacks permission", http.StatusForbidden)
	case strings.HasPrefix(r.URL.Path, "/v1/health/service/") && r.Method == http.MethodGet:
		a.health(w, r, last)
	case r.URL.Path == "/v1/agent/service/register" && r.Method == http.MethodPut:
		a.register(w, r)
	case strings.HasPrefix(r.URL.Path, "/v1/agent/service/deregister/") && r.Method == http.MethodPut:
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.services[last] == nil {
			http.Error(w, fmt.Sprintf("Unknown service ID %q. Ensure that the service ID is passed, not the service name.", last), http.StatusNotFound)
			return
		}
		a.removeLocked(last)
	case strings.HasPrefix(r.URL.Path, "/v1/agent/check/update/") && r.Method == http.MethodPut:
		a.update(w, r, last)
	default:
		http.NotFound(w, r)
	}
}

// health answers a blocking query.
func (a *agent) health(w http.ResponseWriter, r *http.Request, name string) {
	q := r.URL.Query()
	if dc := q.Get("dc"); dc != "" && dc != "dc1" {
		http.Error(w, "No path to datacenter", http.StatusInternalServerError)
		return
	}
	min, _ := strconv.ParseUint(q.Get("index"), 10, 64)
	wait, _ := time.ParseDuration(q.Get("wait"))
	if wait <= 0 || wait > 10*time.Minute {
		wait = 5 * time.Minute
	}
	timeout := time.NewTimer(wait + rand.N(wait/16+1))
	defer timeout.Stop()
	a.mu.Lock()
	defer a.mu.Unlock()
	for late := false; min > 0 && a.index <= min && !late; {
		changed := a.changed
		a.mu.Unlock()
		select {
		case <-changed:
		case <-timeout.C:
			late = true
		case <-r.Context().Done():
		}
		a.mu.Lock()
		if r.Context().Err() != nil {
			return
		}
	}
	found := []*api.ServiceEntry{}
	for _, e := range a.services {
		passing := e.Checks.AggregatedStatus() == api.HealthPassing
		hasTags := !slices.ContainsFunc(q["tag"], func(t string) bool { return !slices.Contains(e.Service.Tags, t) })
		if e.Service.Service == name && (passing || !q.Has("passing")) && hasTags {
			found = append(found, &e.ServiceEntry)
		}
	}
	h := w.Header()
	h.Set("X-Consul-Index", strconv.FormatUint(a.index, 10))
	h.Set("X-Consul-KnownLeader", "true")
	h.Set("X-Consul-LastContact", "0")
	h.Set("X-Consul-Effective-Consistency", "leader")
	h.Set("Content-Type", "application/json")
	if a.raw != "" {
		w.Write([]byte(a.raw))
		return
	}
	json.NewEncoder(w).Encode(found)
}

var metaKey = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

func (a *agent) register(w http.ResponseWriter, r *http.Request) {
	var s api.AgentServiceRegistration
	if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
		http.Error(w, "Request decode failed: "+err.Error(), http.StatusBadRequest)
		return
	}
	for key, value := range s.Meta {
		if !metaKey.MatchString(key) || len(key) > 128 || len(value) > 512 {
			http.Error(w, "Invalid Service Meta: Key contains invalid characters", http.StatusBadRequest)
			return
		}
	}
	ttl, err := time.ParseDuration(s.Check.TTL)
	expiry, err2 := time.ParseDuration(s.Check.DeregisterCriticalServiceAfter)
	if s.Name == "" || err != nil || err2 != nil {
		http.Error(w, "Missing service name, or TTL", http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.removeLocked(s.ID)
	e := &entry{ttl: ttl, ServiceEntry: api.ServiceEntry{
		Node: &api.Node{Node: nodeName, Address: nodeAddr, Datacenter: "dc1"},
		Service: &api.AgentService{
			ID: s.ID, Service: s.Name, Tags: s.Tags, Meta: s.Meta, Address: s.Address, Port: s.Port,
			SocketPath: s.SocketPath, Weights: *s.Weights,
		},
		Checks: api.HealthChecks{
			{CheckID: "serfHealth", Status: api.HealthPassing},
			{CheckID: s.Check.CheckID, Status: s.Check.Status},
		},
	}}
	a.services[s.ID] = e
	e.goes = time.AfterFunc(time.Hour, func() { a.expire(e, func() { a.removeLocked(s.ID) }) })
	e.goes.Stop()
	e.expires = time.AfterFunc(ttl, func() {
		a.expire(e, func() {
			e.Checks[1].Status = api.HealthCritical
			e.goes.Reset(max(expiry, time.Minute))
			a.bump()
		})
	})
	a.bump()
}

// expire runs f if e is still there.
func (a *agent) expire(e *entry, f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.services[e.Service.ID] == e {
		f()
	}
}

// update sets the status of a TTL check.
func (a *agent) update(w http.ResponseWriter, r *http.Request, check string) {
	var u struct{ Status, Output string }
	if err := json.NewDecoder(r.Body).Decode(&u); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.services {
		if e.expires == nil || e.Checks[1].CheckID != check {
			continue
		}
		e.expires.Reset(e.ttl)
		e.goes.Stop()
		if e.Checks[1].Status != u.Status {
			e.Checks[1].Status = u.Status
			a.bump()
		}
		return
	}
	http.Error(w, fmt.Sprintf("Unknown check ID %q. Ensure that the check ID is passed, not the check name.", check), http.StatusNotFound)
}

// pipes is a network without sockets, for tests in a bubble of synctest.
type pipes struct {
	mu     sync.Mutex
	down   bool
	conns  []net.Conn
	accept chan net.Conn
	closed chan struct{}
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return nil, errors.New("connection refused")
	}
	here, there := net.Pipe()
	p.conns = append(p.conns, here)
	select {
	case p.accept <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// set takes the network down, and all connections with it, or up again.
func (p *pipes) set(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accept:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	close(p.closed)
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// bubble serves the agent without sockets and returns a Registry of it; the errors that
// it reports go to the channel. All ends with the test.
func bubble(t *testing.T, a *agent, opts ...Option) (*Registry, *pipes, chan error) {
	t.Helper()
	p := &pipes{accept: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: a}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(p)
	}()
	errs := make(chan error, 1000)
	opts = append([]Option{WithErrorHandler(func(err error) { errs <- err })}, opts...)
	r, err := New(&api.Config{
		Address: "agent.test:8500", Token: "secret",
		Transport: &http.Transport{DialContext: p.dial},
	}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		r.Close(ctx)
		server.Close()
		<-done
		a.forget()
	})
	return r, p, errs
}
