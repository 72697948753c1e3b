package transport

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

func TestServerUnary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := settledServer(t, &service{unary: func(ctx context.Context, req *text) (*text, error) {
			md, _ := metadata.FromIncomingContext(ctx)
			r := ctx.Value(call.ResponseKey).(call.ResponseMetadata)
			r.SetHeader(metadata.Pairs("served-by", "7"))
			r.SetTrailer(metadata.Pairs("cost", "12"))
			return str(fmt.Sprint(req.s, md)), nil
		}})
		for _, m := range []*call.Method{say, inline} {
			id := frame.StreamID(1 + 2*m.Index())
			h := frame.Header{Type: frame.TypeOpen, Flags: frame.FlagName | frame.FlagHeaders | kindFlags(m), ID: id}
			p.raw(enc(h, name(m), block("tenant", "acme", "rpcx-own", "x"), "hello"))
			g := p.expectClose(id, status.OK)
			if got := string(g.Message); got != "hello[{tenant acme}]" {
				t.Errorf("got %q", got)
			}
			headers, _ := frame.ParseMetadata(g.Headers)
			trailers, _ := frame.ParseMetadata(g.Trailers)
			if headers.Get("served-by") != "7" || trailers.Get("cost") != "12" {
				t.Errorf("metadata: %v, %v", headers, trailers)
			}
		}
	})
}

func TestServerInterning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := settledServer(t, &service{})
		p.raw(open(1, say, 1, "a"))
		p.expectClose(1, status.OK)
		p.raw(again(3, say, 1, "b"))
		if g := p.expectClose(3, status.OK); string(g.Message) != "b" {
			t.Errorf("got %q", g.Message)
		}
		// An unknown method, an id without a definition: only the call fails.
		p.raw(open(5, absent, 2, "x"), again(7, absent, 2, "x"), again(9, absent, 9, "x"))
		for _, id := range []frame.StreamID{5, 7, 9} {
			if g := p.expectClose(id, status.Unimplemented); !g.Flags.Has(frame.FlagNotRun) {
				t.Errorf("stream %d: not NOT_RUN", id)
			}
		}
		// The unknown method took its id all the same; name without id defines nothing.
		p.raw(open(11, get, 0, "c"), open(13, get, 3, "d"), again(15, get, 3, "e"))
		var answered []frame.StreamID // in any order, as their handlers run beside each other
		for range 3 {
			answered = append(answered, p.closed(p.expect(frame.TypeClose), status.OK).ID)
		}
		slices.Sort(answered)
		if want := []frame.StreamID{11, 13, 15}; !slices.Equal(answered, want) {
			t.Errorf("answers on streams %v, want %v", answered, want)
		}
		// A refused call defines its method, too.
		p.raw(enc(frame.Header{Type: frame.TypeOpen, Flags: frame.FlagName | frame.FlagHeaders | kindFlags(inline), ID: 17, Code: 4},
			name(inline), block("bad\x00", "x"), "f"))
		p.expectClose(17, status.InvalidArgument)
		p.raw(again(19, inline, 4, "g"))
		p.expectClose(19, status.OK)
	})
}

// TestServerFragments has requests and answers around the size of a frame
// travel, with and without metadata, and puts them together by hand.
func TestServerFragments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var headers, trailers int // sizes of the response's metadata values
		_, p := settledServer(t, &service{unary: func(ctx context.Context, req *text) (*text, error) {
			r := ctx.Value(call.ResponseKey).(call.ResponseMetadata)
			if headers > 0 {
				r.SetHeader(metadata.Pairs("h", strings.Repeat("h", headers)))
			}
			if trailers > 0 {
				r.SetTrailer(metadata.Pairs("t", strings.Repeat("t", trailers)))
			}
			return req, nil
		}})
		for i := range 100 {
			n, id := 64<<10-70+i, frame.StreamID(2*i+1)
			headers, trailers = n%3*20, n%2*20
			req := long(n)
			m := say
			if n%5 == 0 {
				m = inline
			}
			first := 1 + n*997%(64<<10-100)
			p.raw(enc(frame.Header{Type: frame.TypeOpen, Flags: frame.FlagMessage | frame.FlagMore | frame.FlagTotal | frame.FlagName, ID: id},
				name(m), total(n), req[:first]))
			p.raw(data(id, frame.FlagHalfClose, req[first:]))
			res, g := assemble(p, id)
			if res != req {
				t.Fatalf("%d bytes: got %d other ones", n, len(res))
			}
			if got, _ := frame.ParseMetadata(g.Trailers); len(got.Get("t")) != trailers {
				t.Fatalf("%d bytes: trailers %v", n, got)
			}
		}
	})
}

// assemble reads the answer of a unary call and returns its message and CLOSE.
func assemble(p *peer, id frame.StreamID) (string, *got) {
	p.t.Helper()
	var msg []byte
	want := -1
	for {
		g := p.next()
		if g.ID != id || g.Length > 64<<10 {
			p.t.Fatalf("got %v", &g.Header)
		}
		if g.Flags.Has(frame.FlagTotal) {
			want = int(g.Total)
		}
		msg = append(msg, g.Message...)
		if g.Type == frame.TypeClose {
			if g.Code != 0 || want >= 0 && len(msg) != want {
				p.t.Fatalf("got %v after %d bytes of %d", &g.Header, len(msg), want)
			}
			return string(msg), g
		}
		if !g.Flags.Has(frame.FlagMore) || g.Flags.Has(frame.FlagCredited) {
			p.t.Fatalf("got %v", &g.Header)
		}
	}
}

// TestServerRefuses: calls that are not let in cost only themselves.
func TestServerRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := settledServer(t, &service{}, func(cfg *Config) { cfg.Settings.MaxMessage = 64 << 10 })
		entries := make([]string, 2*65)
		for i := range entries {
			entries[i] = "k"
		}
		withHeaders := func(kv ...string) func(id frame.StreamID) []byte {
			return func(id frame.StreamID) []byte {
				return enc(frame.Header{Type: frame.TypeOpen, Flags: frame.FlagName | frame.FlagHeaders | kindFlags(say), ID: id},
					name(say), block(kv...), "x")
			}
		}
		var id frame.StreamID
		for i, test := range []struct {
			name  string
			bytes func(id frame.StreamID) []byte
			code  status.Code
			arg   uint32
		}{
			{"kind", func(id frame.StreamID) []byte {
				return enc(frame.Header{Type: frame.TypeOpen, Flags: frame.FlagName | frame.FlagCallerStreams, ID: id}, name(say))
			}, status.Unimplemented, 0},
			{"codec", func(id frame.StreamID) []byte {
				return enc(frame.Header{Type: frame.TypeOpen, Flags: frame.FlagName | kindFlags(say), ID: id, Codec: 1}, name(say), "x")
			}, status.Unimplemented, 0},
			{"compression", func(id frame.StreamID) []byte {
				return enc(frame.Header{Type: frame.TypeOpen, Flags: frame.FlagName | kindFlags(say), ID: id, Compression: 2}, name(say), "x")
			}, status.Unimplemented, 0},
			{"metadata too large", withHeaders("k", long(8<<10)), status.ResourceExhausted, math.MaxUint32},
			{"too many entries", withHeaders(entries...), status.ResourceExhausted, math.MaxUint32},
			{"key", withHeaders("a b", "v"), status.InvalidArgument, 0},
			{"value", withHeaders("k", "a\rb"), status.InvalidArgument, 0},
			{"message too large", func(id frame.StreamID) []byte {
				h := frame.Header{Type: frame.TypeOpen, Flags: frame.FlagName | frame.FlagMessage | frame.FlagMore | frame.FlagTotal, ID: id}
				// The rest arrives all the same, as nobody told the client in time.
				return append(enc(h, name(say), total(64<<10+1), "x"), data(id, frame.FlagHalfClose, long(64<<10))...)
			}, status.ResourceExhausted, math.MaxUint32},
		} {
			id = frame.StreamID(2*i + 1)
			p.raw(test.bytes(id))
			g := p.expectClose(id, test.code)
			if !g.Flags.Has(frame.FlagNotRun) || g.Arg != test.arg {
				t.Errorf("%s: %v, want NOT_RUN and push-back %d", test.name, &g.Header, test.arg)
			}
		}
		if rest := p.sync(); len(rest) > 0 {
			t.Errorf("afterwards: %v", headers(rest))
		}
		p.raw(open(id+2, say, 1, "x"))
		p.expectClose(id+2, status.OK)
	})
}

func TestServerUndecodable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := settledServer(t, &service{})
		for i, m := range []*call.Method{say, inline, up} {
			id := frame.StreamID(2*i + 1)
			p.raw(open(id, m, 0, "!"))
			p.expectClose(id, status.InvalidArgument)
		}
	})
}

// TestServerErrors: what of a handler's error travels.
func TestServerErrors(t *testing.T) {
	secret := errors.New("a secret")
	for name, test := range map[string]struct {
		f       func() (*text, error)
		code    status.Code
		text    string
		arg     uint32
		details int
	}{
		"coded": {func() (*text, error) {
			return nil, status.New(status.NotFound, "no user").WithCause(secret).
				WithRawDetails(status.Detail{Type: "a/b.C"}).WithRetryAfter(time.Second)
		}, status.NotFound, "no user", 1000, 1},
		"uncoded":         {func() (*text, error) { return nil, errors.New("disk is full") }, status.Unknown, "disk is full", 0, 0},
		"never":           {func() (*text, error) { return nil, status.New(status.Aborted, "").WithDoNotRetry() }, status.Aborted, "", math.MaxUint32, 0},
		"context":         {func() (*text, error) { return nil, context.Canceled }, status.Canceled, "context canceled", 0, 0},
		"panic":           {func() (*text, error) { panic(secret) }, status.Internal, "the handler panicked", 0, 0},
		"marshal error":   {func() (*text, error) { return &text{"x", badError}, nil }, status.Internal, "marshal", 0, 0},
		"marshal panic":   {func() (*text, error) { return &text{"x", badPanic}, nil }, status.Internal, "marshal", 0, 0},
		"size panic":      {func() (*text, error) { return &text{"x", badSize}, nil }, status.Internal, "size", 0, 0},
		"too short":       {func() (*text, error) { return &text{"x", badShort}, nil }, status.Internal, "size", 0, 0},
		"too long":        {func() (*text, error) { return &text{"x", badLong}, nil }, status.Internal, "size", 0, 0},
		"large and short": {func() (*text, error) { return &text{long(100_000), badShort}, nil }, status.Internal, "size", 0, 0},
		"too large":       {func() (*text, error) { return str(long(5 << 20)), nil }, status.ResourceExhausted, "4194304", 0, 0},
		"long text":       {func() (*text, error) { return nil, status.New(status.NotFound, long(100_000)) }, status.NotFound, "", 0, 0},
	} {
		for _, m := range []*call.Method{say, inline} {
			t.Run(name+m.Name(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					fail := true
					s, p := settledServer(t, &service{unary: func(_ context.Context, req *text) (*text, error) {
						if fail {
							return test.f()
						}
						return req, nil
					}})
					p.raw(open(1, m, 1, "x"))
					g := p.expectClose(1, test.code)
					msg, details, err := frame.ParseDetail(g.Detail)
					if g.Flags.Has(frame.FlagDetail) && err != nil {
						t.Error(err)
					}
					if !strings.Contains(msg, test.text) || strings.Contains(msg, "secret") || len(details) != test.details || g.Arg != test.arg {
						t.Errorf("got %v %.80q %v", &g.Header, msg, details)
					}
					if g.Flags.Has(frame.FlagNotRun) {
						t.Error("NOT_RUN of a handler that ran")
					}
					// Its slot is free, and the connection is as it was.
					synctest.Wait()
					if n := s.running.Load(); n != 0 {
						t.Errorf("%d handlers still run", n)
					}
					fail = false
					p.raw(again(3, m, 1, "y"))
					p.expectClose(3, status.OK)
				})
			})
		}
	}
}

// TestServerGoexit: a handler that ends its goroutine, as a test's FailNow does,
// ends its call. One that runs on the reading goroutine ends the connection.
func TestServerGoexit(t *testing.T) {
	for _, m := range []*call.Method{say, inline} {
		synctest.Test(t, func(t *testing.T) {
			s, p := settledServer(t, &service{unary: func(_ context.Context, req *text) (*text, error) {
				if req.s == "exit" {
					runtime.Goexit()
				}
				return req, nil
			}})
			p.raw(open(1, m, 1, "exit"))
			if m == inline {
				<-s.dead.done()
				return
			}
			p.expectClose(1, status.Internal)
			p.raw(again(3, m, 1, "y"))
			p.expectClose(3, status.OK)
		})
	}
}

// TestServerDeadline: the context of a call has the caller's deadline, counted
// from the arrival.
func TestServerDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type seen struct {
			left time.Duration
			ok   bool
			err  error
			took time.Duration
		}
		got := make(chan seen, 1)
		_, p := settledServer(t, &service{unary: func(ctx context.Context, req *text) (*text, error) {
			var s seen
			start := time.Now()
			d, ok := ctx.Deadline()
			s.left, s.ok = time.Until(d), ok
			if ok {
				<-ctx.Done()
				s.err, s.took = ctx.Err(), time.Since(start)
			}
			got <- s
			return nil, ctx.Err()
		}})
		p.raw(enc(frame.Header{Type: frame.TypeOpen, Flags: frame.FlagName | kindFlags(say), ID: 1, Arg: 20_000}, name(say), "x"))
		if s := <-got; !s.ok || s.left != 2*time.Second || s.took != 2*time.Second || s.err != context.DeadlineExceeded {
			t.Errorf("the handler saw %+v", s)
		}
		p.expectClose(1, status.DeadlineExceeded)
		p.raw(open(3, say, 0, "x"))
		if s := <-got; s.ok {
			t.Error("a deadline where the caller set none")
		}
	})
}

// TestServerCancel: CANCEL ends the context; nothing is answered, and the slot
// is free when the handler returns, not before.
func TestServerCancel(t *testing.T) {
	for code, want := range map[status.Code]error{status.Canceled: context.Canceled, status.DeadlineExceeded: context.DeadlineExceeded} {
		synctest.Test(t, func(t *testing.T) {
			canceled, release := make(chan error, 1), make(chan struct{})
			s, p := settledServer(t, &service{unary: func(ctx context.Context, req *text) (*text, error) {
				<-ctx.Done()
				canceled <- ctx.Err()
				<-release
				return req, nil
			}})
			p.raw(open(1, say, 1, "x"))
			synctest.Wait()
			p.raw(frame.AppendCancel(nil, 1, code))
			if err := <-canceled; !errors.Is(err, want) {
				t.Errorf("the context ended with %v, want %v", err, want)
			}
			if n := s.running.Load(); n != 1 {
				t.Errorf("%d handlers run", n)
			}
			close(release)
			synctest.Wait()
			if n := s.running.Load(); n != 0 {
				t.Errorf("%d handlers run", n)
			}
			if after := p.sync(); len(after) > 0 {
				t.Errorf("the server answered: %v", headers(after))
			}
		})
	}
}

// TestServerCancelIncomplete: a call whose request never becomes complete frees
// its slot at once.
func TestServerCancelIncomplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := settledServer(t, &service{unary: func(context.Context, *text) (*text, error) {
			t.Error("the handler ran")
			return nil, nil
		}})
		for i, m := range []*call.Method{say, up, inline} {
			id := frame.StreamID(2*i + 1)
			flags := kindFlags(m)&^frame.FlagHalfClose | frame.FlagName | frame.FlagMore | frame.FlagTotal
			p.raw(enc(frame.Header{Type: frame.TypeOpen, Flags: flags, ID: id}, name(m), total(10), "12345"))
			p.raw(frame.AppendCancel(nil, id, status.Canceled), data(id, frame.FlagHalfClose, "67890"))
			if after := p.sync(); len(after) > 0 {
				t.Errorf("%v: the server answered: %v", m, headers(after))
			}
			if n := s.running.Load(); n != 0 {
				t.Errorf("%v: %d handlers run", m, n)
			}
		}
	})
}

// TestServerMaxStreams: calls above the limit are refused; a cancelled call
// whose handler still runs counts.
func TestServerMaxStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		_, p := settledServer(t, &service{unary: func(_ context.Context, req *text) (*text, error) {
			<-release
			return req, nil
		}}, func(cfg *Config) { cfg.Settings.MaxStreams = 16 })
		for i := range 16 {
			p.raw(open(frame.StreamID(2*i+1), say, 0, "x"))
		}
		p.raw(frame.AppendCancel(nil, 1, status.Canceled))
		synctest.Wait()
		p.raw(open(33, say, 0, "x"))
		g := p.expectClose(33, status.ResourceExhausted)
		if !g.Flags.Has(frame.FlagNotRun) || g.Arg != 0 {
			t.Errorf("got %v", &g.Header)
		}
		close(release)
		for range 15 {
			p.expect(frame.TypeClose)
		}
		synctest.Wait()
		p.raw(open(35, say, 0, "x"))
		p.expectClose(35, status.OK)
	})
}

// TestServerInlineBatch: replies of handlers on the reading goroutine are sent
// whatever their size and number.
func TestServerInlineBatch(t *testing.T) {
	for _, size := range []int{1, 3_000, 20_000, 100_000} {
		synctest.Test(t, func(t *testing.T) {
			_, p := settledServer(t, &service{unary: func(_ context.Context, req *text) (*text, error) { return str(long(size)), nil }})
			var batch []byte
			for i := range 40 {
				batch = append(batch, open(frame.StreamID(2*i+1), inline, 0, "x")...)
			}
			p.raw(batch)
			for i := range 40 {
				if res, _ := assemble(p, frame.StreamID(2*i+1)); len(res) != size {
					t.Fatalf("answer of %d bytes, want %d", len(res), size)
				}
			}
		})
	}
}
