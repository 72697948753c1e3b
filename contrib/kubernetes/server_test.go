package kubernetes

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server answers as an API server of Kubernetes does to those who list and watch
// the EndpointSlices of the namespace shop.
type server struct {
	mu       sync.Mutex
	version  int
	oldest   int               // version from which a watch can still go on
	objects  map[string]object // by name
	log      []change
	changed  chan struct{}
	tokens   []string // that are good; none is needed if there are none
	fail     int      // status of all answers, 0 for none
	failure  func(w http.ResponseWriter)
	expired  bool // pages after the first are gone
	late     bool // what is too old is said in a watch, not before it
	raw      string
	requests []url.Values
	seen     []string // tokens
	broken   chan struct{}
}

// object is an EndpointSlice as JSON.
type object struct {
	name, service string
	version       int
	text          string // without metadata
}

type change struct {
	kind string
	object
}

func newServer() *server {
	return &server{
		version: 100, oldest: 100, objects: make(map[string]object),
		changed: make(chan struct{}), broken: make(chan struct{}),
	}
}

func (o object) json() string {
	return fmt.Sprintf(`{"metadata": {"name": %q, "namespace": "shop", "resourceVersion": "%d", "labels": {"kubernetes.io/service-name": %q}}, %s}`,
		o.name, o.version, o.service, o.text)
}

// do runs f with the lock.
func (s *server) do(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// put puts in a slice of the service users; text is its JSON without metadata.
func (s *server) put(name, text string) { s.putOf("users", name, text) }

func (s *server) putOf(service, name, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kind := "ADDED"
	if _, ok := s.objects[name]; ok {
		kind = "MODIFIED"
	}
	s.version++
	s.objects[name] = object{name, service, s.version, text}
	s.changeLocked(kind, s.objects[name])
}

func (s *server) remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[name]
	delete(s.objects, name)
	s.version++
	o.version = s.version
	s.changeLocked("DELETED", o)
}

func (s *server) changeLocked(kind string, o object) {
	s.log = append(s.log, change{kind, o})
	close(s.changed)
	s.changed = make(chan struct{})
}

// compact forgets what happened so far.
func (s *server) compact() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	s.oldest, s.log = s.version, nil
}

// cut breaks all watches.
func (s *server) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.broken)
	s.broken = make(chan struct{})
}

// count returns how many lists and watches there were, and forgets them.
func (s *server) count() (lists, watches int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.requests {
		if q.Has("watch") {
			watches++
		} else {
			lists++
		}
	}
	s.requests = nil
	return lists, watches
}

// refuse answers with a Status.
func refuse(w http.ResponseWriter, code int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code})
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	s.requests = append(s.requests, q)
	s.seen = append(s.seen, token)
	fail, failure, good := s.fail, s.failure, len(s.tokens) == 0 || slices.Contains(s.tokens, token)
	s.mu.Unlock()
	service, ok := strings.CutPrefix(q.Get("labelSelector"), "kubernetes.io/service-name=")
	switch {
	case failure != nil:
		failure(w)
	case fail != 0:
		refuse(w, fail, "failing: "+strings.Repeat("x", 3000))
	case !good:
		refuse(w, http.StatusUnauthorized, "Unauthorized")
	case r.Method != http.MethodGet || r.URL.Path != "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices" || !ok:
		refuse(w, http.StatusForbidden, "endpointslices.discovery.k8s.io is forbidden")
	case q.Get("watch") == "true":
		s.watch(w, r, service)
	default:
		s.list(w, q, service)
	}
}

func (s *server) list(w http.ResponseWriter, q url.Values, service string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.raw != "" {
		w.Write([]byte(s.raw))
		return
	}
	var names []string
	for name, o := range s.objects {
		if o.service == service {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	limit, _ := strconv.Atoi(q.Get("limit"))
	from := 0
	if at := q.Get("continue"); at != "" {
		if s.expired {
			refuse(w, http.StatusGone, "The provided continue parameter is too old to display a consistent list result.")
			return
		}
		from, _ = strconv.Atoi(at)
	}
	next := ""
	if limit > 0 && len(names) > from+limit {
		names = names[:from+limit]
		next = strconv.Itoa(from + limit)
	}
	var items []string
	for _, name := range names[from:] {
		items = append(items, s.objects[name].json())
	}
	fmt.Fprintf(w, `{"kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1", "metadata": {"resourceVersion": "%d", "continue": %q}, "items": [%s]}`,
		s.version, next, strings.Join(items, ","))
}

// watch tells what happened after a version, for as long as it is asked to, with a
// bookmark each minute.
func (s *server) watch(w http.ResponseWriter, r *http.Request, service string) {
	q := r.URL.Query()
	after, _ := strconv.Atoi(q.Get("resourceVersion"))
	seconds, _ := strconv.Atoi(q.Get("timeoutSeconds"))
	end := time.NewTimer(time.Duration(seconds) * time.Second)
	defer end.Stop()
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	say := func(kind, object string) {
		fmt.Fprintf(w, "{\"type\": %q, \"object\": %s}\n", kind, object)
		w.(http.Flusher).Flush()
	}
	s.mu.Lock()
	tooOld, late, broken := after < s.oldest, s.late, s.broken
	s.mu.Unlock()
	if tooOld && !late {
		refuse(w, http.StatusGone, "too old resource version")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	if tooOld {
		say("ERROR", `{"kind": "Status", "message": "too old resource version", "reason": "Expired", "code": 410}`)
		return
	}
	for {
		s.mu.Lock()
		changed, version := s.changed, s.version
		var news []change
		for _, c := range s.log {
			if c.version > after && c.service == service {
				news = append(news, c)
			}
		}
		s.mu.Unlock()
		for _, c := range news {
			say(c.kind, c.json())
			after = c.version
		}
		select {
		case <-changed:
		case <-minute.C:
			after = version
			say("BOOKMARK", fmt.Sprintf(`{"kind": "EndpointSlice", "metadata": {"resourceVersion": "%d"}}`, version))
		case <-end.C:
			return
		case <-broken:
			panic(http.ErrAbortHandler)
		case <-r.Context().Done():
			return
		}
	}
}

// say has all watches tell something that is no change, by the way of the log.
func (s *server) say(kind, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	s.changeLocked(kind, object{"said", "users", s.version, text})
}

// certificate returns one for the address 127.0.0.1 and the name api.test, and as PEM.
func certificate(t *testing.T) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "api"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2199, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, DNSNames: []string{"api.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// write writes a file as the kubelet does, by renaming, and returns its path.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
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

// bubble serves s over TLS without sockets, and returns a Resolver of it and what it
// reports. All ends with the test.
func bubble(t *testing.T, s *server, edit ...func(*Config)) (*Resolver, *pipes, chan error) {
	t.Helper()
	p := &pipes{accept: make(chan net.Conn), closed: make(chan struct{})}
	cert, ca := certificate(t)
	web := &http.Server{
		Handler: s, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}},
		Protocols: new(http.Protocols), // HTTP/2 shares channels between servers
	}
	web.Protocols.SetHTTP1(true)
	done := make(chan struct{})
	go func() {
		defer close(done)
		web.ServeTLS(p, "", "")
	}()
	errs := make(chan error, 10_000)
	c := Config{
		Server: "https://api.test:6443/", CAFile: write(t, t.TempDir(), "ca.crt", string(ca)), Token: "one",
		Namespace: "shop", OnError: func(err error) { errs <- err }, dial: p.dial,
	}
	for _, f := range edit {
		f(&c)
	}
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		web.Close()
		<-done
	})
	return r, p, errs
}
