package consul

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/rpcx-go/rpcx/runtime/address"
)

// watched is what a Source tells.
type watched struct {
	mu      sync.Mutex
	updates []address.Update
	stop    func() // returns when Watch has
}

func watch(t *testing.T, r *Registry, target string) *watched {
	t.Helper()
	source, err := address.Schemes{"consul": r}.Resolve(target)
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

// see checks the last update; the test is in a bubble.
func (w *watched) see(t *testing.T, what, want string) {
	t.Helper()
	synctest.Wait()
	got, _ := w.last()
	text, failed := strings.CutPrefix(want, "error ")
	if failed && (!strings.HasPrefix(got, "error: ") || !strings.Contains(got, text)) || !failed && got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent()
		r, p, _ := bubble(t, a)
		a.put("u1", "users", "10.0.0.2:7000", "passing")
		a.put("o1", "others", "10.0.0.9:7000", "passing")
		w := watch(t, r, "consul:///users")
		w.see(t, "at first", "10.0.0.2:7000")
		a.put("u2", "users", "10.0.0.1:7000", "passing")
		w.see(t, "one more", "10.0.0.1:7000 10.0.0.2:7000")
		a.put("u2", "users", "10.0.0.1:7000", "critical")
		w.see(t, "a sick one", "10.0.0.2:7000")
		time.Sleep(time.Minute)
		a.remove("u1")
		w.see(t, "none", "")
		a.put("u1", "users", ":7000", "passing")
		w.see(t, "that of the node", nodeAddr+":7000")

		// Nothing changes: it waits, and has nothing to tell.
		_, before := w.last()
		a.count("/v1/health")
		time.Sleep(time.Hour)
		synctest.Wait()
		if _, n := w.last(); n != before {
			t.Errorf("%d updates in a quiet hour", n-before)
		}
		if n := a.count("/v1/health"); n < 11 || n > 13 {
			t.Errorf("asked %d times in a quiet hour, want about 12", n)
		}

		// It stops at once in a query, leaving no connection.
		start := time.Now()
		w.stop()
		if time.Since(start) != 0 {
			t.Errorf("stopped after %v", time.Since(start))
		}
		p.set(true)
	})
}

// TestIndex: what an agent counts may begin anew.
func TestIndex(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent()
		a.index = 1000
		r, p, _ := bubble(t, a)
		a.put("u1", "users", "10.0.0.1:1", "passing")
		w := watch(t, r, "consul:///users")
		w.see(t, "at first", "10.0.0.1:1")
		// The connection stays, so that only the next answer tells.
		a.forget()
		a.put("u2", "users", "10.0.0.2:1", "passing")
		time.Sleep(DefaultWait * 17 / 16)
		w.see(t, "counted anew", "10.0.0.2:1")
		a.put("u2", "users", "10.0.0.3:1", "passing")
		w.see(t, "a change after that", "10.0.0.3:1")
		// The connection breaks.
		a.do(func() { a.index = 5000 })
		time.Sleep(DefaultWait * 17 / 16)
		p.set(true)
		w.see(t, "away", "error agent.test:8500")
		a.forget()
		a.put("u4", "users", "10.0.0.4:1", "passing")
		p.set(false)
		time.Sleep(longestPause * 6 / 5)
		w.see(t, "back", "10.0.0.4:1")
		a.put("u4", "users", "10.0.0.5:1", "passing")
		w.see(t, "a change when it is back", "10.0.0.5:1")
		// An index of zero would be answered at once each time.
		a.do(func() { a.index = 0 })
		a.count("/v1/health")
		time.Sleep(DefaultWait*17/16 + time.Minute)
		synctest.Wait()
		if n := a.count("/v1/health"); n < 100 || n > 800 {
			t.Errorf("asked %d times in 6 minutes, want twice a second at most", n)
		}
	})
}

// TestRate: a service that changes all the time is not asked for all the time.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent()
		r, _, _ := bubble(t, a)
		w := watch(t, r, "consul:///users")
		for i := range 6000 {
			time.Sleep(10 * time.Millisecond)
			a.put("u", "users", fmt.Sprintf("10.0.0.1:%d", i+1), "passing")
		}
		if n := a.count("/v1/health"); n < 100 || n > 130 {
			t.Errorf("asked %d times in a minute of changes, want about 120", n)
		}
		time.Sleep(2 * rest)
		w.see(t, "at last", "10.0.0.1:6000")
	})
}

func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent()
		r, p, _ := bubble(t, a, WithMaxAnswer(10_000))
		a.put("u1", "users", "10.0.0.1:1", "passing")
		w := watch(t, r, "consul:///users")
		w.see(t, "at first", "10.0.0.1:1")
		for _, test := range []struct {
			name, want string
			begin, end func()
		}{
			{"500", "error 500 (failing", func() { a.fail = 500 }, func() { a.fail = 0 }},
			{"a redirect", "error 302", func() { a.fail = 302 }, func() { a.fail = 0 }},
			{"a token", "error Permission denied", func() { a.token = "other" }, func() { a.token = "secret" }},
			{"not JSON", "error invalid character", func() { a.raw = "<html>" }, func() { a.raw = "" }},
			{"too large", "error more than 10000 bytes", func() { a.raw = "[" + strings.Repeat(" ", 10_000) + "]" }, func() { a.raw = "" }},
		} {
			a.do(func() {
				test.begin()
				a.bump()
			})
			time.Sleep(time.Minute)
			w.see(t, test.name, test.want)
			if got, _ := w.last(); len(got) > 2*maxErrorText || !strings.Contains(got, `target "consul:///users": agent http://agent.test:8500: `) {
				t.Errorf("%s: the error is %.500q", test.name, got)
			}
			a.do(test.end)
			time.Sleep(longestPause * 6 / 5)
			w.see(t, test.name+", mended", "10.0.0.1:1")
		}

		a.do(func() { a.fail = 500 })
		a.count("/")
		p.set(false)
		time.Sleep(10 * time.Minute)
		if n := a.count("/"); n < 34 || n > 60 { // 0.5, 1, 2, 4, 8 s, then every 12 to 18
			t.Errorf("asked %d times in 10 minutes of failures, want about 44", n)
		}
		a.do(func() { a.fail, a.requests = 0, nil })
		time.Sleep(longestPause * 6 / 5)
		w.see(t, "mended", "10.0.0.1:1")
		p.set(true) // refused
		time.Sleep(time.Minute)
		w.see(t, "refused", "error connection refused")
	})
}

// TestSilence: an agent that takes a question and says nothing is an error some time.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent()
		r, _, _ := bubble(t, a)
		a.do(func() { a.hang = true })
		w := watch(t, r, "consul:///users")
		time.Sleep(timeout + time.Second)
		a.do(func() { a.hang = false })
		w.see(t, "silent", "error deadline exceeded")
		time.Sleep(timeout + longestPause)
		w.see(t, "awake", "")
	})
}

func TestParameters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent()
		r, _, errs := bubble(t, a, WithMaxEndpoints(5))
		weigh := func(passing, warning int) func(*api.ServiceEntry) {
			return func(e *api.ServiceEntry) { e.Service.Weights = api.AgentWeights{Passing: passing, Warning: warning} }
		}
		tag := func(tags ...string) func(*api.ServiceEntry) {
			return func(e *api.ServiceEntry) { e.Service.Tags = tags }
		}
		a.put("1", "users", "10.0.0.1:1", "passing", weigh(7, 2), tag("ssd", "eu"))
		a.put("2", "users", "10.0.0.2:1", "warning", weigh(7, 2))
		a.put("3", "users", "10.0.0.3:1", "critical", tag("ssd"))
		a.put("4", "users", "10.0.0.4:1", "passing", func(e *api.ServiceEntry) {
			e.Checks = append(e.Checks, &api.HealthCheck{CheckID: api.NodeMaint, Status: "critical"})
		})
		for target, want := range map[string]string{
			"consul:///users": "10.0.0.1:1=7",
			"consul:users?stale=true&near=_agent&dc=dc1": "10.0.0.1:1=7",
			"consul:///users?health=warning":             "10.0.0.1:1=7 10.0.0.2:1=2",
			"consul:///users?health=any":                 "10.0.0.1:1=7 10.0.0.2:1=2 10.0.0.3:1=1",
			"consul:///users?health=any&tag=ssd":         "10.0.0.1:1=7 10.0.0.3:1=1",
			"consul:///users?health=any&tag=ssd&tag=eu":  "10.0.0.1:1=7",
			"consul:///users?dc=dc2":                     "No path to datacenter",
		} {
			w := watch(t, r, target)
			synctest.Wait()
			var got []string
			for _, e := range w.updates[0].Endpoints {
				got = append(got, fmt.Sprintf("%s=%d", e.Addr, e.Weight))
			}
			if err := w.updates[0].Err; err != nil && strings.Contains(err.Error(), want) {
				got = append(got, want)
			}
			if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
				t.Errorf("%s: %s", target, diff)
			}
			w.stop()
		}
		for i := range 10 {
			a.put(fmt.Sprint("m", i), "many", fmt.Sprintf("10.0.0.1:%d", 10+i), "passing")
		}
		w := watch(t, r, "consul:///many")
		w.see(t, "too many", "10.0.0.1:10 10.0.0.1:11 10.0.0.1:12 10.0.0.1:13 10.0.0.1:14")
		if err := <-errs; !strings.Contains(err.Error(), "10 instances are too many") {
			t.Errorf("got %v", err)
		}
		last := a.requests[len(a.requests)-1].query
		if last.Get("wait") != "300000ms" || !last.Has("passing") {
			t.Errorf("asked with %v", last)
		}
	})
}

func TestTargets(t *testing.T) {
	r, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]string{
		"consul://agent/users":                  "want three slashes",
		"consul:///":                            "want the name of a service",
		"consul:///a/b":                         "want the name of a service",
		"consul:///..":                          "want the name of a service",
		"consul:///a\nb":                        "control characters",
		"consul:///" + strings.Repeat("a", 300): "too long",
		"consul:///users?passing=true":          `parameter "passing" is not known (have: dc, health, near, ns, partition, stale, tag)`,
		"consul:///users?dc=":                   "want one value",
		"consul:///users?dc=a&dc=b":             "want one value",
		"consul:///users?stale=maybe":           "want true or false",
		"consul:///users?health=good":           "want passing, warning or any",
	} {
		_, err := address.Schemes{"consul": r}.Resolve(target)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "target ") {
			t.Errorf("%q: got %v, want %q", target, err, want)
		}
	}
	if _, err := New(&api.Config{Address: "gopher://x"}); err == nil || !strings.Contains(err.Error(), "gopher") {
		t.Errorf("got %v", err)
	}
}
