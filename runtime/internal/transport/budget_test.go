package transport

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/dispatch"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// budget gives a connection a budget.
func budget(b *Budget) func(*Config) { return func(cfg *Config) { cfg.Budget = b } }

// exceeded are parts of what the error of a message that was given up says.
const exceeded = "above the limit of 1048576 for all together: the youngest is given up (option WithReceiveBudget)"

// begin returns the OPEN of a unary call whose request of size bytes begins
// with one of part bytes.
func begin(id frame.StreamID, method uint16, size, part int) []byte {
	return enc(frame.Header{Type: frame.TypeOpen, Flags: frame.FlagName | frame.FlagMessage | frame.FlagMore | frame.FlagTotal, ID: id, Code: method}, name(say), total(size), long(part))
}

// more returns the next part of a single request.
func more(id frame.StreamID, part int) []byte { return data(id, frame.FlagMore, long(part)) }

// TestYoungestMakesRoom: when the budget is used up, the youngest request fails,
// also one of another connection; older ones go on, and what is left is released.
func TestYoungestMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(1 << 20)
		_, old := settledServer(t, &service{}, budget(b))
		_, young := settledServer(t, &service{}, budget(b))
		const size = 1_000_000
		old.raw(begin(1, 1, size, 60_000))
		old.sync()
		young.raw(begin(1, 1, 100_000, 60_000), begin(3, 0, 100_000, 60_000))
		young.sync()
		if got := b.Used(); got != fullBuffer+2*100_000 {
			t.Errorf("%d bytes are counted", got)
		}
		sent := 60_000
		for ; sent < size-60_000; sent += 60_000 {
			old.raw(more(1, 60_000))
			for _, g := range old.sync() {
				t.Errorf("the older one got %v", &g.Header)
			}
		}
		for _, id := range []frame.StreamID{3, 1} {
			g := young.expectClose(id, status.ResourceExhausted)
			msg, _, _ := frame.ParseDetail(g.Detail)
			if !g.Flags.Has(frame.FlagNotRun) || !strings.Contains(msg, exceeded) {
				t.Errorf("stream %d: not run is %v, %q", id, g.Flags.Has(frame.FlagNotRun), msg)
			}
		}
		// Its connection lives on, and the rest of the request is late.
		young.raw(more(1, 10_000), again(5, say, 1, "hello"))
		young.expectClose(5, status.OK)
		old.raw(data(1, frame.FlagHalfClose, long(size-sent)))
		for {
			if g := old.next(); g.Type == frame.TypeClose {
				if g.Code != 0 {
					t.Errorf("the older one ended with %v", status.Code(g.Code))
				}
				break
			}
		}
		synctest.Wait()
		if got := b.Used(); got != 0 {
			t.Errorf("%d bytes are counted in the end", got)
		}
	})
}

// TestBudgetOfOneMessage: a message that does not fit the budget alone ends its
// call, with the error that says so, in both roles and as a part of a stream.
func TestBudgetOfOneMessage(t *testing.T) {
	for name, do := range map[string]func(t *testing.T, c *Client) error{
		"request": func(t *testing.T, c *Client) error { return (<-calling(t.Context(), c, say, long(3<<20))).err },
		"request of a stream": func(t *testing.T, c *Client) error {
			s, err := c.Stream(t.Context(), &StreamCall{Method: up, Req: str(long(3 << 20))})
			if err != nil {
				return err
			}
			_, e := recvText(s)
			return e
		},
		"sent on a stream": func(t *testing.T, c *Client) error {
			s, err := c.Stream(t.Context(), &StreamCall{Method: sum})
			if err != nil {
				return err
			}
			s.Send(str(long(3 << 20)))
			s.CloseSend()
			_, e := recvText(s)
			return e
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := NewBudget(1 << 20)
				c, _ := connected(t, &service{}, budget(b))
				wantErr(t, do(t, c), status.ResourceExhausted, name != "sent on a stream", exceeded)
				wantRes(t, <-calling(t.Context(), c, say, "still here"), "still here")
				synctest.Wait()
				if got := b.Used(); got != 0 {
					t.Errorf("%d bytes are counted in the end", got)
				}
			})
		})
	}
}

// TestBudgetOfAnswers: the same for what a caller receives. The server has
// another budget.
func TestBudgetOfAnswers(t *testing.T) {
	large := func(_ context.Context, req *text) (*text, error) { return str(long(3 << 20)), nil }
	stream := func(_ context.Context, s call.ServerStream) error { return s.Send(str(long(3 << 20))) }
	for _, m := range []*call.Method{say, up, sum} {
		t.Run(m.Name(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := NewBudget(1 << 20)
				v := &service{unary: large, stream: stream}
				d := v.dispatcher(dispatch.Config{})
				dialed, accepted := pipe(t, 64<<10)
				srv := NewServer(t.Context(), accepted, config(), d, &call.Peer{})
				go srv.Serve()
				c := startClient(dialed, config(budget(b)), call.Peer{})
				defer d.Wait()
				defer srv.Close()
				defer c.Close()
				var err error
				if m == say {
					err = (<-calling(t.Context(), c, say, "")).err
				} else {
					s, e := c.Stream(t.Context(), &StreamCall{Method: m, Req: str("")})
					if e != nil {
						t.Fatal(e)
					}
					_, err = recvText(s)
				}
				wantErr(t, err, status.ResourceExhausted, false, exceeded)
				synctest.Wait()
				if got := b.Used(); got != 0 || c.InFlight() != 0 {
					t.Errorf("%d bytes are counted in the end, %d calls in flight", got, c.InFlight())
				}
			})
		})
	}
}

// TestUnreadIsCounted: what streams have received and nobody takes is counted;
// a stream that brings more than there is room for ends, the connection does not.
func TestUnreadIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(1 << 20)
		goOn := make(chan struct{})
		_, p := settledServer(t, &service{stream: func(ctx context.Context, s call.ServerStream) error {
			select {
			case <-goOn:
			case <-ctx.Done():
				return ctx.Err()
			}
			return join(s)
		}}, budget(b), windows(16<<20, 16<<20))
		p.raw(open(1, sum, 1, ""), again(3, sum, 1, ""))
		for range 15 {
			p.raw(data(1, credited, long(60_000)))
		}
		p.sync()
		if got, want := b.Used(), int64(15*60_000-freeUnread); got < want || got > want+unreadStep {
			t.Errorf("%d bytes are counted, want about %d", got, want)
		}
		for range 5 {
			p.raw(data(3, credited, long(60_000)))
		}
		g := p.expectClose(3, status.ResourceExhausted)
		if msg, _, _ := frame.ParseDetail(g.Detail); !strings.Contains(msg, exceeded) {
			t.Errorf("the stream ended with %q", msg)
		}
		close(goOn)
		p.raw(data(1, credited|frame.FlagHalfClose, "end"))
		for g = p.next(); g.Type != frame.TypeClose; g = p.next() {
		}
		if g.ID != 1 || g.Code != 0 {
			t.Errorf("the other one: %v", &g.Header)
		}
		synctest.Wait()
		if got := b.Used(); got != 0 {
			t.Errorf("%d bytes are counted in the end", got)
		}
	})
}

// TestSmallMessagesAreNotCounted: what arrives in one frame and is taken at once
// does not go to the budget.
func TestSmallMessagesAreNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(0)
		c, _ := connected(t, &service{}, budget(b))
		for range 10 {
			wantRes(t, <-calling(t.Context(), c, say, long(60_000)), long(60_000))
		}
		s, err := c.Stream(t.Context(), &StreamCall{Method: echo})
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			if err := s.Send(str(long(10_000))); err != nil {
				t.Fatal(err)
			}
			if _, err := recvText(s); err != nil {
				t.Fatal(err)
			}
		}
		s.Close()
	})
}

// TestBudgetComesBack: after any traffic, with calls cancelled, streams left
// unread, connections cut and a budget that is too small, nothing is counted and
// every call has ended in one of the ways that it may.
func TestBudgetComesBack(t *testing.T) {
	var exhausted atomic.Int64 // calls
	for seed := range uint64(5) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := NewBudget(300_000)
				var all sync.WaitGroup
				for conn := range uint64(3) {
					r := rand.New(rand.NewPCG(seed, conn))
					all.Go(func() { traffic(t, r, b, &exhausted) })
				}
				all.Wait()
				if got := b.Used(); got != 0 || b.youngest != nil {
					t.Errorf("%d bytes are counted in the end, the youngest is %v", got, b.youngest)
				}
			})
		})
	}
	if exhausted.Load() == 0 {
		t.Error("the budget was never used up")
	}
}

// traffic makes random calls on one connection, which it ends.
func traffic(t *testing.T, r *rand.Rand, b *Budget, exhausted *atomic.Int64) {
	v := &service{}
	d := v.dispatcher(dispatch.Config{})
	dialed, accepted := pipe(t, 64<<10)
	srv := NewServer(context.Background(), accepted, config(budget(b), windows(256<<10, 512<<10)), d, &call.Peer{})
	var served, calls sync.WaitGroup
	served.Go(func() { srv.Serve() })
	c := startClient(dialed, config(budget(b), windows(256<<10, 512<<10)), call.Peer{})
	for range 15 {
		size, pause := r.IntN(150_000), time.Duration(r.IntN(1000))*time.Millisecond
		patience := time.Duration(r.IntN(2)) * time.Duration(r.IntN(300)) * time.Millisecond
		m := []*call.Method{say, up, sum, echo}[r.IntN(4)]
		n, reads := r.IntN(4), r.IntN(6)
		calls.Go(func() {
			time.Sleep(pause)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if patience > 0 {
				time.AfterFunc(patience, cancel)
			}
			err := anyCall(ctx, c, m, size, n, reads)
			switch code := status.CodeOf(err); code {
			case status.OK, status.Canceled, status.Unavailable:
			case status.ResourceExhausted:
				exhausted.Add(1)
			default:
				t.Errorf("a call of %s ended with %v", m.Name(), err)
			}
		})
	}
	if cut := time.Duration(r.IntN(1500)) * time.Millisecond; r.IntN(2) == 0 {
		time.Sleep(cut)
		dialed.Close()
	}
	calls.Wait()
	time.Sleep(time.Minute) // until handlers have ended
	for name, l := range map[string]*link{"client": &c.link, "server": &srv.link} {
		b.mu.Lock()
		if l.budget.used != 0 {
			t.Errorf("%d bytes are counted for the %s when all calls have ended", l.budget.used, name)
		}
		b.mu.Unlock()
	}
	c.Close()
	srv.Close()
	served.Wait()
	d.Wait()
}

var longest = long(150_000)

// anyCall makes a call with messages of size bytes, pausing between them, and
// of a stream's answers reads only so many.
func anyCall(ctx context.Context, c *Client, m *call.Method, size, n, reads int) error {
	if m == say {
		o := <-calling(ctx, c, m, longest[:size])
		if o.err == nil && len(o.res) != size {
			return fmt.Errorf("%d bytes came back of %d", len(o.res), size)
		}
		if o.err == nil {
			return nil
		}
		return o.err
	}
	req := str(longest[:size/2] + " " + longest[:size/2])
	s, err := c.Stream(ctx, &StreamCall{Method: m, Req: req})
	if err != nil {
		return err
	}
	var sender sync.WaitGroup
	defer sender.Wait()
	defer s.Close()
	sender.Go(func() {
		for range n {
			time.Sleep(50 * time.Millisecond)
			if !m.Kind().CallerStreams() || s.Send(req) != nil {
				break
			}
		}
		s.CloseSend()
	})
	for range reads {
		time.Sleep(30 * time.Millisecond)
		if _, err := recvText(s); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}
