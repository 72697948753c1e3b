package etcd

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpcx-go/rpcx/runtime/address"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// seen is what a source said last, and how often it said something.
type seen struct {
	mu   sync.Mutex
	n    int
	last address.Update
}

func (s *seen) get() (int, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n, fmt.Sprint(s.last.Endpoints), s.last.Err
}

// watch watches users in a bubble until stop is called.
func watch(t *testing.T, r *Registry) (s *seen, stop func()) {
	t.Helper()
	source, err := r.Resolve(address.Target{Scheme: "etcd", Path: "users"})
	if err != nil {
		t.Fatal(err)
	}
	s = &seen{}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		source.Watch(ctx, func(u address.Update) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.n++
			s.last = u
		})
	})
	return s, func() { cancel(); running.Wait() }
}

// TestSilence: an etcd that says nothing is asked whether it is there. If it answers
// nothing happens, however long that lasts; if it does not the list tells.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := newFake(t)
		f.set("a:1")
		var mu sync.Mutex
		var reported []error
		s, stop := watch(t, New(client, WithErrorHandler(func(err error) {
			mu.Lock()
			defer mu.Unlock()
			reported = append(reported, err)
		})))
		defer stop()
		time.Sleep(time.Hour)
		synctest.Wait()
		if n, got, err := s.get(); n != 1 || got != "[tcp://a:1]" || err != nil {
			t.Errorf("after an hour of nothing: %d updates, %s, %v", n, got, err)
		}
		if f.gets != 1 || f.asked < 280 || f.asked > 460 {
			t.Errorf("%d lists, asked %d times", f.gets, f.asked)
		}

		f.do(func() { f.deaf = true })
		f.set("b:1")
		time.Sleep(2 * (silence + timeout))
		synctest.Wait()
		if _, got, err := s.get(); got != "[tcp://b:1]" || err != nil {
			t.Errorf("deaf: got %s, %v", got, err)
		}
		mu.Lock()
		if len(reported) == 0 || !contains(reported[0], "etcd is silent") {
			t.Errorf("reported %v", reported)
		}
		mu.Unlock()
		f.do(func() { f.err = errDown })
		time.Sleep(2 * (silence + timeout))
		synctest.Wait()
		if _, got, err := s.get(); got != "[]" || !contains(err, "down") {
			t.Errorf("down: got %s, %v", got, err)
		}
		f.do(func() { f.err, f.deaf = nil, false })
		time.Sleep(2 * longestPause)
		synctest.Wait()
		if _, got, err := s.get(); got != "[tcp://b:1]" || err != nil {
			t.Errorf("up again: got %s, %v", got, err)
		}
	})
}

// TestOtherData: an etcd that has been wiped between two looks has a lower revision.
func TestOtherData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := newFake(t)
		f.set("a:1")
		s, stop := watch(t, New(client))
		defer stop()
		synctest.Wait()
		f.do(func() { f.revision = 3 })
		f.set("b:1")
		time.Sleep(2 * silence)
		synctest.Wait()
		if _, got, err := s.get(); got != "[tcp://b:1]" || err != nil {
			t.Errorf("got %s, %v", got, err)
		}
		if last := f.watches[len(f.watches)-1]; last.from != f.revision+1 {
			t.Errorf("it watches from %d, want %d", last.from, f.revision+1)
		}
	})
}

// TestAttempts: attempts that fail become rare, and whoever gets lists but no watch
// lists now and then.
func TestAttempts(t *testing.T) {
	for name, test := range map[string]struct {
		broken func(f *fake)
		err    string
	}{
		"lists fail":   {func(f *fake) { f.err = errDown }, "down"},
		"watches fail": {func(f *fake) { f.refuse = errDown }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, client := newFake(t)
				f.set("a:1")
				test.broken(f)
				s, stop := watch(t, New(client, WithErrorHandler(func(error) {})))
				defer stop()
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				if _, _, err := s.get(); (err == nil) != (test.err == "") || err != nil && !contains(err, test.err) {
					t.Errorf("got %v, want %q", err, test.err)
				}
				// 5 s apart after six shorter ones, varied by a fifth.
				if f.gets < 100 || f.gets > 160 {
					t.Errorf("%d lists in ten minutes", f.gets)
				}
				f.do(func() { f.err, f.refuse = nil, nil })
				time.Sleep(2 * longestPause)
				synctest.Wait()
				if _, got, err := s.get(); got != "[tcp://a:1]" || err != nil {
					t.Errorf("mended: got %s, %v", got, err)
				}
			})
		})
	}
}

func TestKeys(t *testing.T) {
	r := New(nil, WithPrefix("/x"))
	folder, err := r.folder("shop/users")
	if err != nil || folder != "/x/shop/users/" {
		t.Fatalf("got %q, %v", folder, err)
	}
	seen := map[string]address.Endpoint{}
	for want, e := range map[string]address.Endpoint{
		"a:1":              {Network: "tcp", Addr: "a:1"},
		"[::1]:1":          {Network: "tcp", Addr: "[::1]:1"},
		"unix:%2Frun%2Fx":  {Network: "unix", Addr: "/run/x"},
		"unix:%252Frun":    {Network: "unix", Addr: "%2Frun"},
		"[fe80::1%25e0]:1": {Network: "tcp", Addr: "[fe80::1%e0]:1"},
	} {
		got := key(folder, e)
		if got != folder+want {
			t.Errorf("%v: got %s, want %s", e, got, want)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("%v and %v have the same key", e, other)
		}
		seen[got] = e
	}
}
