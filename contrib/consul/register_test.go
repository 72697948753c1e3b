package consul

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/rpcx-go/rpcx/runtime/address"
)

func server(port int) address.Endpoint {
	return address.Endpoint{Network: "tcp", Addr: fmt.Sprintf("10.0.0.7:%d", port), Weight: 1}
}

func register(t *testing.T, r *Registry, e address.Endpoint) address.Registration {
	t.Helper()
	registration, err := r.Register(t.Context(), "users", e)
	if err != nil {
		t.Fatal(err)
	}
	return registration
}

func TestRegister(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent()
		a.token = "secret"
		r, _, _ := bubble(t, a)
		w := watch(t, r, "consul:///users")
		one, two := register(t, r, server(1)), register(t, r, server(2))
		w.see(t, "registered", "10.0.0.7:1 10.0.0.7:2")
		a.count("/")
		time.Sleep(10 * time.Minute)
		w.see(t, "kept", "10.0.0.7:1 10.0.0.7:2")
		if n := a.count("/v1/agent/check/update/"); n < 200 || n > 300 {
			t.Errorf("renewed %d times, want about 240", n)
		}
		if n := a.count("/v1/agent/service/register"); n != 0 {
			t.Errorf("registered %d times again", n)
		}
		for range 2 {
			if err := one.Deregister(t.Context()); err != nil {
				t.Error(err)
			}
			w.see(t, "one taken out", "10.0.0.7:2")
		}
		// The same one again replaces the one before, whose end says nothing then.
		e := server(2)
		e.Weight = 5
		again := register(t, r, e)
		w.see(t, "replaced", "10.0.0.7:2")
		if u := w.updates[len(w.updates)-1]; u.Endpoints[0].Weight != 5 {
			t.Errorf("replaced: got %+v", u)
		}
		a.count("/")
		time.Sleep(10 * time.Minute)
		if n := a.count("/v1/agent/check/update/"); n < 100 || n > 150 {
			t.Errorf("one server is renewed %d times, want about 120", n)
		}
		if err := two.Deregister(t.Context()); err != nil {
			t.Error(err)
		}
		w.see(t, "the end of the one before", "10.0.0.7:2")
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
		w.see(t, "closed", "")
		if _, err := r.Register(t.Context(), "users", server(1)); !errors.Is(err, ErrClosed) {
			t.Errorf("got %v", err)
		}
		if err := again.Deregister(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestForgotten: what the agent forgets is put in again.
func TestForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent()
		r, p, errs := bubble(t, a)
		w := watch(t, r, "consul:///users")
		register(t, r, server(1))
		w.see(t, "registered", "10.0.0.7:1")
		a.forget()
		time.Sleep(DefaultTTL / 3 * 6 / 5)
		if got := a.state("users"); got != "users@10.0.0.7:1=passing" {
			t.Errorf("forgotten: the agent has %q", got)
		}
		a.remove("users@10.0.0.7:1")
		time.Sleep(DefaultTTL / 3 * 6 / 5)
		if got := a.state("users"); got != "users@10.0.0.7:1=passing" {
			t.Errorf("taken out by others: the agent has %q", got)
		}

		p.set(true)
		time.Sleep(DefaultTTL * 2)
		if got := a.state("users"); got != "users@10.0.0.7:1=critical" {
			t.Errorf("cut off: the agent has %q", got)
		}
		time.Sleep(10 * time.Minute)
		if got := a.state("users"); got != "" {
			t.Errorf("cut off for long: the agent has %q", got)
		}
		if n := len(errs); n != 1 {
			t.Errorf("%d errors, want one for one outage", n)
		}
		if err := <-errs; !strings.Contains(err.Error(), `keeping "users@10.0.0.7:1": agent http://agent.test:8500`) {
			t.Errorf("got %v", err)
		}
		p.set(false)
		time.Sleep(DefaultTTL / 3 * 6 / 5)
		if got := a.state("users"); got != "users@10.0.0.7:1=passing" {
			t.Errorf("back: the agent has %q", got)
		}
		time.Sleep(longestPause * 6 / 5)
		w.see(t, "back", "10.0.0.7:1")

		// The token is not good for a while.
		a.do(func() { a.token = "other" })
		time.Sleep(time.Minute)
		a.do(func() { a.token = "secret" })
		time.Sleep(DefaultTTL / 3 * 6 / 5)
		if got := a.state("users"); got != "users@10.0.0.7:1=passing" {
			t.Errorf("the token is good again: the agent has %q", got)
		}
		if err := <-errs; !strings.Contains(err.Error(), "Permission denied") {
			t.Errorf("got %v", err)
		}
	})
}

// TestDies: a server that ends without a word is not found any more after its TTL.
func TestDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent()
		r, _, _ := bubble(t, a, WithTTL(9*time.Second))
		w := watch(t, r, "consul:///users")
		register(t, r, server(1)).(*registration).halt()
		w.see(t, "at first", "10.0.0.7:1")
		time.Sleep(10 * time.Second)
		w.see(t, "after its TTL", "")
		time.Sleep(DefaultExpiry)
		if got := a.state("users"); got != "" {
			t.Errorf("the agent still has %q", got)
		}
	})
}

func TestRegisterFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent()
		r, p, _ := bubble(t, a)
		start := time.Now()
		for name, test := range map[string]struct {
			service string
			e       address.Endpoint
			want    string
		}{
			"name":    {"a/b", server(1), "want the name of a service"},
			"address": {"users", address.Endpoint{Network: "tcp", Addr: ":7000"}, "the host is missing"},
			"tag":     {"users", address.Endpoint{Network: "tcp", Addr: "a:1", Tags: map[string]string{"a=b": ""}}, `a tag cannot have the name "a=b"`},
			"weight":  {"users", address.Endpoint{Network: "tcp", Addr: "10.0.0.8:1", Weight: math.MaxUint32}, ""},
		} {
			if _, err := r.Register(t.Context(), test.service, test.e); test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("%s: got %v, want %q", name, err, test.want)
			}
		}
		a.do(func() { a.token = "other" })
		if _, err := r.Register(t.Context(), "users", server(1)); err == nil || !strings.Contains(err.Error(), "Permission denied") {
			t.Errorf("no permission: got %v", err)
		}
		if time.Since(start) != 0 {
			t.Errorf("it took %v", time.Since(start))
		}
		a.do(func() { a.token = "" })

		// It goes on trying until it may not any more.
		p.set(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := r.Register(ctx, "users", server(1)); err == nil || !strings.Contains(err.Error(), "connection refused") || time.Since(start) != time.Minute {
			t.Errorf("after %v: got %v", time.Since(start), err)
		}
		time.AfterFunc(time.Minute, func() { p.set(false) })
		registration := register(t, r, server(1))
		if got := a.state("users"); !strings.Contains(got, "users@10.0.0.7:1=passing") {
			t.Errorf("the agent has %q", got)
		}
		// So does Deregister, until the check has failed.
		p.set(true)
		start = time.Now()
		if err := registration.Deregister(t.Context()); err == nil || !strings.Contains(err.Error(), "expires now") || time.Since(start) != DefaultTTL {
			t.Errorf("after %v: got %v", time.Since(start), err)
		}
	})
}

// TestNotFoundYet: Register returns when clients can find the server, and takes it
// out again if that is too late.
func TestNotFoundYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent()
		a.raw = "[]" // the servers do not know yet what the agent knows
		r, _, _ := bubble(t, a)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := r.Register(ctx, "users", server(1)); err == nil || !strings.Contains(err.Error(), "cannot be found yet") {
			t.Errorf("got %v", err)
		}
		if got := a.state("users"); got != "" {
			t.Errorf("the agent has %q", got)
		}
		start := time.Now()
		time.AfterFunc(3*time.Second, func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.raw = ""
			a.bump()
		})
		register(t, r, server(1))
		if time.Since(start) != 3*time.Second {
			t.Errorf("it returned after %v", time.Since(start))
		}
	})
}

// TestLoopback does all of it over sockets.
func TestLoopback(t *testing.T) {
	a := newAgent()
	a.token = "secret"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve := func(l net.Listener) *httptest.Server {
		s := &httptest.Server{Listener: l, Config: &http.Server{Handler: a}}
		s.Start()
		return s
	}
	s := serve(l)
	r, err := New(&api.Config{Address: l.Addr().String(), Token: "secret"}, WithTTL(200*time.Millisecond), WithErrorHandler(func(error) {}))
	if err != nil {
		t.Fatal(err)
	}
	w := watch(t, r, "consul:///users")
	until := func(want string) {
		t.Helper()
		for late := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
			got, _ := w.last()
			if got == want || strings.HasPrefix(want, "error") && strings.HasPrefix(got, "error") {
				return
			}
			if time.Now().After(late) {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
	}
	one := register(t, r, server(1))
	register(t, r, server(2))
	until("10.0.0.7:1 10.0.0.7:2")
	if err := one.Deregister(t.Context()); err != nil {
		t.Error(err)
	}
	until("10.0.0.7:2")
	s.Listener.Close()
	s.CloseClientConnections()
	until("error")
	a.forget()
	l2, err := net.Listen("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s2 := serve(l2)
	until("10.0.0.7:2")
	if err := r.Close(t.Context()); err != nil {
		t.Error(err)
	}
	until("")
	w.stop()
	s2.Close()
	s.Close()
	a.forget()
}
