package transport

import (
	"context"
	"errors"
	"io"
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

// streaming opens a stream, of which the peer reads the OPEN.
func streaming(ctx context.Context, t *testing.T, c *Client, p *peer, m *call.Method, req string) (*ClientStream, frame.StreamID) {
	t.Helper()
	s, err := c.Stream(ctx, &StreamCall{Method: m, Req: str(req)})
	if err != nil {
		t.Fatal(err)
	}
	return s, p.expect(frame.TypeOpen).ID
}

// recvText receives one message.
func recvText(s interface{ Recv(any) error }) (string, error) {
	var m text
	err := s.Recv(&m)
	return m.s, err
}

const credited = frame.FlagCredited

// isCredit tells frames that come or not, depending on whether a message is taken
// before the next part arrives.
func isCredit(g *got) bool { return g.Type == frame.TypeCredit }

func TestClientStreams(t *testing.T) {
	t.Run("server streaming", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := settledClient(t)
			s, id := streaming(t.Context(), t, c, p, up, "go")
			p.raw(enc(frame.Header{Type: frame.TypeData, Flags: frame.FlagHeaders, ID: id}, block("h", "1")))
			if md, err := s.Header(); err != nil || md.Get("h") != "1" {
				t.Errorf("headers: %v, %v", md, err)
			}
			p.raw(data(id, credited, "a"), data(id, credited, ""), data(id, credited|frame.FlagMore|frame.FlagTotal, total(6), "bc"),
				data(id, credited|frame.FlagMore, "d"), data(id, credited, "efg"),
				closing(id, status.OK, frame.FlagTrailers, block("t", "2")))
			for _, want := range []string{"a", "", "bcdefg"} {
				if got, err := recvText(s); got != want || err != nil {
					t.Errorf("got %q, %v; want %q", got, err, want)
				}
			}
			for range 2 {
				if _, err := recvText(s); err != io.EOF {
					t.Errorf("at the end: %v", err)
				}
			}
			if md := s.Trailer(); md.Get("t") != "2" {
				t.Errorf("trailers: %v", md)
			}
			s.Close()
			if after := slices.DeleteFunc(p.sync(), isCredit); len(after) > 0 {
				t.Errorf("after the end: %v", headers(after))
			}
			if n := c.InFlight(); n != 0 {
				t.Errorf("%d calls in flight", n)
			}
		})
	})
	t.Run("client streaming", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := settledClient(t)
			s, id := streaming(t.Context(), t, c, p, sum, "")
			for _, m := range []string{"a", "", "b"} {
				if err := s.Send(str(m)); err != nil {
					t.Fatal(err)
				}
				if g := p.expectFrame(frame.TypeData, id); g.Flags != frame.FlagMessage|credited || string(g.Message) != m {
					t.Errorf("got %v %q", &g.Header, g.Message)
				}
			}
			s.CloseSend()
			if g := p.expectFrame(frame.TypeData, id); g.Flags != frame.FlagHalfClose || g.Length != 0 {
				t.Errorf("got %v", &g.Header)
			}
			p.raw(answer(id, "sum"))
			if got, err := recvText(s); got != "sum" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
			if _, err := recvText(s); err != io.EOF {
				t.Errorf("at the end: %v", err)
			}
		})
	})
	t.Run("answered before the half-close", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := settledClient(t)
			s, id := streaming(t.Context(), t, c, p, sum, "")
			p.raw(answer(id, "enough"))
			synctest.Wait()
			if err := s.Send(str("more")); err != io.EOF {
				t.Errorf("Send: %v, want EOF", err)
			}
			if got, err := recvText(s); got != "enough" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
			if after := slices.DeleteFunc(p.sync(), isCredit); len(after) > 0 {
				t.Errorf("after the end: %v", headers(after))
			}
		})
	})
	t.Run("an error in the middle of a message", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := settledClient(t)
			s, id := streaming(t.Context(), t, c, p, echo, "")
			p.raw(data(id, credited, "a"), data(id, credited|frame.FlagMore|frame.FlagTotal, total(6), "bc"),
				closing(id, status.Aborted, 0))
			if got, err := recvText(s); got != "a" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
			_, err := recvText(s)
			wantErr(t, err, status.Aborted, false, "")
		})
	})
	t.Run("undecodable message", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := settledClient(t)
			s, id := streaming(t.Context(), t, c, p, echo, "")
			p.raw(data(id, credited, "!"))
			_, err := recvText(s)
			wantErr(t, err, status.Internal, false, "")
			if g := p.expectFrame(frame.TypeCancel, id); status.Code(g.Code) != status.Internal {
				t.Errorf("CANCEL says %v", status.Code(g.Code))
			}
			if _, again := recvText(s); again == nil {
				t.Error("the stream goes on")
			}
		})
	})
	t.Run("message too large", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := settledClient(t, func(cfg *Config) { cfg.Settings.MaxMessage = 64 << 10 })
			s, id := streaming(t.Context(), t, c, p, echo, "")
			p.raw(data(id, credited|frame.FlagMore|frame.FlagTotal, total(64<<10+1), "x"))
			_, err := recvText(s)
			wantErr(t, err, status.ResourceExhausted, false, "")
			if g := p.expectFrame(frame.TypeCancel, id); status.Code(g.Code) != status.ResourceExhausted {
				t.Errorf("CANCEL says %v", status.Code(g.Code))
			}
		})
	})
	t.Run("cancel", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := settledClient(t)
			ctx, cancel := context.WithCancel(t.Context())
			s, id := streaming(ctx, t, c, p, echo, "")
			received := make(chan error, 1)
			go func() {
				_, err := recvText(s)
				received <- err
			}()
			synctest.Wait()
			cancel()
			wantErr(t, <-received, status.Canceled, false, "")
			p.expectFrame(frame.TypeCancel, id)
			if err := s.Send(str("x")); err != io.EOF {
				t.Errorf("Send: %v, want EOF", err)
			}
			p.raw(data(id, credited, "late"), closing(id, status.OK, 0))
			if after := slices.DeleteFunc(p.sync(), isCredit); len(after) > 0 {
				t.Errorf("afterwards: %v", headers(after))
			}
		})
	})
	t.Run("Close, then nothing is late", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := settledClient(t)
			s, id := streaming(t.Context(), t, c, p, up, "x")
			s.Close()
			s.Close()
			p.expectFrame(frame.TypeCancel, id)
			if _, err := recvText(s); status.CodeOf(err) != status.Canceled {
				t.Errorf("Recv: %v", err)
			}
			if _, err := s.Header(); status.CodeOf(err) != status.Canceled {
				t.Errorf("Header: %v", err)
			}
		})
	})
	t.Run("deadline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := settledClient(t)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			s, err := c.Stream(ctx, &StreamCall{Method: echo, Deadline: time.Now().Add(time.Second)})
			if err != nil {
				t.Fatal(err)
			}
			g := p.expect(frame.TypeOpen)
			if g.Arg != 10_000 {
				t.Errorf("deadline argument %d", g.Arg)
			}
			_, rerr := recvText(s)
			wantErr(t, rerr, status.DeadlineExceeded, false, "")
			if g := p.expectFrame(frame.TypeCancel, g.ID); status.Code(g.Code) != status.DeadlineExceeded {
				t.Errorf("CANCEL says %v", status.Code(g.Code))
			}
		})
	})
	t.Run("fragmented request", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := settledClient(t)
			for n := 64<<10 - 50; n < 64<<10+30; n++ {
				req := long(n)
				opened := make(chan *ClientStream)
				go func() {
					s, err := c.Stream(t.Context(), &StreamCall{Method: up, Req: str(req)})
					if err != nil {
						t.Error(err)
					}
					opened <- s
				}()
				g := p.expect(frame.TypeOpen)
				id, got := g.ID, string(g.Message)
				for !g.Flags.Has(frame.FlagHalfClose) {
					g = p.expectFrame(frame.TypeData, id)
					got += string(g.Message)
				}
				if got != req {
					t.Fatalf("%d bytes: got %d other ones", n, len(got))
				}
				p.raw(closing(id, status.OK, 0))
				s := <-opened
				if _, err := recvText(s); err != io.EOF {
					t.Fatal(err)
				}
			}
		})
	})
}

func TestServerStreams(t *testing.T) {
	t.Run("server streaming", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, p := settledServer(t, &service{})
			p.raw(open(1, up, 1, "a b c"))
			for _, want := range []string{"a", "b", "c"} {
				if g := p.expectFrame(frame.TypeData, 1); g.Flags != frame.FlagMessage|credited || string(g.Message) != want {
					t.Errorf("got %v %q", &g.Header, g.Message)
				}
			}
			if g := p.expectClose(1, status.OK); g.Flags != 0 {
				t.Errorf("got %v", &g.Header)
			}
			synctest.Wait()
			if n := s.running.Load(); n != 0 {
				t.Errorf("%d handlers run", n)
			}
		})
	})
	t.Run("client streaming", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, p := settledServer(t, &service{})
			p.raw(open(1, sum, 1, ""), data(1, credited, "a"), data(1, credited|frame.FlagMore|frame.FlagTotal, total(3), "b"),
				data(1, credited, "cd"), data(1, credited|frame.FlagHalfClose, "e"))
			// Credit comes if the handler was faster than the next part.
			if g := p.expectCloseBehindCredit(1, status.OK); string(g.Message) != "a bcd e" {
				t.Errorf("got %q", g.Message)
			}
			// A stream of no requests, half-closed by its OPEN.
			p.raw(enc(frame.Header{Type: frame.TypeOpen, Flags: frame.FlagCallerStreams | frame.FlagHalfClose, ID: 3, Code: 1}))
			p.expectClose(3, status.OK)
		})
	})
	t.Run("headers", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, p := settledServer(t, &service{stream: func(ctx context.Context, s call.ServerStream) error {
				r := ctx.Value(call.ResponseKey).(call.ResponseMetadata)
				r.SetHeader(metadata.Pairs("h", "1"))
				switch m, _ := recvText(s); m {
				case "early":
					if err := r.SendHeader(nil); err != nil {
						t.Error(err)
					}
					if err := r.SetHeader(metadata.Pairs("h", "2")); err == nil {
						t.Error("SetHeader after SendHeader succeeds")
					}
				case "message":
					s.Send(str("x"))
				}
				r.SetTrailer(metadata.Pairs("t", "2"))
				return nil
			}})
			var id frame.StreamID = 1
			for _, how := range []string{"early", "message", "none"} {
				p.raw(open(id, up, 0, how))
				g := p.next()
				if how == "none" && g.Type != frame.TypeClose {
					t.Errorf("%s: got %v", how, &g.Header)
				}
				if md, _ := frame.ParseMetadata(g.Headers); md.Get("h") != "1" {
					t.Errorf("%s: headers %v in %v", how, md, &g.Header)
				}
				for g.Type != frame.TypeClose {
					if g = p.next(); g.Flags.Has(frame.FlagHeaders) {
						t.Errorf("%s: headers again in %v", how, &g.Header)
					}
				}
				if md, _ := frame.ParseMetadata(g.Trailers); md.Get("t") != "2" {
					t.Errorf("%s: trailers %v", how, md)
				}
				id += 2
			}
		})
	})
	t.Run("cancel", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ended := make(chan [3]error, 1)
			_, p := settledServer(t, &service{stream: func(ctx context.Context, s call.ServerStream) error {
				_, err := recvText(s)
				ended <- [3]error{err, s.Send(str("x")), ctx.Err()}
				return err
			}})
			p.raw(open(1, echo, 1, ""))
			synctest.Wait()
			p.raw(frame.AppendCancel(nil, 1, status.Canceled))
			for i, err := range <-ended {
				if status.CodeOf(err) != status.Canceled {
					t.Errorf("error %d: %v", i, err)
				}
			}
			if after := slices.DeleteFunc(p.sync(), isCredit); len(after) > 0 {
				t.Errorf("the server answered: %v", headers(after))
			}
		})
	})
	t.Run("message too large", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, p := settledServer(t, &service{stream: func(ctx context.Context, s call.ServerStream) error {
				<-ctx.Done() // it does not notice by itself
				return nil
			}}, func(cfg *Config) { cfg.Settings.MaxMessage = 64 << 10 })
			p.raw(open(1, echo, 1, ""), data(1, credited|frame.FlagMore|frame.FlagTotal, total(64<<10+1), long(60_000)))
			if g := p.expectClose(1, status.ResourceExhausted); g.Flags.Has(frame.FlagNotRun) || g.Arg != 0 {
				t.Errorf("got %v", &g.Header)
			}
			p.raw(data(1, credited|frame.FlagMore, "late"))
			p.sync()
		})
	})
	t.Run("formats", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, p := settledServer(t, &service{})
			p.raw(open(1, echo, 1, ""),
				enc(frame.Header{Type: frame.TypeData, Flags: frame.FlagMessage | credited, ID: 1, Compression: 1}, "x"))
			p.expectClose(1, status.Unimplemented)
		})
	})
	t.Run("the connection dies", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ended := make(chan error, 2)
			_, p := settledServer(t, &service{stream: func(ctx context.Context, s call.ServerStream) error {
				_, err := recvText(s)
				ended <- err
				<-ctx.Done()
				ended <- ctx.Err()
				return err
			}})
			p.raw(open(1, echo, 1, ""))
			synctest.Wait()
			p.nc.Close()
			for range 2 {
				if err := <-ended; !errors.Is(err, context.Canceled) && status.CodeOf(err) != status.Canceled {
					t.Errorf("got %v", err)
				}
			}
		})
	})
	t.Run("panic", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, p := settledServer(t, &service{stream: func(context.Context, call.ServerStream) error { panic("a secret") }})
			p.raw(open(1, echo, 1, ""))
			if g := p.expectClose(1, status.Internal); strings.Contains(string(g.Detail), "secret") {
				t.Errorf("the caller sees %q", g.Detail)
			}
			synctest.Wait()
			if n := s.running.Load(); n != 0 {
				t.Errorf("%d handlers run", n)
			}
		})
	})
}
