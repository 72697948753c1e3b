package transport

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/dispatch"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/internal/frame/vectors"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// seeds adds what dir sends in the vectors that start behind the settings.
func seeds(f *testing.F, dir vectors.Dir) {
	all, err := vectors.Load("../../../testdata/wire")
	if err != nil {
		f.Fatal(err)
	}
	for _, v := range all {
		var program []byte
		for _, u := range v.Units {
			if u.Dir == dir && v.Start != vectors.Preface {
				program = append(program, u.Bytes...)
			}
		}
		if len(program) > 0 && len(program) < 10_000 {
			f.Add(program, uint8(asIs))
			f.Add(program, uint8(mended))
		}
	}
}

// seedScripts adds scripts that choose each type, and odd bytes in each place.
func seedScripts(f *testing.F, types []frame.Type) {
	for op := range types {
		for flags := range byte(8) {
			f.Add([]byte{0, 0, 2, flags, 2, 'h', 'i', byte(op), 0, flags, 3, 2, 'y', 'o', byte(op), 1, 1, 4, 3, 'b', 'y', 'e'}, uint8(scripted))
		}
	}
	for place := range 5 {
		choice := []byte{1, 0, 0, 0, 1, 'x'}
		choice[place] = odd + 1
		f.Add(append([]byte{0, 0, 0, 2, 2, 'h', 'i'}, choice...), uint8(scripted))
	}
}

// programOf returns what a fuzzed program stands for.
func programOf(program []byte, mode uint8, write func([]byte) []byte) []byte {
	switch mode % modes {
	case mended:
		program = mend(program)
	case scripted:
		program = write(program)
	}
	return program[:min(len(program), mostSent)]
}

// heard reads whatever the side under test sends, until its end.
func heard(p *peer) <-chan []byte {
	all := make(chan []byte, 1)
	go func() {
		b, _ := io.ReadAll(p.r) // a reset is an end, too
		all <- b
	}()
	return all
}

// mostSent bounds programs, so that they have fewer frames than make a flood,
// and fewer bytes than any credit.
const mostSent = 20_000

// fuzzMethods returns those of the server that is fuzzed, by name.
func fuzzMethods() map[string]*call.Method {
	all := maps.Clone(vectorMethods)
	all[inline.WireName()] = inline
	return all
}

// inOrder returns the methods by their names.
func inOrder(methods map[string]*call.Method) (all []*call.Method) {
	for _, name := range slices.Sorted(maps.Keys(methods)) {
		all = append(all, methods[name])
	}
	return all
}

// askedMethods are what the client that is fuzzed calls, on streams 1, 3, 5, 7 and 9.
var askedMethods = []*call.Method{say, say, up, sum, echo}

// FuzzServer has a client send anything: each call and the connection end as a
// referee says who read the same, what the server sends is well-formed, and
// when the connection is over nothing is left of it.
func FuzzServer(f *testing.F) {
	seeds(f, vectors.Client)
	methods := fuzzMethods()
	for _, m := range []*call.Method{vectorMethods["echo.v1.Echo/Say"], inline, vectorMethods["count.v1.Count/Up"]} {
		f.Add(slices.Concat(open(1, m, 1, "hello"), again(3, m, 1, "!not text"), again(5, m, 1, "")), uint8(asIs))
	}
	sum, both := vectorMethods["count.v1.Count/Sum"], vectorMethods["count.v1.Count/Echo"]
	f.Add(slices.Concat(open(1, sum, 1, ""), open(3, both, 2, ""),
		data(1, frame.FlagCredited|frame.FlagMore|frame.FlagTotal, total(3), "a"), data(3, frame.FlagCredited, "b"),
		data(1, frame.FlagCredited, "cd"), data(1, frame.FlagCredited|frame.FlagHalfClose, "e"),
		frame.AppendCancel(nil, 3, status.Canceled)), uint8(asIs))
	seedScripts(f, clientTypes)
	ordered := inOrder(methods)
	f.Fuzz(func(t *testing.T, program []byte, mode uint8) {
		sendToServer(t, programOf(program, mode, func(p []byte) []byte { return clientScript(p, ordered) }), methods)
	})
}

// sendToServer has a client send the program, and returns how the referee saw it.
func sendToServer(t *testing.T, program []byte, methods map[string]*call.Method) *serverReferee {
	r := newServerReferee(methods)
	r.frames(program, r.take)
	synctest.Test(t, func(t *testing.T) {
		d := dispatch.New(dispatch.Config{Log: slog.New(slog.DiscardHandler)})
		for _, m := range methods {
			if m.Kind() == call.KindUnary {
				d.Register(call.Handler{Method: m, Unary: func(_ context.Context, req any) (any, error) { return req, nil }})
			} else {
				d.Register(call.Handler{Method: m, Stream: func(_ context.Context, s call.ServerStream) error { return join(s) }})
			}
		}
		s, p := servingWith(t, d, 1<<20)
		p.hello()
		p.nc.Write(program)
		all := heard(p)
		synctest.Wait()
		p.nc.(interface{ CloseWrite() error }).CloseWrite()
		sent := <-all
		<-s.dead.done()
		d.Wait()
		if n := s.running.Load(); n != 0 {
			t.Errorf("%d handlers run", n)
		}
		if n := s.calls.len(); n != 0 {
			t.Errorf("%d calls are left", n)
		}
		said, err := hear(sent, r.goneByGoAway())
		if err != nil {
			t.Fatalf("the server sends % x: %v", sent, err)
		}
		if err := errors.Join(r.judge(said, false), r.answersOf(said)); err != nil {
			t.Error(err)
		}
	})
	return r
}

// FuzzClient has a server send anything: each call and the connection end as a
// referee says who read the same, and what the client sends back is well-formed.
func FuzzClient(f *testing.F) {
	seeds(f, vectors.Server)
	seedScripts(f, serverTypes)
	f.Fuzz(func(t *testing.T, program []byte, mode uint8) {
		sendToClient(t, programOf(program, mode, func(p []byte) []byte { return serverScript(p, askedMethods) }))
	})
}

// sendToClient has a server send the program, and returns how the referee saw it.
func sendToClient(t *testing.T, program []byte) *clientReferee {
	r := newClientReferee(askedMethods...)
	r.frames(program, r.take)
	synctest.Test(t, func(t *testing.T) {
		c, p := dialingWith(t, 1<<20)
		p.hello()
		<-c.Settled()
		var outcomes []<-chan outcome
		for range 2 { // streams 1 and 3
			outcomes = append(outcomes, calling(t.Context(), c, say, "x"))
			synctest.Wait()
		}
		var streams []*ClientStream
		for _, m := range []*call.Method{up, sum, echo} { // 5, 7 and 9
			s, err := c.Stream(t.Context(), &StreamCall{Method: m, Req: str("x")})
			if err != nil {
				t.Fatal(err)
			}
			streams = append(streams, s)
		}
		all := heard(p)
		synctest.Wait()
		p.nc.Write(program)
		synctest.Wait()
		p.nc.(interface{ CloseWrite() error }).CloseWrite()
		sent := <-all
		<-c.Dead()
		got := map[frame.StreamID]string{}
		for i, o := range outcomes {
			o := <-o
			got[frame.StreamID(1+2*i)] = seen(onlyIf(o.err == nil, o.res), o.err)
		}
		for i, s := range streams {
			got[frame.StreamID(5+2*i)] = seen(recvAll(s))
			s.Close()
		}
		synctest.Wait()
		if n := c.InFlight(); n != 0 {
			t.Errorf("%d calls in flight", n)
		}
		if n := c.calls.len(); n != 0 {
			t.Errorf("%d calls are left", n)
		}
		said, err := hear(sent, r.goneByGoAway())
		if err != nil {
			t.Fatalf("the client sends % x: %v", sent, err)
		}
		if err := errors.Join(r.judge(said, r.left()), r.sentBack(said), r.outcomes(got)); err != nil {
			t.Error(err)
		}
	})
	return r
}

func onlyIf(ok bool, s string) []string {
	if ok {
		return []string{s}
	}
	return nil
}

// recvAll takes what a stream brings until its end, which is nil if it is good.
func recvAll(s *ClientStream) (all []string, end *status.Error) {
	for {
		m, err := recvText(s)
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, status.FromError(err)
		}
		all = append(all, m)
	}
}

// TestRandomScripts sends random scripts both ways, and makes sure that they
// come to something: ends of all kinds, and calls that are answered.
func TestRandomScripts(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	methods := fuzzMethods()
	ordered := inOrder(methods)
	ends := map[frame.ErrorCode]int{}
	answers := map[status.Code]int{}
	for range 1_500 {
		program := make([]byte, 5+r.IntN(60))
		for i := range program {
			program[i] = byte(r.IntN(256))
			if r.IntN(8) > 0 {
				program[i] = byte(r.IntN(odd))
			}
		}
		s := sendToServer(t, clientScript(program, ordered), methods)
		c := sendToClient(t, serverScript(program, askedMethods))
		ends[s.must]++
		ends[c.must]++
		for _, a := range s.streams {
			if a.want != nil {
				answers[a.want.code]++
			}
		}
		for _, a := range c.calls {
			answers[a.code]++
		}
		if t.Failed() {
			t.Fatalf("program %x", program)
		}
	}
	t.Logf("ends %v, answers %v", ends, answers)
	for _, code := range []frame.ErrorCode{frame.NoError, frame.ProtocolError, frame.FrameSizeError, frame.FlowControlError} {
		if ends[code] == 0 {
			t.Errorf("no connection ended with %v", code)
		}
	}
	for _, code := range []status.Code{status.OK, status.InvalidArgument, status.ResourceExhausted, status.Unimplemented, status.Internal, status.Unavailable} {
		if answers[code] == 0 {
			t.Errorf("no call ended with %v", code)
		}
	}
}
