package transport

import (
	"bytes"
	"context"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

func withMetadata(kv ...string) func(*Unary) {
	return func(u *Unary) { u.Metadata = metadata.Pairs(kv...) }
}

// block returns a HEADERS or TRAILERS section.
func block(kv ...string) string {
	return string(frame.AppendMetadata(nil, metadata.Pairs(kv...)))
}

func TestClientUnary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := settledClient(t)
		o := calling(t.Context(), c, say, "hello", withMetadata("tenant", "acme", "trace-bin", "\x00\r\n"))
		g := p.expectFrame(frame.TypeOpen, 1)
		if g.Flags != frame.FlagMessage|frame.FlagHalfClose|frame.FlagName|frame.FlagHeaders || g.Code != 1 || g.Arg != 0 ||
			string(g.Name) != "test.v1.Test/Say" || string(g.Message) != "hello" {
			t.Errorf("got %v %q", &g.Header, g.payload)
		}
		if md, _ := frame.ParseMetadata(g.Headers); md.Get("tenant") != "acme" || md.Get("trace-bin") != "\x00\r\n" {
			t.Errorf("metadata: %v", md)
		}
		p.raw(enc(frame.Header{Type: frame.TypeClose, Flags: frame.FlagMessage | frame.FlagHeaders | frame.FlagTrailers, ID: 1},
			block("served-by", "7", "rpcx-own", "x"), block("cost", "12"), "world"))
		got := <-o
		wantRes(t, got, "world")
		if got.u.Header.Get("served-by") != "7" || got.u.Trailer.Get("cost") != "12" {
			t.Errorf("metadata: %v, %v", got.u.Header, got.u.Trailer)
		}
		if got.u.Header.Has("rpcx-own") {
			t.Error("a reserved key reached the caller")
		}
		if got.u.Sent != 5 || got.u.Received != 5 {
			t.Errorf("moved %d and %d bytes", got.u.Sent, got.u.Received)
		}
		if n := c.InFlight(); n != 0 {
			t.Errorf("%d calls in flight", n)
		}
	})
}

// TestClientRoute: the hash of a route key stands where a proxy looks for it, also
// beside a name, metadata, and a message that does not fit one frame.
func TestClientRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := settledClient(t)
		routed := func(u *Unary) { u.Route, u.Routed = 0x0123456789abcdef, true }
		for i, message := range []string{"hello", strings.Repeat("x", 100<<10)} {
			id := frame.StreamID(2*i + 1)
			o := calling(t.Context(), c, say, message, withMetadata("a", "b"), routed)
			g := p.expectFrame(frame.TypeOpen, id)
			if !g.Flags.Has(frame.FlagRoute) || g.Route != 0x0123456789abcdef || !bytes.Equal(g.payload[:8], []byte{0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01}) {
				t.Errorf("got %v with route %#x", &g.Header, g.Route)
			}
			for sent := g; sent.Flags.Has(frame.FlagMore); {
				sent = p.expectFrame(frame.TypeData, id)
			}
			p.raw(enc(frame.Header{Type: frame.TypeClose, Flags: frame.FlagMessage, ID: id}, "world"))
			wantRes(t, <-o, "world")
		}
	})
}

// TestClientInterning: a method's name travels once on a connection.
func TestClientInterning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := settledClient(t)
		for i, want := range []struct {
			m    *call.Method
			code uint16
			name string
		}{
			{say, 1, "test.v1.Test/Say"}, {say, 1, ""}, {get, 2, "test.v1.Test/Get"}, {say, 1, ""}, {get, 2, ""},
		} {
			o := calling(t.Context(), c, want.m, "x")
			g := p.expectFrame(frame.TypeOpen, frame.StreamID(2*i+1))
			if g.Code != want.code || string(g.Name) != want.name {
				t.Errorf("call %d: method %d %q, want %d %q", i, g.Code, g.Name, want.code, want.name)
			}
			p.raw(answer(g.ID, "y"))
			wantRes(t, <-o, "y")
		}
	})
}

// TestClientInterningFull: when the server's ids are used up, names travel with
// each call.
func TestClientInterningFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := dialing(t)
		p.welcome()
		p.hello(func(s *frame.Settings) { s.MaxMethods = 64 })
		<-c.Settled()
		for round := range 2 {
			for i := range 66 {
				m := manyMethods()[i]
				o := calling(t.Context(), c, m, "x")
				g := p.expect(frame.TypeOpen)
				wantID, named := uint16(i+1), round == 0
				if i >= 64 {
					wantID, named = 0, true
				}
				if g.Code != wantID || g.Flags.Has(frame.FlagName) != named {
					t.Errorf("round %d, method %d: id %d, name %q", round, i, g.Code, g.Name)
				}
				p.raw(answer(g.ID, "y"))
				wantRes(t, <-o, "y")
			}
		}
	})
}

var manyMethods = func() func() []*call.Method {
	var all []*call.Method
	return func() []*call.Method {
		for len(all) < 66 {
			all = append(all, method("Many"+strings.Repeat("x", len(all)), call.KindUnary, call.IdempotencyUnknown, false))
		}
		return all
	}
}()

// TestClientFragments has requests and answers around the size of a frame
// travel, with and without metadata, and puts them together by hand.
func TestClientFragments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := settledClient(t)
		for n := 64<<10 - 60; n <= 64<<10+30; n++ {
			req := long(n)
			var md []func(*Unary)
			if n%2 == 0 {
				md = append(md, withMetadata("k", strings.Repeat("v", n%50)))
			}
			o := calling(t.Context(), c, get, req, md...)
			g := p.expect(frame.TypeOpen)
			got := string(g.Message)
			for more := g.Flags.Has(frame.FlagMore); more; {
				d := p.expectFrame(frame.TypeData, g.ID)
				more = d.Flags.Has(frame.FlagMore)
				if more == d.Flags.Has(frame.FlagHalfClose) || d.Codec != 0 || d.Flags.Has(frame.FlagCredited) {
					t.Fatalf("%d bytes: fragment %v", n, &d.Header)
				}
				got += string(d.Message)
			}
			if got != req || g.Flags.Has(frame.FlagTotal) && int(g.Total) != n {
				t.Fatalf("%d bytes: got %d other ones, TOTAL %d", n, len(got), g.Total)
			}
			if g.Length > 64<<10 {
				t.Fatalf("%d bytes: a frame of %d", n, g.Length)
			}
			sendAnswer(p, g.ID, req, n%64<<10)
			wantRes(t, <-o, req)
		}
	})
}

// sendAnswer sends res in two or three frames: cut bytes, the middle, and the
// rest with the end of the call.
func sendAnswer(p *peer, id frame.StreamID, res string, cut int) {
	cut = min(max(cut, 1), len(res))
	p.raw(data(id, frame.FlagMore|frame.FlagTotal|frame.FlagHeaders, block("h", "1"), total(len(res)), res[:cut]))
	if middle := res[cut:min(cut+30_000, len(res))]; middle != "" {
		p.raw(data(id, frame.FlagMore, middle))
		cut += len(middle)
	}
	p.raw(enc(frame.Header{Type: frame.TypeClose, Flags: frame.FlagMessage | frame.FlagTrailers, ID: id}, block("t", "2"), res[cut:]))
}

func TestClientFragmentedAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := settledClient(t)
		res := long(200_000)
		for _, cut := range []int{1, 1000, 60_000, 200_000} {
			o := calling(t.Context(), c, get, "x")
			id := p.expect(frame.TypeOpen).ID
			if cut == 200_000 { // everything before the CLOSE, which has an empty part
				for at := 0; at < len(res); at += 50_000 {
					flags, first := frame.FlagMore, ""
					if at == 0 {
						flags, first = flags|frame.FlagTotal, total(len(res))
					}
					p.raw(data(id, flags, first, res[at:at+50_000]))
				}
				p.raw(answer(id, ""))
				wantRes(t, <-o, res)
				continue
			}
			sendFragments(p, id, res, cut)
			got := <-o
			wantRes(t, got, res)
			if got.u.Received != len(res) {
				t.Errorf("received %d", got.u.Received)
			}
		}
		// An error behind a part of an answer.
		o := calling(t.Context(), c, get, "x")
		id := p.expect(frame.TypeOpen).ID
		p.raw(data(id, frame.FlagMore|frame.FlagTotal, total(100), "part"))
		p.raw(closing(id, status.DataLoss, 0))
		wantErr(t, (<-o).err, status.DataLoss, false, "")
	})
}

// sendFragments sends res in parts of at most 60,000 bytes, the first one cut.
func sendFragments(p *peer, id frame.StreamID, res string, cut int) {
	flags, first := frame.FlagMore|frame.FlagTotal, total(len(res))
	for {
		p.raw(data(id, flags, first, res[:cut]))
		res = res[cut:]
		flags, first, cut = frame.FlagMore, "", 60_000
		if len(res) <= cut {
			p.raw(answer(id, res))
			return
		}
	}
}

// TestClientErrors: what the caller learns from a CLOSE.
func TestClientErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := settledClient(t)
		detail, _ := frame.AppendDetail(nil, status.New(status.NotFound, "no user").
			WithRawDetails(status.Detail{Type: "type.googleapis.com/a.B", Value: []byte{1, 2}}))
		for name, test := range map[string]struct {
			h     frame.Header
			parts []string
			check func(*status.Error) bool
		}{
			"bare": {frame.Header{Code: 14}, nil,
				func(e *status.Error) bool { return e.Code() == status.Unavailable && !e.NotRun() && e.Message() == "" }},
			"details": {frame.Header{Code: 5, Flags: frame.FlagDetail}, []string{string(detail)},
				func(e *status.Error) bool {
					return e.Code() == status.NotFound && e.Message() == "no user" && len(e.Details()) == 1 && string(e.Details()[0].Value) == "\x01\x02"
				}},
			"not run": {frame.Header{Code: 8, Flags: frame.FlagNotRun}, nil,
				func(e *status.Error) bool { return e.Code() == status.ResourceExhausted && e.NotRun() }},
			"retry after": {frame.Header{Code: 14, Arg: 250}, nil,
				func(e *status.Error) bool { d, ok := e.RetryAfter(); return ok && d == 250*time.Millisecond }},
			"never retry": {frame.Header{Code: 14, Arg: math.MaxUint32}, nil,
				func(e *status.Error) bool { return e.DoNotRetry() }},
			"deadline": {frame.Header{Code: 4}, nil,
				func(e *status.Error) bool {
					return e.Code() == status.DeadlineExceeded && e.Phase() == status.PhaseHandler
				}},
		} {
			o := calling(t.Context(), c, get, "x")
			h := test.h
			h.Type, h.ID = frame.TypeClose, p.expect(frame.TypeOpen).ID
			p.raw(enc(h, test.parts...))
			if e := (<-o).err; e == nil || !test.check(e) {
				t.Errorf("%s: got %v, %+v", name, e, e)
			}
		}
	})
}

// TestClientAnswerBreaches: answers that end only their call.
func TestClientAnswerBreaches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := settledClient(t, func(cfg *Config) { cfg.Settings.MaxMessage = 64 << 10 })
		manyEntries := make([]string, 2*65)
		for i := range manyEntries {
			manyEntries[i] = "k"
		}
		for _, test := range []struct {
			name     string
			frames   func(id frame.StreamID) []byte
			code     status.Code
			canceled status.Code // what CANCEL says, if there must be one
		}{
			{"another codec", func(id frame.StreamID) []byte {
				return enc(frame.Header{Type: frame.TypeClose, Flags: frame.FlagMessage, ID: id, Compression: 1}, "x")
			}, status.Internal, 0},
			{"a part in another compression", func(id frame.StreamID) []byte {
				return enc(frame.Header{Type: frame.TypeData, Flags: frame.FlagMessage | frame.FlagMore | frame.FlagTotal, ID: id, Compression: 1}, total(9), "x")
			}, status.Internal, status.Internal},
			{"undecodable", func(id frame.StreamID) []byte { return answer(id, "!") }, status.Internal, 0},
			{"too large", func(id frame.StreamID) []byte {
				return data(id, frame.FlagMore|frame.FlagTotal, total(64<<10+1), "x")
			}, status.ResourceExhausted, status.ResourceExhausted},
			{"headers too large", func(id frame.StreamID) []byte {
				return enc(frame.Header{Type: frame.TypeData, Flags: frame.FlagHeaders, ID: id}, block("k", long(8<<10)))
			}, status.ResourceExhausted, status.ResourceExhausted},
			{"too many trailers", func(id frame.StreamID) []byte {
				return enc(frame.Header{Type: frame.TypeClose, Flags: frame.FlagTrailers | frame.FlagMessage, ID: id}, block(manyEntries...), "x")
			}, status.ResourceExhausted, 0},
			{"a bad key", func(id frame.StreamID) []byte {
				return enc(frame.Header{Type: frame.TypeClose, Flags: frame.FlagHeaders | frame.FlagMessage, ID: id}, block("k\x00", "v"), "x")
			}, status.Internal, 0},
			{"a bad value, early", func(id frame.StreamID) []byte {
				return enc(frame.Header{Type: frame.TypeData, Flags: frame.FlagHeaders, ID: id}, block("k", "a\nb"))
			}, status.Internal, status.Internal},
			{"bad trailers of an error", func(id frame.StreamID) []byte {
				return closing(id, status.NotFound, frame.FlagTrailers, block("k", "a\nb"))
			}, status.NotFound, 0},
		} {
			o := calling(t.Context(), c, get, "x")
			p.raw(test.frames(p.expect(frame.TypeOpen).ID))
			synctest.Wait()
			select {
			case got := <-o:
				if got.err.Code() != test.code || got.err.NotRun() {
					t.Errorf("%s: got %v, want %v", test.name, got.err, test.code)
				}
			default:
				t.Fatalf("%s: the call goes on", test.name)
			}
			if after := p.sync(); test.canceled == 0 && len(after) > 0 ||
				test.canceled != 0 && (len(after) != 1 || after[0].Type != frame.TypeCancel || status.Code(after[0].Code) != test.canceled) {
				t.Errorf("%s: afterwards the client sent %v", test.name, headers(after))
			}
		}
	})
}

func headers(gs []*got) (hs []string) {
	for _, g := range gs {
		hs = append(hs, g.Header.String())
	}
	return hs
}

func TestClientMessageTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := dialing(t)
		p.welcome()
		p.hello(func(s *frame.Settings) { s.MaxMessage = 64 << 10 })
		<-c.Settled()
		o := <-calling(t.Context(), c, get, long(64<<10+1))
		wantErr(t, o.err, status.ResourceExhausted, true, "65537")
		if after := p.sync(); len(after) > 0 {
			t.Errorf("the client sent %v", headers(after))
		}
	})
}

// TestClientCancel: a call that is given up sends CANCEL, and its late answer
// is dropped and reaches nobody else.
func TestClientCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := settledClient(t)
		ctx, cancel := context.WithCancel(t.Context())
		o := calling(ctx, c, say, "x")
		p.expectFrame(frame.TypeOpen, 1)
		cancel()
		wantErr(t, (<-o).err, status.Canceled, false, "")
		if g := p.expectFrame(frame.TypeCancel, 1); status.Code(g.Code) != status.Canceled {
			t.Errorf("CANCEL says %v", status.Code(g.Code))
		}
		next := calling(t.Context(), c, say, "y")
		p.expectFrame(frame.TypeOpen, 3)
		p.raw(answer(1, "late"), answer(3, "right"))
		wantRes(t, <-next, "right")
		if n := c.lateFrames.Load(); n != 1 {
			t.Errorf("%d late frames", n)
		}
		if n := c.InFlight(); n != 0 {
			t.Errorf("%d calls in flight", n)
		}
	})
}

func TestClientCancelBeforeSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := settledClient(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		o := <-calling(ctx, c, say, "x")
		if o.err.Code() != status.Canceled {
			t.Errorf("got %v", o.err)
		}
		for _, g := range p.sync() {
			if g.Type != frame.TypeOpen && g.Type != frame.TypeCancel {
				t.Errorf("got %v", &g.Header)
			}
		}
	})
}

// TestClientDeadline: the time that is left travels in units of 100 µs, and
// the caller gives up by its own clock.
func TestClientDeadline(t *testing.T) {
	for _, timed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c, p := settledClient(t)
			ctx, edit := t.Context(), []func(*Unary){}
			if timed {
				edit = append(edit, within(time.Second))
			} else {
				var cancel func()
				ctx, cancel = context.WithTimeout(ctx, time.Second)
				defer cancel()
			}
			start := time.Now()
			o := calling(ctx, c, say, "x", edit...)
			if g := p.expectFrame(frame.TypeOpen, 1); g.Arg != 10_000 {
				t.Errorf("deadline argument %d, want 10000", g.Arg)
			}
			e := (<-o).err
			wantErr(t, e, status.DeadlineExceeded, false, "")
			if e.Phase() != status.PhaseHandler || time.Since(start) != time.Second {
				t.Errorf("phase %v after %v", e.Phase(), time.Since(start))
			}
			if g := p.expectFrame(frame.TypeCancel, 1); status.Code(g.Code) != status.DeadlineExceeded {
				t.Errorf("CANCEL says %v", status.Code(g.Code))
			}
		})
	}
}

// TestClientDeadlinePassed: a call whose time is over is not sent.
func TestClientDeadlinePassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := settledClient(t)
		o := <-calling(t.Context(), c, say, "x", within(-time.Second))
		wantErr(t, o.err, status.DeadlineExceeded, true, "")
		if after := p.sync(); len(after) > 0 {
			t.Errorf("the client sent %v", headers(after))
		}
	})
}

// TestClientMaxStreams: calls above the server's limit wait their turn, and
// all of them get one, however the others end.
func TestClientMaxStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := dialing(t)
		p.welcome()
		p.hello(func(s *frame.Settings) { s.MaxStreams = 16 })
		<-c.Settled()
		var calls []<-chan outcome
		for range 60 {
			calls = append(calls, calling(t.Context(), c, say, "x"))
		}
		open := 0
		for left := 60; left > 0; left -= 16 {
			var answers []byte
			for range min(16, left) {
				g := p.expect(frame.TypeOpen)
				open++
				answers = append(answers, answer(g.ID, "y")...)
			}
			synctest.Wait()
			if p.r.Buffered() > 0 {
				t.Fatalf("more than 16 calls are open: %v", &p.next().Header)
			}
			p.raw(answers) // all of them at once
		}
		for _, o := range calls {
			wantRes(t, <-o, "y")
		}
	})
}

// TestClientMaxStreamsCancel: a waiting call can be given up, which costs the
// others nothing.
func TestClientMaxStreamsCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := dialing(t)
		p.welcome()
		p.hello(func(s *frame.Settings) { s.MaxStreams = 16 })
		<-c.Settled()
		var running []<-chan outcome
		for range 16 {
			running = append(running, calling(t.Context(), c, say, "x"))
			p.expect(frame.TypeOpen)
		}
		waits := calling(t.Context(), c, say, "x", within(time.Second))
		synctest.Wait()
		last := calling(t.Context(), c, say, "x")
		e := (<-waits).err
		wantErr(t, e, status.DeadlineExceeded, true, "")
		p.raw(answer(1, "y"))
		wantRes(t, <-running[0], "y")
		p.raw(answer(p.expect(frame.TypeOpen).ID, "z"))
		wantRes(t, <-last, "z")
	})
}
