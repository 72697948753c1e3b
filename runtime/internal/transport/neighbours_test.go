package transport

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/dispatch"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// sockets returns both ends of a TCP connection.
func sockets(t *testing.T) (dialed, accepted net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialed, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return dialed, accepted
}

// overTCP is connected over a real socket, where senders write for themselves.
func overTCP(t *testing.T, v *service, edit ...func(*Config)) (*Client, *Server) {
	t.Helper()
	dialed, accepted := sockets(t)
	return over(t, dialed, accepted, v, edit...)
}

// over is connected over the two ends of a connection. The test's end closes both.
func over(t *testing.T, dialed, accepted net.Conn, v *service, edit ...func(*Config)) (*Client, *Server) {
	t.Helper()
	d := v.dispatcher(dispatch.Config{})
	s := NewServer(context.Background(), accepted, config(edit...), d, &call.Peer{Addr: accepted.RemoteAddr()})
	var served sync.WaitGroup
	served.Go(func() { s.Serve() })
	c := startClient(dialed, config(edit...), call.Peer{Addr: dialed.RemoteAddr()})
	t.Cleanup(func() {
		c.Close()
		s.Close()
		served.Wait()
		d.Wait()
	})
	return c, s
}

// TestBadMessagesLeaveNeighboursWhole: messages that cannot be marshalled fail
// their own call, on either side, and no other.
func TestBadMessagesLeaveNeighboursWhole(t *testing.T) {
	bads := []string{badPanic, badSize, badError, badShort, badLong}
	c, _ := overTCP(t, &service{
		unary: func(_ context.Context, req *text) (*text, error) {
			for _, bad := range bads {
				if req.s == bad {
					return &text{s: long(100), bad: bad}, nil
				}
			}
			return req, nil
		},
		stream: func(_ context.Context, s call.ServerStream) error {
			for {
				m, err := recvText(s)
				if err == io.EOF {
					return nil
				}
				if err != nil {
					return err
				}
				if err := s.Send(&text{s: m, bad: map[bool]string{true: badPanic}[m == "fail"]}); err != nil {
					return err
				}
			}
		},
	})
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 200 {
				m := []*call.Method{say, get, inline}[i%3]
				want := fmt.Sprint(worker, " ", i, long(i%50*100))
				if worker%2 == 0 {
					wantRes(t, <-calling(t.Context(), c, m, want), want)
					continue
				}
				bad := bads[i%len(bads)]
				// The request fails here, and then the answer there.
				req := &text{s: long(100 + i%2*100_000), bad: bad}
				wantErr(t, (<-callingWith(t.Context(), c, m, req)).err, status.Internal, true, "")
				wantErr(t, (<-calling(t.Context(), c, m, bad)).err, status.Internal, false, "")
			}
		})
	}
	for range 2 {
		all.Go(func() {
			for i := range 50 {
				s, err := c.Stream(t.Context(), &StreamCall{Method: echo})
				if err != nil {
					t.Error(err)
					return
				}
				if err := s.Send(str("good")); err != nil {
					t.Error(err)
				}
				if got, err := recvText(s); got != "good" || err != nil {
					t.Errorf("got %q, %v", got, err)
				}
				if i%2 == 0 {
					wantErr(t, s.Send(&text{s: "x", bad: bads[i/2%len(bads)]}), status.Internal, false, "")
				} else {
					s.Send(str("fail"))
				}
				_, rerr := recvText(s)
				wantErr(t, rerr, status.Internal, false, "")
				s.Close()
			}
		})
	}
	all.Wait()
	if n := c.InFlight(); n != 0 {
		t.Errorf("%d calls in flight", n)
	}
}

// TestBadRequestTakesItsDefinitionBack: the name that a failed request would
// have defined travels with the next one.
func TestBadRequestTakesItsDefinitionBack(t *testing.T) {
	c, _ := overTCP(t, &service{})
	o := <-callingWith(t.Context(), c, say, &text{s: "x", bad: badError})
	wantErr(t, o.err, status.Internal, true, "")
	for _, m := range []*call.Method{get, say, get, say} {
		wantRes(t, <-calling(t.Context(), c, m, "y"), "y")
	}
}

// TestStress makes many calls at once, gives up some of them, and checks that
// each answer is that of its own call.
func TestStress(t *testing.T) {
	const workers, calls = 50, 200
	c, s := overTCP(t, &service{unary: func(ctx context.Context, req *text) (*text, error) {
		if len(req.s)%7 == 0 {
			select {
			case <-ctx.Done():
			case <-time.After(time.Duration(len(req.s)%5) * 100 * time.Microsecond):
			}
		}
		return req, nil
	}})
	var all sync.WaitGroup
	var mu sync.Mutex
	ended := map[status.Code]int{}
	for w := range workers {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 1))
			for i := range calls {
				ctx, cancel := context.WithCancel(t.Context())
				size := r.IntN(300)
				if r.IntN(50) == 0 {
					size = r.IntN(200_000)
				}
				nonce := fmt.Sprint(w, "/", i, "/", long(size))
				var edit []func(*Unary)
				switch r.IntN(4) {
				case 0:
					time.AfterFunc(time.Duration(r.IntN(500))*time.Microsecond, cancel)
				case 1:
					edit = append(edit, within(time.Duration(1+r.IntN(3000))*time.Microsecond))
				}
				var res text
				u := &Unary{Method: []*call.Method{say, get, inline}[r.IntN(3)], Req: str(nonce), Res: &res}
				for _, e := range edit {
					e(u)
				}
				err := c.Unary(ctx, u)
				cancel()
				if err == nil && res.s != nonce {
					t.Errorf("call %.20q got the answer %.20q", nonce, res.s)
				}
				mu.Lock()
				ended[err.Code()]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if ended[status.OK]+ended[status.Canceled]+ended[status.DeadlineExceeded] != workers*calls || ended[status.OK] < workers*calls/2 {
		t.Errorf("calls ended with %v", ended)
	}
	if n := c.InFlight(); n != 0 {
		t.Errorf("%d calls in flight", n)
	}
	// Nothing is left behind: all slots are free again.
	for range 64 {
		wantRes(t, <-calling(t.Context(), c, say, "x"), "x")
	}
	if n := c.calls.len() + s.calls.len(); n != 0 {
		t.Errorf("%d calls are left in the tables", n)
	}
}

// TestStreamStress runs streams of all kinds at once, of which some are given
// up at random.
func TestStreamStress(t *testing.T) {
	c, _ := overTCP(t, &service{}, windows(64<<10, 256<<10))
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 2))
			for i := range 30 {
				ctx, cancel := context.WithCancel(t.Context())
				st, err := c.Stream(ctx, &StreamCall{Method: echo})
				if err != nil {
					t.Error(err)
				}
				n, stop := 1+r.IntN(30), r.IntN(60)
				var sender sync.WaitGroup
				sender.Go(func() {
					for k := range n {
						if st.Send(str(fmt.Sprint(w, "/", i, "/", k, long(k*500)))) != nil {
							return
						}
					}
					st.CloseSend()
				})
				for k := 0; ; k++ {
					if k == stop {
						if i%2 == 0 {
							cancel()
						}
						st.Close()
						break
					}
					got, err := recvText(st)
					if err == io.EOF {
						if k != n {
							t.Errorf("%d of %d messages came back", k, n)
						}
						break
					}
					if want := fmt.Sprint(w, "/", i, "/", k, long(k*500)); err != nil || got != want {
						t.Errorf("got %.20q, %v; want %.20q", got, err, want)
						break
					}
				}
				sender.Wait()
				cancel()
			}
		})
	}
	all.Wait()
	wantRes(t, <-calling(t.Context(), c, say, "x"), "x")
	// What is not in use any more holds no credit: a large message passes.
	st, err := c.Stream(t.Context(), &StreamCall{Method: echo})
	if err != nil {
		t.Fatal(err)
	}
	st.Send(str(long(1 << 20)))
	if got, err := recvText(st); err != nil || len(got) != 1<<20 {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	st.Close()
	if n := c.calls.len(); n != 0 {
		t.Errorf("%d calls are left", n)
	}
}
