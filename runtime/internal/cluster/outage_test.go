package cluster_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/rpcx"
)

// TestRegistryOutage: for ten minutes the registry fails, then it has lost its
// data, then it has other servers. No call fails meanwhile, also as servers come,
// go and restart.
func TestRegistryOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.up("a", "b", "c")
		f.register("a", "b", "c")
		conn := f.conn()
		tr := f.traffic(conn, 10, 200*time.Millisecond)
		time.Sleep(time.Minute)
		servers := func(when string, want ...string) {
			t.Helper()
			tr.take()
			time.Sleep(time.Minute)
			got := tr.take()
			for _, name := range want {
				if got[name] < 500 {
					t.Errorf("%s: %s got %d calls of %v", when, name, got[name], got)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%s: calls went to %v", when, got)
			}
		}
		servers("at first", "a", "b", "c")

		f.registry.Break(errors.New("the registry is away"))
		for range 3 {
			servers("while the registry is away", "a", "b", "c")
		}
		f.shutdown("b")
		servers("and a server stopped", "a", "c")
		f.up("b")
		time.Sleep(15 * time.Second)
		servers("and started", "a", "b", "c")
		time.Sleep(5*time.Minute - 15*time.Second)
		if s := conn.ResolverStats(); s.Err == nil || s.Errors == 0 || s.Kept == 0 {
			t.Errorf("statistics %+v", s)
		}

		f.registry.Break(nil)
		f.deregister("a", "b", "c")
		for range 3 {
			servers("while the list is empty", "a", "b", "c")
		}
		if s := conn.ResolverStats(); s.Err == nil || s.Empty == 0 {
			t.Errorf("statistics %+v", s)
		}

		f.up("d", "e")
		f.register("d", "e")
		time.Sleep(time.Second)
		servers("with other servers", "d", "e")
		for _, name := range []string{"a", "b", "c"} { // nobody uses them any more
			f.servers[name].Close()
		}
		servers("without those of before", "d", "e")
		if s := conn.ResolverStats(); s.Err != nil {
			t.Errorf("statistics %+v", s)
		}
		tr.end()
	})
}

// TestVanishedInFlight: a call and a stream that are in flight when their server
// leaves the registry end well, then its connection is closed.
func TestVanishedInFlight(t *testing.T) {
	for _, drains := range []bool{false, true} { // the server knows that it has left
		synctest.Test(t, func(t *testing.T) {
			f := newFleet(t)
			f.up("a", "b")
			f.register("a", "b")
			var count opened
			conn := f.conn(rpcx.WithObserver(&count))
			all, err := conn.Instances(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for range 10 {
				for _, i := range all {
					if _, err := who(t.Context(), i); err != nil {
						t.Error(err)
					}
				}
			}
			stream, err := rpcx.CallBidiStream(t.Context(), all[0], talkMethod)
			if err != nil {
				t.Fatal(err)
			}
			talk := func() {
				t.Helper()
				if err := stream.Send(wrapperspb.String("?")); err != nil {
					t.Error(err)
				}
				if m, err := stream.Recv(); err != nil || m.GetValue() != "a" {
					t.Errorf("got %q, %v", m.GetValue(), err)
				}
			}
			talk()
			f.deregister("a")
			synctest.Wait()
			var stopped chan struct{}
			if drains {
				stopped = make(chan struct{})
				go func() { f.shutdown("a"); close(stopped) }()
			}
			for range 20 {
				if name, err := who(t.Context(), conn); err != nil || name != "b" {
					t.Errorf("got %q, %v", name, err)
				}
			}
			time.Sleep(time.Minute)
			talk()
			if n := count.open.Load(); n != 2 {
				t.Errorf("%d connections while a stream is open", n)
			}
			if err := stream.CloseSend(); err != nil {
				t.Error(err)
			}
			if _, err := stream.Recv(); err == nil {
				t.Error("the stream did not end")
			}
			time.Sleep(6 * time.Second)
			if n := count.open.Load(); n != 1 {
				t.Errorf("%d connections when it has ended", n)
			}
			if _, err := who(t.Context(), all[0]); err == nil {
				t.Error("a call to the server that left succeeded")
			}
			if drains {
				<-stopped
			}
		})
	}
}

// TestRollingRestart: servers restart one after the other, in the registry or
// without telling it; no unary call fails.
func TestRollingRestart(t *testing.T) {
	for _, told := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := newFleet(t)
			names := []string{"a", "b", "c"}
			f.up(names...)
			f.register(names...)
			tr := f.traffic(f.conn(), 20, 17*time.Millisecond)
			time.Sleep(time.Second)
			for _, name := range names {
				if told {
					f.deregister(name)
				}
				f.shutdown(name)
				time.Sleep(200 * time.Millisecond)
				f.up(name)
				if told {
					f.register(name)
				}
				time.Sleep(5 * time.Second)
			}
			tr.take()
			time.Sleep(20 * time.Second)
			if c := tr.take(); len(c) != 3 {
				t.Errorf("after all restarts: %v", c)
			}
			tr.end()
		})
	}
}
