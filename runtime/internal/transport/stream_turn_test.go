package transport

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/dispatch"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
)

// TestTurn: a stream draws sendTurn bytes in its turn while another one waits,
// which is woken when the turn ends: when all is drawn, when the stream has to
// wait, or when the batch is taken.
func TestTurn(t *testing.T) {
	const n = sendTurn / 4
	for name, end := range map[string]func(l *link, s *stream) (woken bool){
		"all is drawn": func(l *link, s *stream) bool {
			for i := range 3 {
				if s.takeLocked(n, n, nil) != nil {
					t.Fatalf("it waits within its turn, after %d frames", i)
				}
			}
			if s.takeLocked(1, 1, nil) != &l.waiting {
				t.Fatal("it goes on behind its turn")
			}
			l.endTurnLocked(s)
			return true
		},
		"it waits for its own credit": func(l *link, s *stream) bool {
			s.credit = 0
			if s.takeLocked(n, n, nil) != &s.blocked {
				t.Fatal("it does not wait")
			}
			l.endTurnLocked(s)
			return true
		},
		"the batch is taken": func(l *link, s *stream) bool {
			l.w.buf = []byte("frame")
			l.w.take(false, batch{})
			if s.takeLocked(n, n, nil) != &l.waiting {
				t.Fatal("its turn goes on")
			}
			return true
		},
		"another one waits": func(l *link, _ *stream) bool {
			l.endTurnLocked(&stream{l: l, id: 3})
			return false
		},
	} {
		l := &link{cfg: config()}
		l.credit = 1 << 20
		s := &stream{l: l, id: 1, credit: 1 << 20}
		next := l.waiting.add(false)
		l.waiting.add(false)
		if s.takeLocked(n, n, nil) != &l.waiting {
			t.Fatalf("%s: without a turn a stream does not wait behind another", name)
		}
		l.beginTurnLocked(s, n)
		want := end(l, s)
		if woken := !l.waiting.remove(next); woken != want {
			t.Errorf("%s: the next one is woken: %v", name, woken)
		}
	}
}

// TestTurnsAreFair: streams that compete for the connection's credit get about the
// same share of it, whatever the size of their messages, while batches are not taken
// faster than they fill.
func TestTurnsAreFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const grant, rounds = 64 << 10, 20
		_, p := servingWith(t, (&service{stream: func(_ context.Context, s call.ServerStream) error {
			req, err := recvText(s)
			if err != nil {
				return err
			}
			for s.Send(str(long(100*len(req)*len(req)))) == nil {
			}
			return nil
		}}).dispatcher(dispatch.Config{}), 1<<10)
		p.hello(func(s *frame.Settings) { s.StreamCredit, s.ConnCredit = 16<<20, grant })
		p.welcome()
		p.raw(open(1, up, 1, "x"), again(3, up, 1, "xx"), again(5, up, 1, "xxxx"), again(7, up, 1, "xxxxxxxx"))
		sent := map[frame.StreamID]int{1: 0, 3: 0, 5: 0, 7: 0}
		for range rounds {
			synctest.Wait()
			for _, g := range p.sync() {
				sent[g.ID] += int(g.Cost())
			}
			p.raw(frame.AppendCredit(nil, 0, grant))
		}
		even := grant * rounds / len(sent)
		for id, n := range sent {
			if n < even/2 || n > even*2 {
				t.Errorf("stream %d sent %d bytes, an even share is %d: %v", id, n, even, sent)
			}
		}
	})
}
