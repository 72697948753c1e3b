package kubernetes

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpcx-go/rpcx/runtime/address"
)

// watched is what a Source tells.
type watched struct {
	mu      sync.Mutex
	updates []address.Update
	stop    func() // returns when Watch has
}

func watch(t *testing.T, r *Resolver, target string) *watched {
	t.Helper()
	source, err := address.Schemes{"kubernetes": r}.Resolve(target)
	if err != nil {
		t.Fatal(err)
	}
	w := &watched{}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		source.Watch(ctx, func(u address.Update) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.updates = append(w.updates, u)
		})
	}()
	w.stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(w.stop)
	return w
}

// last returns the last update, as text, and how many there were.
func (w *watched) last() (string, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.updates) == 0 {
		return "nothing", 0
	}
	u := w.updates[len(w.updates)-1]
	var all []string
	for _, e := range u.Endpoints {
		all = append(all, e.Addr)
	}
	if u.Err != nil {
		all = append(all, "error: "+u.Err.Error())
	}
	return strings.Join(all, " "), len(w.updates)
}

// is reports whether what was told is what is wanted: addresses, or "error" and a
// part of it.
func is(got, want string) bool {
	if text, failed := strings.CutPrefix(want, "error "); failed {
		return strings.HasPrefix(got, "error: ") && strings.Contains(got, text)
	}
	return got == want
}

// see checks the last update; the test is in a bubble.
func (w *watched) see(t *testing.T, what, want string) {
	t.Helper()
	synctest.Wait()
	if got, _ := w.last(); !is(got, want) {
		t.Errorf("%s: got %.500q, want %q", what, got, want)
	}
}

// until waits for an update.
func (w *watched) until(t *testing.T, want string) {
	t.Helper()
	for late := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		got, _ := w.last()
		if is(got, want) {
			return
		}
		if time.Now().After(late) {
			t.Fatalf("got %.500q, want %q", got, want)
		}
	}
}

// ready returns a slice of endpoints that are ready, with the port grpc=7000.
func ready(addrs ...string) string {
	var all []string
	for _, a := range addrs {
		all = append(all, fmt.Sprintf(`{"addresses": [%q], "conditions": {"ready": true, "serving": true, "terminating": false}}`, a))
	}
	return slice4(strings.Join(all, ","))
}

func slice4(endpoints string) string {
	return `"addressType": "IPv4", "ports": [{"name": "grpc", "protocol": "TCP", "port": 7000}], "endpoints": [` + endpoints + `]`
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		s.tokens = []string{"one"}
		s.put("users-b", ready("10.0.0.3", "10.0.0.2"))
		s.putOf("others", "others-a", ready("10.9.9.9"))
		r, _, errs := bubble(t, s)
		w := watch(t, r, "kubernetes:///users.shop:grpc")
		w.see(t, "at first", "10.0.0.2:7000 10.0.0.3:7000")
		s.put("users-a", ready("10.0.0.1"))
		w.see(t, "another slice", "10.0.0.1:7000 10.0.0.2:7000 10.0.0.3:7000")
		s.put("users-b", ready("10.0.0.3"))
		w.see(t, "fewer", "10.0.0.1:7000 10.0.0.3:7000")
		s.remove("users-b")
		w.see(t, "a slice is gone", "10.0.0.1:7000")
		s.remove("users-a")
		w.see(t, "none", "")
		s.put("users-a", ready("10.0.0.1"))
		w.see(t, "one again", "10.0.0.1:7000")

		// Nothing happens to the service, but much elsewhere: bookmarks keep the watch
		// young enough to go on without a list.
		s.count()
		_, before := w.last()
		for range 120 {
			time.Sleep(time.Minute)
			s.putOf("others", "others-a", ready("10.9.9.9"))
			synctest.Wait()
		}
		s.do(func() { s.oldest, s.log = s.version-20, nil })
		time.Sleep(2 * DefaultWatch)
		lists, watches := s.count()
		if _, n := w.last(); n != before || lists != 0 || watches < 10 || watches > 32 {
			t.Errorf("in quiet hours: %d updates, %d lists, %d watches; want 0, 0, about 17", n-before, lists, watches)
		}
		s.put("users-a", ready("10.0.0.9"))
		time.Sleep(time.Second)
		w.see(t, "after that", "10.0.0.9:7000")
		if len(errs) != 0 {
			t.Error(<-errs)
		}
		start := time.Now()
		w.stop()
		if time.Since(start) != 0 {
			t.Errorf("stopped after %v", time.Since(start))
		}
	})
}

// TestBreaks: a watch that breaks goes on without a list, and misses nothing.
func TestBreaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		s.put("users-a", ready("10.0.0.1"))
		r, p, errs := bubble(t, s)
		w := watch(t, r, "kubernetes:///users.shop:grpc")
		w.see(t, "at first", "10.0.0.1:7000")
		s.count()
		for i := range 20 {
			s.cut()
			s.put("users-a", ready(fmt.Sprintf("10.0.0.%d", i+2)))
			time.Sleep(2 * time.Second)
			w.see(t, "after a break", fmt.Sprintf("10.0.0.%d:7000", i+2))
			time.Sleep(time.Minute)
		}
		if lists, watches := s.count(); lists != 0 || watches < 20 || watches > 24 {
			t.Errorf("%d lists, %d watches; want 0 and about one for each break", lists, watches)
		}
		for _, u := range w.updates {
			if u.Err != nil {
				t.Error(u.Err)
			}
		}

		// Refused connections are an outage.
		p.set(true)
		time.Sleep(10 * time.Minute)
		w.see(t, "an outage", `error target "kubernetes:///users.shop:grpc": watching endpointslices of users.shop: server https://api.test:6443: connection refused`)
		if _, n := w.last(); n > 70 {
			t.Errorf("%d updates after 10 minutes of outage", n)
		}
		p.set(false)
		time.Sleep(longestPause * 6 / 5)
		w.see(t, "back", "10.0.0.21:7000")
		if lists, _ := s.count(); lists != 0 {
			t.Errorf("%d lists", lists)
		}
		if len(errs) != 0 {
			t.Error(<-errs)
		}
	})
}

// TestGone: a version that is too old leads to a list.
func TestGone(t *testing.T) {
	for _, late := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newServer()
			s.late = late
			s.put("users-a", ready("10.0.0.1"))
			s.put("users-b", ready("10.0.0.2"))
			r, _, _ := bubble(t, s)
			w := watch(t, r, "kubernetes:///users.shop:grpc")
			w.see(t, "at first", "10.0.0.1:7000 10.0.0.2:7000")
			s.cut()
			s.remove("users-a")
			s.compact()
			time.Sleep(5 * time.Second)
			w.see(t, "listed again", "10.0.0.2:7000")
			if lists, watches := s.count(); lists != 2 || watches != 3 {
				t.Errorf("%d lists, %d watches; want 2, 3", lists, watches)
			}
			for _, u := range w.updates {
				if u.Err != nil {
					t.Error(u.Err)
				}
			}
			// Whatever else a watch says is told, and mended.
			for _, kind := range []string{"500", "0"} {
				s.do(func() {
					s.version++
					s.changeLocked("ERROR", object{"x", "users", s.version, `"message": "etcd is away", "code": ` + kind})
				})
				synctest.Wait()
				w.see(t, "an error", "error 500 Internal Server Error: etcd is away")
				s.compact()
				time.Sleep(5 * time.Second)
				w.see(t, "mended", "10.0.0.2:7000")
			}
			// It is gone for ever: that is an error.
			s.do(func() { s.fail = 410 })
			s.cut()
			time.Sleep(time.Minute)
			w.see(t, "gone for ever", "error 410 Gone")
		})
	}
}

func TestPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		var want []string
		for i := range 25 {
			s.put(fmt.Sprintf("users-%02d", i), ready(fmt.Sprintf("10.0.0.%d", i+100)))
			want = append(want, fmt.Sprintf("10.0.0.%d:7000", i+100))
		}
		r, _, errs := bubble(t, s, func(c *Config) { c.Page, c.MaxAnswer = 10, 10_000 })
		w := watch(t, r, "kubernetes:///users.shop:grpc")
		w.see(t, "three pages", strings.Join(want, " "))
		if lists, _ := s.count(); lists != 3 {
			t.Errorf("%d lists, want 3", lists)
		}
		w.stop()
		s.do(func() { s.expired = true })
		w = watch(t, r, "kubernetes:///users.shop:grpc")
		w.see(t, "the second page is gone", strings.Join(want, " "))
		if lists, _ := s.count(); lists != 3 {
			t.Errorf("%d lists, want one with a limit, one that goes on, one without", lists)
		}
		w.stop()
		if len(errs) != 0 {
			t.Error(<-errs)
		}
		for name, raw := range map[string]string{
			"error a page is empty":       `{"metadata": {"resourceVersion": "1", "continue": "x"}, "items": []}`,
			"error it has no resource":    `{"metadata": {}, "items": []}`,
			"error invalid character":     `<html>`,
			"error more than 10000 bytes": `{"items": [` + strings.Repeat(" ", 10_000) + `]}`,
			"error cannot unmarshal":      `{"items": 7}`,
		} {
			s.do(func() { s.raw = raw })
			w = watch(t, r, "kubernetes:///users.shop:grpc")
			w.see(t, name, name)
			w.stop()
		}
	})
}

func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		s.put("users-a", ready("10.0.0.1"))
		s.fail = 500
		r, _, errs := bubble(t, s, func(c *Config) { c.MaxAnswer = 2000 })
		w := watch(t, r, "kubernetes:///users.shop:grpc")
		time.Sleep(10 * time.Minute)
		w.see(t, "failing", "error listing endpointslices of users.shop: server https://api.test:6443: 500 Internal Server Error: failing: xxx")
		if got, n := w.last(); len(got) > 2*maxErrorText || n < 18 || n > 32 { // 0.5, 1, 2 ... 16 s, then every 24 to 36
			t.Errorf("%d updates, the last of %d bytes; want about 24", n, len(got))
		}
		s.do(func() { s.fail = 0 })
		time.Sleep(longestPause * 6 / 5)
		w.see(t, "mended", "10.0.0.1:7000")

		// The server says when.
		s.do(func() {
			s.failure = func(w http.ResponseWriter) {
				w.Header().Set("Retry-After", "20")
				refuse(w, http.StatusTooManyRequests, "try again")
			}
		})
		s.cut()
		s.count()
		time.Sleep(2 * time.Minute)
		if _, watches := s.count(); watches < 3 || watches > 6 {
			t.Errorf("asked %d times in 2 minutes, want every 20 to 36 s", watches)
		}
		s.do(func() {
			s.failure = func(w http.ResponseWriter) {
				http.Redirect(w, new(http.Request), "http://elsewhere.test", http.StatusFound)
			}
		})
		time.Sleep(time.Minute)
		w.see(t, "a redirect", "error 302 Found")
		s.do(func() { s.failure = nil })
		time.Sleep(longestPause * 6 / 5)
		w.see(t, "mended again", "10.0.0.1:7000")

		// What is broken in a watch takes nothing away.
		for range len(errs) {
			<-errs
		}
		s.say("MODIFIED", `"endpoints": 7`)
		s.say("ADDED", `"metadata": {"resourceVersion": ""}`)
		s.say("SOMETHING", `"x": 1`)
		s.put("users-a", `"endpoints": 7`)
		w.see(t, "a slice that is broken", "10.0.0.1:7000")
		s.put("users-a", ready("10.0.0.1"))
		s.put("users-b", ready("10.0.0.2"))
		w.see(t, "broken events", "10.0.0.1:7000 10.0.0.2:7000")
		if len(errs) != 3 {
			t.Errorf("%d reports, want 3", len(errs))
		}
		s.count()
		for range 20 {
			s.put("users-b", ready("10.0.0.2"))
			synctest.Wait()
		}
		time.Sleep(longestPause * 6 / 5)
		if lists, watches := s.count(); lists+watches != 0 {
			t.Errorf("%d lists, %d watches because of many small events", lists, watches)
		}
		s.put("users-c", ready("10.0.0.3")+`, "x": "`+strings.Repeat("x", 4000)+`"`)
		s.do(func() { s.objects["users-c"] = object{"users-c", "users", s.version, ready("10.0.0.4")} })
		time.Sleep(longestPause * 6 / 5)
		w.see(t, "a large event", "10.0.0.1:7000 10.0.0.2:7000 10.0.0.4:7000")
		if err := <-errs; !strings.Contains(err.Error(), "broken and skipped") {
			t.Error(err)
		}
	})
}

// TestTokens: the token that is in the file when a request is made counts.
func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		s.tokens = []string{"one"}
		s.put("users-a", ready("10.0.0.1"))
		dir := t.TempDir()
		file := write(t, dir, "token", "one\n")
		r, _, _ := bubble(t, s, func(c *Config) { c.Token, c.TokenFile = "", file })
		w := watch(t, r, "kubernetes:///users:grpc")
		w.see(t, "at first", "10.0.0.1:7000")
		write(t, dir, "token", "two")
		s.do(func() { s.tokens = []string{"two"} })
		s.cut()
		s.put("users-a", ready("10.0.0.2"))
		time.Sleep(2 * time.Second)
		w.see(t, "rotated", "10.0.0.2:7000")

		// It is replaced while it is refused: at once another try.
		s.do(func() {
			s.seen = nil
			s.failure = func(w http.ResponseWriter) {
				write(t, dir, "token", "three")
				s.do(func() { s.tokens, s.failure = []string{"three"}, nil })
				refuse(w, http.StatusUnauthorized, "Unauthorized")
			}
		})
		s.cut()
		s.put("users-a", ready("10.0.0.3"))
		time.Sleep(2 * time.Second)
		w.see(t, "rotated while it was refused", "10.0.0.3:7000")
		if got := strings.Join(s.seen, " "); got != "two three" {
			t.Errorf("sent %s", got)
		}

		// Tokens that are of no use are errors, until there is a good one.
		for text, want := range map[string]string{"four": "error 401 Unauthorized", "": "error no token in it", "a b": "error no token in it"} {
			write(t, dir, "token", text)
			s.cut()
			time.Sleep(5 * time.Second)
			w.see(t, "bad", want)
			write(t, dir, "token", "three")
			time.Sleep(longestPause * 6 / 5)
			w.see(t, "good again", "10.0.0.3:7000")
			time.Sleep(time.Minute)
		}
	})
}

// TestLoopback does it over sockets, TLS and HTTP/2, as a pod would.
func TestLoopback(t *testing.T) {
	s := newServer()
	s.tokens = []string{"one"}
	s.put("users-a", ready("10.0.0.1"))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	protocols := make(chan string, 1000)
	serve := func(l net.Listener, cert tls.Certificate) *httptest.Server {
		web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			protocols <- r.Proto
			s.ServeHTTP(w, r)
		}))
		web.Listener.Close()
		web.Listener, web.EnableHTTP2 = l, true
		web.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
		web.StartTLS()
		return web
	}
	cert, ca := certificate(t)
	web := serve(l, cert)
	dir := t.TempDir()
	write(t, dir, "ca.crt", string(ca))
	write(t, dir, "token", "one")
	write(t, dir, "namespace", "shop\n")
	host, port, _ := net.SplitHostPort(l.Addr().String())
	t.Setenv("KUBERNETES_SERVICE_HOST", host)
	t.Setenv("KUBERNETES_SERVICE_PORT", port)
	c, err := inCluster(dir)
	if err != nil {
		t.Fatal(err)
	}
	c.first = 20 * time.Millisecond
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	w := watch(t, r, "kubernetes:///users:grpc")
	w.until(t, "10.0.0.1:7000")
	if p := <-protocols; p != "HTTP/2.0" {
		t.Errorf("over %s", p)
	}
	s.put("users-a", ready("10.0.0.2"))
	w.until(t, "10.0.0.2:7000")
	s.cut()
	s.put("users-a", ready("10.0.0.3"))
	w.until(t, "10.0.0.3:7000")

	// Another server takes over, with other certificates, and is not trusted before
	// the file says so.
	web.Listener.Close()
	s.cut()
	web.CloseClientConnections()
	w.until(t, "error connection refused")
	cert, ca = certificate(t)
	if l, err = net.Listen("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	other := serve(l, cert)
	w.until(t, "error certificate")
	write(t, dir, "ca.crt", string(ca))
	w.until(t, "10.0.0.3:7000")
	w.stop()
	other.Close()
	web.Close()
}
