package transport

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/rpcxtest/memnet"
)

// writes counts the writes of a connection.
type writes struct {
	net.Conn
	n atomic.Int32
}

func (w *writes) Write(b []byte) (int, error) {
	w.n.Add(1)
	return w.Conn.Write(b)
}

// TestGreetingTakesEarlyCallsAlong: a call that may be sent early and is there before
// the client reads shares the greeting's write.
func TestGreetingTakesEarlyCallsAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dialed, accepted := pipe(t, memnet.DefaultBuffer)
		counted := &writes{Conn: dialed}
		c := NewClient(counted, config(), call.Peer{})
		early := calling(t.Context(), c, get, "early")
		waits := calling(t.Context(), c, say, "waits")
		synctest.Wait()
		go c.Run(nobody{})
		defer c.Close()
		p := newPeer(t, accepted)
		p.welcome()
		p.expectFrame(frame.TypeOpen, 1)
		synctest.Wait()
		if n := counted.n.Load(); n != 1 {
			t.Errorf("greeting and call took %d writes", n)
		}
		p.hello()
		p.raw(answer(1, "a"))
		p.expectFrame(frame.TypeOpen, 3)
		p.raw(answer(3, "b"))
		wantRes(t, <-early, "a")
		wantRes(t, <-waits, "b")
	})
}

// TestGreetingWaitsForNoHandler: the server's settings do not wait until early calls
// have been answered.
func TestGreetingWaitsForNoHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ends := make(chan struct{})
		_, p := serving(t, &service{unary: func(_ context.Context, req *text) (*text, error) {
			<-ends
			return req, nil
		}})
		b := frame.AppendSettings([]byte(frame.Preface), frame.DefaultSettings())
		p.raw(b, open(1, get, 1, "early"))
		p.welcome()
		close(ends)
		p.expectClose(1, 0)
	})
}

// TestGreetingWaitsForNoSettings: who has sent a preface hears from the server.
func TestGreetingWaitsForNoSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := serving(t, &service{})
		p.raw([]byte(frame.Preface))
		begun := time.Now()
		p.welcome()
		if d := time.Since(begun); d != 0 {
			t.Errorf("it took %v", d)
		}
	})
}

// TestFarewell: a server that does not close a connection which was left has a while
// to do so.
func TestFarewell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := settledClient(t)
		left := time.Now()
		c.Retire()
		<-c.Dead()
		if d := time.Since(left); d != farewell {
			t.Errorf("closed after %v, want %v", d, farewell)
		}
	})
}
