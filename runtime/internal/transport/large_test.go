package transport

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/dispatch"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// TestCancelLargeRequest: a caller that gives up in the middle of its request
// sends CANCEL and nothing behind it.
func TestCancelLargeRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := dialingWith(t, 4000)
		p.welcome()
		p.hello()
		<-c.Settled()
		ctx, cancel := context.WithCancel(t.Context())
		o := calling(ctx, c, say, long(4<<20))
		p.expectFrame(frame.TypeOpen, 1)
		p.expectFrame(frame.TypeData, 1)
		synctest.Wait()
		cancel()
		wantErr(t, (<-o).err, status.Canceled, false, "")
		n := 0
		for g := p.next(); g.Type != frame.TypeCancel; g = p.next() {
			if n++; n > 2 {
				t.Fatalf("still %v", &g.Header)
			}
		}
		if after := p.sync(); len(after) > 0 {
			t.Errorf("behind the CANCEL: %v", headers(after))
		}
	})
}

// TestRefusedLargeRequest: a caller whose call is answered in the middle of its
// request stops sending.
func TestRefusedLargeRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := dialingWith(t, 4000)
		p.welcome()
		p.hello()
		<-c.Settled()
		o := calling(t.Context(), c, say, long(4<<20))
		p.expectFrame(frame.TypeOpen, 1)
		p.raw(closing(1, status.PermissionDenied, frame.FlagNotRun))
		synctest.Wait()
		n := 0
		for _, g := range p.sync() {
			if n++; g.Type != frame.TypeData || n > 3 {
				t.Fatalf("after the end: %v", &g.Header)
			}
		}
		wantErr(t, (<-o).err, status.PermissionDenied, true, "")
	})
}

// largeAnswer is the peer of a server that is in the middle of a large answer
// to stream 1.
func largeAnswer(t *testing.T, timeout time.Duration) (*Server, *peer) {
	v := &service{unary: func(_ context.Context, req *text) (*text, error) {
		if req.s == "large" {
			return str(long(4<<20 - 100)), nil
		}
		return req, nil
	}}
	s, p := servingWith(t, v.dispatcher(dispatch.Config{}), 4000)
	p.hello()
	p.welcome()
	var arg uint32
	if timeout > 0 {
		arg = frame.DeadlineArg(timeout)
	}
	p.raw(enc(frame.Header{Type: frame.TypeOpen, Flags: frame.FlagName | kindFlags(say), ID: 1, Arg: arg}, name(say), "large"))
	p.expectFrame(frame.TypeData, 1)
	p.expectFrame(frame.TypeData, 1)
	return s, p
}

// TestCancelLargeAnswer: a callee that reads CANCEL in the middle of its answer
// stops sending.
func TestCancelLargeAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := largeAnswer(t, 0)
		p.raw(frame.AppendCancel(nil, 1, status.Canceled))
		synctest.Wait() // it has been read, and the server waits to write
		if n := len(p.sync()); n > 3 {
			t.Errorf("%d frames after CANCEL", n)
		}
		synctest.Wait()
		if n := s.running.Load(); n != 0 {
			t.Errorf("%d handlers run", n)
		}
		p.raw(open(3, say, 0, "small"))
		p.expectClose(3, status.OK)
	})
}

// TestDeadlineInLargeAnswer: an answer whose deadline passes while it is sent
// is either sent to its end or ended by a CLOSE.
func TestDeadlineInLargeAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := largeAnswer(t, time.Second)
		time.Sleep(2 * time.Second)
		for {
			g := p.next()
			if g.Type == frame.TypeClose {
				if code := status.Code(g.Code); code != status.OK && code != status.DeadlineExceeded {
					t.Errorf("ended with %v", code)
				}
				break
			}
		}
		synctest.Wait()
		if n := s.running.Load(); n != 0 {
			t.Errorf("%d handlers run", n)
		}
	})
}

// TestSlowReaderOfLargeAnswers: a peer that opens calls and does not take their
// answers cannot have the server hold any number of them.
func TestSlowReaderOfLargeAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &service{unary: func(context.Context, *text) (*text, error) { return str(long(100_000)), nil }}
		_, p := servingWith(t, v.dispatcher(dispatch.Config{}), 4000, func(cfg *Config) { cfg.Settings.MaxStreams = 16 })
		p.hello()
		p.welcome()
		const calls = 200
		for i := range calls {
			p.raw(open(frame.StreamID(2*i+1), say, 0, "x"))
			synctest.Wait()
		}
		ended := map[status.Code]int{}
		for range calls {
			g := p.next()
			for g.Type != frame.TypeClose {
				g = p.next()
			}
			ended[status.Code(g.Code)]++
		}
		// As many may run as may be open, and as many answers may wait.
		if ended[status.OK] > 3*16 || ended[status.OK]+ended[status.ResourceExhausted] != calls {
			t.Errorf("calls ended with %v", ended)
		}
	})
}
