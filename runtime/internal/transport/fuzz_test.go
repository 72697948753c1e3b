package transport

import (
	"context"
	"encoding/binary"
	"io"
	"testing"
	"testing/synctest"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/dispatch"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/internal/frame/vectors"
)

// mended returns program cut into frames whose check bytes are right and whose
// lengths fit, so that mutations reach what lies behind those checks.
func mended(program []byte) []byte {
	var out []byte
	for len(program) >= frame.HeaderSize {
		h := append([]byte(nil), program[:frame.HeaderSize]...)
		program = program[frame.HeaderSize:]
		n := min(int(binary.LittleEndian.Uint16(h)), len(program))
		h[0], h[1], h[2], h[22], h[23] = byte(n), byte(n>>8), 0, frame.Version, 0
		var x byte
		for _, b := range h {
			x ^= b
		}
		h[23] = x
		out = append(append(out, h...), program[:n]...)
		program = program[n:]
	}
	return out
}

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
			f.Add(program, true)
			f.Add(program, false)
		}
	}
}

// drained reads whatever the side under test sends, until its end.
func drained(p *peer) (done chan struct{}) {
	done = make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(io.Discard, p.r)
	}()
	return done
}

// FuzzServer has a client send anything: the server must not panic or hang, and
// when the connection is over nothing is left of it.
func FuzzServer(f *testing.F) {
	seeds(f, vectors.Client)
	f.Fuzz(func(t *testing.T, program []byte, mend bool) {
		if mend {
			program = mended(program)
		}
		synctest.Test(t, func(t *testing.T) {
			d := (&service{}).dispatcher(dispatch.Config{})
			for _, m := range vectorMethods {
				if m.Kind() == call.KindUnary {
					d.Register(call.Handler{Method: m, Unary: func(_ context.Context, req any) (any, error) { return req, nil }})
				} else {
					d.Register(call.Handler{Method: m, Stream: func(_ context.Context, s call.ServerStream) error { return join(s) }})
				}
			}
			s, p := servingWith(t, d, 1<<20)
			p.hello()
			p.nc.Write(program)
			done := drained(p)
			synctest.Wait()
			p.nc.(interface{ CloseWrite() error }).CloseWrite()
			<-done
			<-s.dead
			d.Wait()
			if n := s.running.Load(); n != 0 {
				t.Errorf("%d handlers run", n)
			}
			if n := s.calls.len(); n != 0 {
				t.Errorf("%d calls are left", n)
			}
		})
	})
}

// FuzzClient has a server send anything: each call of the client ends, once.
func FuzzClient(f *testing.F) {
	seeds(f, vectors.Server)
	f.Fuzz(func(t *testing.T, program []byte, mend bool) {
		if mend {
			program = mended(program)
		}
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
			done := drained(p)
			p.nc.Write(program)
			synctest.Wait()
			p.nc.(interface{ CloseWrite() error }).CloseWrite()
			<-done
			<-c.Dead()
			for _, o := range outcomes {
				<-o
			}
			for _, s := range streams {
				for range len(program) {
					if _, err := recvText(s); err != nil {
						break
					}
				}
				s.Close()
			}
			synctest.Wait()
			if n := c.InFlight(); n != 0 {
				t.Errorf("%d calls in flight", n)
			}
			if n := c.calls.len(); n != 0 {
				t.Errorf("%d calls are left", n)
			}
		})
	})
}
