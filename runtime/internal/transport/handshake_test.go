package transport

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// deadErr waits until the client is dead and returns why.
func deadErr(t *testing.T, c *Client) error {
	t.Helper()
	select {
	case <-c.Dead():
		return c.Err()
	case <-time.After(patience):
		t.Fatal("the connection goes on")
		return nil
	}
}

func TestClientHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := dialing(t, func(cfg *Config) { cfg.Settings.MaxStreams = 100 })
		if s := p.welcome(); s.MaxStreams != 100 {
			t.Errorf("the client's settings: %v", &s)
		}
		select {
		case <-c.Settled():
			t.Error("settled before the server's settings")
		default:
		}
		if !c.Usable() {
			t.Error("not usable for early calls")
		}
		p.hello(func(s *frame.Settings) { s.MaxMessage = 1 << 20 })
		<-c.Settled()
		if got := c.peer().MaxMessage; got != 1<<20 {
			t.Errorf("the server's MAX_MESSAGE: %d", got)
		}
	})
}

func TestServerHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := serving(t, &service{}, func(cfg *Config) { cfg.Settings.MaxStreams = 100 })
		synctest.Wait()
		p.nc.SetReadDeadline(time.Now())
		if b, _ := io.ReadAll(p.r); len(b) > 0 {
			t.Fatalf("the server speaks first: %q", b)
		}
		// One byte at a time: nothing depends on how the bytes arrive.
		for _, b := range append([]byte(frame.Preface), frame.AppendSettings(nil, frame.DefaultSettings())...) {
			p.raw([]byte{b})
			synctest.Wait()
		}
		if s := p.welcome(); s.MaxStreams != 100 {
			t.Errorf("the server's settings: %v", &s)
		}
		p.raw(open(1, say, 1, "hello"))
		if g := p.expectClose(1, status.OK); string(g.Message) != "hello" {
			t.Errorf("got %q", g.Message)
		}
	})
}

// TestNotRPCX has the client meet something else than an rpcx server.
func TestNotRPCX(t *testing.T) {
	for name, test := range map[string]struct{ answer, text string }{
		"HTTP":         {"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP"},
		"TLS alert":    {"\x15\x03\x01\x00\x02\x02\x46", "TLS"},
		"TLS":          {"\x16\x03\x01\x00\x02\x02\x46aaaaa", "TLS"},
		"other":        {"220 mail.example.com ESMTP\r\n", "220 mail"},
		"short":        {"no", `"no"`},
		"nothing":      {"", "closed it without a word"},
		"half a frame": {frame.Preface + "\x08\x00\x00", "unexpected EOF"},
		"version 2":    {frame.Preface[:7] + "\x02", "version is 2"},
		"no settings":  {frame.Preface + string(frame.AppendPing(nil, 1)), "PING, not SETTINGS"},
		"refused":      {frame.Preface + string(frame.AppendGoAway(nil, 0, frame.LimitError, "too many connections")), "LIMIT: too many connections"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, p := dialing(t)
				early := calling(t.Context(), c, get, "early")
				waiting := calling(t.Context(), c, say, "waiting")
				p.welcome()
				p.expect(frame.TypeOpen)
				p.raw([]byte(test.answer))
				p.nc.(interface{ CloseWrite() error }).CloseWrite()
				err := deadErr(t, c)
				if !strings.Contains(err.Error(), test.text) || !strings.Contains(err.Error(), "server") {
					t.Errorf("got %v, want one with %q that names the server", err, test.text)
				}
				wantErr(t, (<-waiting).err, status.Unavailable, true, test.text)
				// The early call may have run only if the peer speaks the protocol.
				notOurs := !strings.HasPrefix(test.answer, frame.Preface) && name != "nothing" && name != "short"
				if o := <-early; notOurs || name == "refused" {
					wantErr(t, o.err, status.Unavailable, true, test.text)
				} else if status.CodeOf(o.err) != status.Unavailable {
					t.Errorf("the early call: %v", o.err)
				}
				if c.Usable() {
					t.Error("still usable")
				}
			})
		})
	}
}

// TestNotAClient has the server meet something else than an rpcx client: it
// closes without a word.
func TestNotAClient(t *testing.T) {
	for name, bytes := range map[string]string{
		"HTTP": "GET / HTTP/1.1\r\nhost: a\r\n\r\n", "TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
		"first byte": "G", "a wrong byte at the end": frame.Preface[:6] + "x",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, p := serving(t, &service{})
				p.raw([]byte(bytes))
				start := time.Now()
				<-s.dead.done()
				if took := time.Since(start); took > 0 {
					t.Errorf("closed after %v", took)
				}
				p.nc.SetReadDeadline(time.Now().Add(patience))
				if b, _ := io.ReadAll(p.r); len(b) > 0 {
					t.Errorf("the server said %q", b)
				}
			})
		})
	}
}

func TestOtherVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := serving(t, &service{})
		p.raw([]byte(frame.Preface[:7] + "\x02"))
		if b := p.bytes(frame.PrefaceSize); string(b) != frame.Preface {
			t.Errorf("preface: % x", b)
		}
		g := p.expectEnd(frame.VersionError)
		if g.LastAccepted != 0 || !strings.Contains(g.Text, "2") {
			t.Errorf("got %+v, want id 0 and a text that names version 2", g)
		}
	})
}

func TestHandshakeTimeout(t *testing.T) {
	t.Run("server, silent client", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, p := serving(t, &service{})
			start := time.Now()
			p.expectEOF()
			if took := time.Since(start); took != 5*time.Second {
				t.Errorf("closed after %v", took)
			}
		})
	})
	t.Run("server, no settings", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, p := serving(t, &service{})
			p.raw([]byte(frame.Preface))
			p.welcome()
			p.expectEnd(frame.TimeoutError)
		})
	})
	t.Run("client", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := dialing(t)
			waiting := calling(t.Context(), c, say, "waiting")
			p.welcome()
			start := time.Now()
			deadErr(t, c)
			if took := time.Since(start); took < 5*time.Second || took > 7*time.Second {
				t.Errorf("gave up after %v", took)
			}
			wantErr(t, (<-waiting).err, status.Unavailable, true, "")
		})
	})
	t.Run("no longer afterwards", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, p := settledServer(t, &service{})
			time.Sleep(time.Hour)
			p.raw(open(1, say, 1, "hello"))
			p.expectClose(1, status.OK)
		})
	})
}

// TestEarlyData: before the server's settings only calls that may be repeated
// are sent, and only what every server accepts.
func TestEarlyData(t *testing.T) {
	t.Run("which calls", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := dialing(t)
			p.welcome()
			waits := calling(t.Context(), c, say, "waits")
			streams := make(chan *status.Error, 1)
			go func() {
				s, err := c.Stream(t.Context(), &StreamCall{Method: echo})
				if err == nil {
					s.Close()
				}
				streams <- err
			}()
			synctest.Wait()
			early := calling(t.Context(), c, get, "early")
			if g := p.expectFrame(frame.TypeOpen, 1); string(g.Message) != "early" {
				t.Errorf("sent early: %v", &g.Header)
			}
			synctest.Wait()
			if n := p.r.Buffered(); n > 0 {
				t.Errorf("%d more bytes were sent early", n)
			}
			p.hello()
			p.raw(answer(1, "answer"))
			wantRes(t, <-early, "answer")
			for range 3 { // the call, the stream, and that it is closed
				if g := p.next(); string(g.Message) == "waits" {
					p.raw(answer(g.ID, "answer"))
				}
			}
			wantRes(t, <-waits, "answer")
			if err := <-streams; err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("a message above the minimum waits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := dialing(t)
			p.welcome()
			call := calling(t.Context(), c, get, long(100_000))
			synctest.Wait()
			p.hello()
			first := p.expectFrame(frame.TypeOpen, 1)
			if first.Total != 100_000 {
				t.Errorf("TOTAL %d", first.Total)
			}
			p.expectFrame(frame.TypeData, 1)
			p.raw(answer(1, "answer"))
			wantRes(t, <-call, "answer")
		})
	})
	t.Run("more calls than the minimum wait for the settings", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := dialing(t)
			p.welcome()
			var calls []<-chan outcome
			for range 20 {
				calls = append(calls, calling(t.Context(), c, get, "x"))
			}
			synctest.Wait()
			for range 16 {
				p.expect(frame.TypeOpen)
			}
			synctest.Wait()
			if p.r.Buffered() > 0 {
				t.Error("more than 16 calls were sent early")
			}
			p.hello()
			for range 4 {
				p.expect(frame.TypeOpen)
			}
			for id := frame.StreamID(1); id < 40; id += 2 {
				p.raw(answer(id, "answer"))
			}
			for _, call := range calls {
				wantRes(t, <-call, "answer")
			}
		})
	})
	t.Run("a deadline while waiting", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := dialing(t, func(cfg *Config) { cfg.HandshakeTimeout = 0 })
			p.welcome()
			o := <-calling(t.Context(), c, say, "x", within(time.Second))
			wantErr(t, o.err, status.DeadlineExceeded, true, "")
		})
	})
}

// within gives a call a deadline that its context does not have.
func within(d time.Duration) func(*Unary) {
	return func(u *Unary) { u.Deadline, u.Timed = time.Now().Add(d), true }
}
