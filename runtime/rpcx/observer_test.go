package rpcx_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// observer counts what is open and notes what has ended.
type observer struct {
	mu                    sync.Mutex
	calls, attempts, conn map[string]int // open, by method or address
	ended                 []string
	bytes                 [2]int64
}

func newObserver() *observer {
	return &observer{calls: map[string]int{}, attempts: map[string]int{}, conn: map[string]int{}}
}

func (o *observer) note(f func()) { o.mu.Lock(); defer o.mu.Unlock(); f() }

func (o *observer) CallStarted(i call.Info) { o.note(func() { o.calls[i.Method.Name()]++ }) }
func (o *observer) CallEnded(i call.Info, r call.Result) {
	o.note(func() {
		o.calls[i.Method.Name()]--
		o.ended = append(o.ended, fmt.Sprint(i.Side, " ", i.Method.Name(), " ", status.CodeOf(r.Err)))
		o.bytes[0] += r.BytesSent
		o.bytes[1] += r.BytesReceived
	})
}
func (o *observer) AttemptStarted(i call.Info) { o.note(func() { o.attempts[i.Method.Name()]++ }) }
func (o *observer) AttemptEnded(i call.Info, _ call.Result) {
	o.note(func() {
		o.attempts[i.Method.Name()]--
		if i.Peer.Addr != nil {
			o.ended = append(o.ended, fmt.Sprint("attempt ", i.Method.Name()))
		}
	})
}
func (o *observer) ConnOpened(i call.ConnInfo)          { o.note(func() { o.conn[i.Side.String()]++ }) }
func (o *observer) ConnClosed(i call.ConnInfo, _ error) { o.note(func() { o.conn[i.Side.String()]-- }) }

// open returns how much has started and not ended.
func (o *observer) open() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range []map[string]int{o.calls, o.attempts, o.conn} {
		for _, k := range m {
			n += k
		}
	}
	return n
}

func (o *observer) take() map[string]int {
	o.mu.Lock()
	defer o.mu.Unlock()
	seen := map[string]int{}
	for _, e := range o.ended {
		seen[e]++
	}
	o.ended = nil
	return seen
}

// TestObservers: everything that starts ends once, on both sides, whatever
// becomes of it.
func TestObservers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := newObserver(), newObserver()
		mode := ""
		misbehave := func(ctx context.Context, c *call.Call, next call.Next) error {
			switch mode {
			case "fail":
				return status.Errorf(status.Aborted, "no")
			case "hang":
				<-ctx.Done()
				return ctx.Err()
			case "panic":
				panic("x")
			}
			return next(ctx, c)
		}
		conn, srv, network := inMemory(t, &echo{},
			[]rpcx.ServerOption{rpcx.WithObserver(server), rpcx.WithInterceptors(misbehave)},
			[]rpcx.DialOption{rpcx.WithObserver(client)})
		for mode_, code := range map[string]status.Code{"": status.OK, "fail": status.Aborted, "hang": status.DeadlineExceeded, "panic": status.Internal} {
			mode = mode_
			for _, name := range []string{"Unary", "Split", "Join", "Bidi"} {
				kinds[name](t.Context(), conn, rpcx.WithTimeout(time.Second))
				synctest.Wait()
				want := fmt.Sprint("client ", name, " ", code)
				if got := client.take(); got[want] != 1 || got["attempt "+name] != 1 || len(got) != 2 {
					t.Errorf("%s %q: the client's observer saw %v", name, mode, got)
				}
				if got := server.take(); len(got) != 1 {
					t.Errorf("%s %q: the server's observer saw %v", name, mode, got)
				}
			}
		}
		// The connection dies under calls.
		mode = "hang"
		var calls sync.WaitGroup
		for _, name := range []string{"Unary", "Split", "Join", "Bidi"} { // the other one must not block
			calls.Go(func() { kinds[name](t.Context(), conn) })
		}
		synctest.Wait()
		network.ResetConns()
		calls.Wait()
		synctest.Wait()
		if len(client.take()) == 0 || len(server.take()) == 0 {
			t.Error("nothing ended")
		}
		conn.Close()
		srv.Close()
		if c, s := client.open(), server.open(); c != 0 || s != 0 {
			t.Errorf("left open: client %+v, server %+v", client, server)
		}
	})
}

func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, srv, _ := inMemory(t, &echo{}, nil, nil)
		for range 3 {
			eachKind(t, func(t *testing.T, name string, do func(...rpcx.CallOption) (string, error)) {
				if _, err := do(); err != nil {
					t.Error(err)
				}
			}, conn)
		}
		synctest.Wait()
		clientStats, serverStats := conn.Stats(), srv.Stats()
		if len(clientStats) != 5 || len(serverStats) != 5 {
			t.Fatalf("stats of %d and %d methods", len(clientStats), len(serverStats))
		}
		for i, c := range clientStats {
			s := serverStats[i]
			if c.Method != s.Method || c.Started != 3 || s.Started != 3 || c.Ended[status.OK] != 3 || s.Ended[status.OK] != 3 || c.InFlight() != 0 || s.InFlight() != 0 {
				t.Errorf("client %+v, server %+v", c, s)
			}
			if c.BytesSent == 0 || c.BytesSent != s.BytesReceived || c.BytesReceived == 0 || c.BytesReceived != s.BytesSent {
				t.Errorf("%s: client %d/%d bytes, server %d/%d", c.Method, c.BytesSent, c.BytesReceived, s.BytesSent, s.BytesReceived)
			}
			if c.Latency.Count != 3 {
				t.Errorf("%s: latency of %d calls", c.Method, c.Latency.Count)
			}
		}
	})
}
