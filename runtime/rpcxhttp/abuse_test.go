package rpcxhttp_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxhttp"
)

// TestUnreadBodies: a body that does not come holds nothing up, whoever does not
// want it.
func TestUnreadBodies(t *testing.T) {
	const length = "Content-Length: 1000\r\n\r\n"
	for name, test := range map[string]struct{ sent, want string }{
		"no such path":    {"POST /nowhere HTTP/1.1\r\nHost: server\r\n" + length, "404 Not Found"},
		"no such method":  {"POST /test.v1.Echo/None HTTP/1.1\r\nHost: server\r\nContent-Type: application/json\r\n" + length, "404 Not Found"},
		"a form":          {"POST /test.v1.Echo/Unary HTTP/1.1\r\nHost: server\r\n" + length, "415 Unsupported Media Type"},
		"another origin":  {post + "Sec-Fetch-Site: cross-site\r\n" + length, "403 Forbidden"},
		"bad metadata":    {post + "X-Bin: !!!\r\n" + length, "400 Bad Request"},
		"too large":       {post + "Content-Length: 100000000\r\n\r\n", "429 Too Many Requests"},
		"a client stream": {"POST /test.v1.Echo/Refuse HTTP/1.1\r\nHost: server\r\nContent-Type: application/grpc-web\r\n" + length, "200 OK"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, echo, rpcxhttp.WithHTTP(rpcxhttp.WithIdleTimeout(time.Second)))
				refuse := rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: "test.v1.Echo", Name: "Refuse", Kind: rpcx.ClientStream})
				s.Register(rpcx.ClientStreamHandler(refuse, func(context.Context, rpcx.ClientStreamingServer[text]) (*text, error) {
					return &text{}, nil
				}))
				got, took := raw(t, s, test.sent)
				if statuses(got) != test.want || took > 21*time.Second { // before the answer, and after the call

					t.Errorf("answered %q after %v, want %q", got, took, test.want)
				}
			})
		})
	}
}

// TestHTTP10: nothing behind a request of HTTP/1.0 is one.
func TestHTTP10(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, echo)
		got, _ := raw(t, s, strings.Replace(post, "1.1", "1.0", 1)+"Connection: keep-alive\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n\"x\"GET /test.v1.Echo/Get?hidden HTTP/1.1\r\nHost: server\r\n\r\n")
		if n := strings.Count(got, "HTTP/1."); n != 1 {
			t.Errorf("%d answers: %q", n, got)
		}
	})
}

// TestPaths: a method has one spelling.
func TestPaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, echo)
		for path, want := range map[string]int{
			"/test.v1.Echo/Unary": 200, "/test.v1.Echo/Un%61ry": 404, "/test.v1.Echo%2FUnary": 404, "//test.v1.Echo/Unary": 404,
			"/test.v1.Echo/../test.v1.Echo/Unary": 404, "/test.v1.Echo/Unary/": 404, "/TEST.v1.Echo/Unary": 404,
		} {
			if res := request(t, s, "POST", path, "Content-Type: application/json", `"x"`); res.StatusCode != want {
				t.Errorf("%s: %s, want %d", path, res.Status, want)
			}
		}
	})
}

// TestHosts: a server that knows its names answers to no other.
func TestHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, echo, rpcxhttp.WithHTTP(rpcxhttp.WithHosts("api.example.com", "Server")))
		for host, want := range map[string]string{"server": "200 OK", "server:7000": "200 OK", "API.example.com": "200 OK", "evil.example.com": "421 Misdirected Request", "": "421 Misdirected Request"} {
			got, _ := raw(t, s, strings.Replace(last, "Host: server", "Host: "+host, 1)+"Content-Length: 3\r\n\r\n\"x\"")
			if statuses(got) != want {
				t.Errorf("%q: %s, want %s", host, statuses(got), want)
			}
		}
	})
}

// TestHijack: a connection that the user's handler has taken over counts until it
// is closed, by the handler or by the server's end.
func TestHijack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		take := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			nc, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer nc.Close()
			io.WriteString(nc, "mine\n")
			io.Copy(io.Discard, nc)
		})
		s := newSite(t, echo, rpcxhttp.WithHTTP(rpcxhttp.WithHandler(take)), rpcx.WithMaxConnections(1))
		open := func() net.Conn {
			nc, err := s.Dial(t.Context(), "tcp", "server:1")
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(nc, "GET / HTTP/1.1\r\nHost: server\r\n\r\n")
			return nc
		}
		line := func(nc net.Conn) string {
			s, _ := bufio.NewReader(nc).ReadString('\n')
			return s
		}
		first := open()
		if got := line(first); got != "mine\n" {
			t.Errorf("got %q", got)
		}
		second := open()
		if got := line(second); got == "mine\n" {
			t.Errorf("there is room for a second connection")
		}
		first.Close()
		second.Close()
		synctest.Wait()
		third := open()
		if got := line(third); got != "mine\n" {
			t.Errorf("got %q: the first one still counts", got)
		}
		s.Server.Close()
		if got := line(third); got != "" {
			t.Errorf("got %q after the server's end", got)
		}
		if s.observer.open != 0 {
			t.Errorf("%d connections are open", s.observer.open)
		}
	})
}

// TestReceiveBudget: what is being received over HTTP is counted, and given back.
func TestReceiveBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const conns = 20
		s := newSite(t, echo, rpcx.WithReceiveBudget(1<<20))
		var halves []net.Conn
		for range conns {
			nc, _ := s.Dial(t.Context(), "tcp", "server:1")
			defer nc.Close()
			io.WriteString(nc, post+"Content-Length: 4000000\r\n\r\n\"")
			go io.Copy(nc, io.LimitReader(letters{}, 200_000))
			halves = append(halves, nc)
		}
		synctest.Wait()
		refused := strings.Count(s.observer.calls(), "RESOURCE_EXHAUSTED")
		for _, nc := range halves {
			nc.Close()
		}
		// Each holds 64 KiB that are free and up to 192 KiB that are not.
		if refused < conns/2 || refused == conns {
			t.Errorf("%d of %d are refused: %s", refused, conns, s.observer.calls())
		}
		synctest.Wait()
		large := strings.Repeat("x", 900_000)
		got, _ := raw(t, s, fmt.Sprintf("%sContent-Length: %d\r\n\r\n%q", last, len(large)+2, large))
		if statuses(got) != "200 OK" {
			t.Errorf("afterwards: %.200q", got)
		}
	})
}

// letters is as many letters as one likes.
type letters struct{}

func (letters) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

// TestNoWindow: a client of HTTP/2 that takes no answer holds a handler no longer
// than it may stall.
func TestNoWindow(t *testing.T) {
	for _, contentType := range []string{"application/json", "application/grpc+json"} {
		t.Run(contentType, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, echo)
				nc, _ := s.Dial(t.Context(), "tcp", "server:1")
				defer nc.Close()
				go io.Copy(io.Discard, nc)
				var headers []byte
				for _, h := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":authority", "server"}, {":path", "/test.v1.Echo/Unary"}, {"content-type", contentType}} {
					headers = append(headers, 0, byte(len(h[0])))
					headers = append(append(append(headers, h[0]...), byte(len(h[1]))), h[1]...)
				}
				message := []byte(`"` + strings.Repeat("x", 10_000) + `"`)
				if contentType != "application/json" {
					message = append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
				}
				io.WriteString(nc, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
				nc.Write(h2frame(4, 0, 0, []byte{0, 4, 0, 0, 0, 0})) // INITIAL_WINDOW_SIZE: 0
				nc.Write(h2frame(1, 4, 1, headers))                  // HEADERS, complete
				nc.Write(h2frame(0, 1, 1, message))                  // DATA, the last
				start := time.Now()
				for s.observer.calls() == "" {
					time.Sleep(time.Second)
					if time.Since(start) > 15*time.Second {
						t.Fatal("the call has not ended")
					}
				}
				nc.Close()
			})
		})
	}
}

// h2frame returns a frame of HTTP/2.
func h2frame(kind, flags byte, stream uint32, payload []byte) []byte {
	n := len(payload)
	b := []byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags}
	return append(binary.BigEndian.AppendUint32(b, stream), payload...)
}

// TestLateInterrupts: a call whose time is over disturbs no other one.
func TestLateInterrupts(t *testing.T) {
	everyDoor(t, func(t *testing.T, d *door) {
		_, c := d.site(t, func(ctx context.Context, req string) (string, error) {
			if req == "wait" {
				<-ctx.Done()
				return "", ctx.Err()
			}
			return req, nil
		})
		for range 30 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			c(ctx, unary.Descriptor(), []string{"wait"}, nil)
			cancel()
			if a := c(t.Context(), unary.Descriptor(), []string{"x"}, nil); a.err != nil {
				t.Fatal(a.err)
			}
		}
	})
}

// TestHeadersWhileSending: sending headers and messages at once blocks neither.
func TestHeadersWhileSending(t *testing.T) {
	everyDoor(t, func(t *testing.T, d *door) {
		s, c := d.site(t, echo)
		m := rpcx.NewMethod[text, text](rpcx.MethodSpec{Service: "test.v1.Echo", Name: "Both", Kind: rpcx.ServerStream})
		s.Register(rpcx.ServerStreamHandler(m, func(ctx context.Context, _ *text, st rpcx.ServerStreamingServer[text]) error {
			var both sync.WaitGroup
			both.Go(func() { _ = rpcx.SendHeader(ctx, metadata.Pairs("x-head", "h")) })
			both.Go(func() { _ = st.Send(wrapperspb.String("x")) })
			both.Wait()
			return nil
		}))
		for range 20 {
			if a := c(t.Context(), m.Descriptor(), []string{"x"}, nil); a.err != nil || len(a.res) != 1 {
				t.Fatal(a.res, a.err)
			}
		}
	})
}

// TestTrailerPrefix: what Connect takes for trailers cannot be forged by metadata.
func TestTrailerPrefix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen metadata.MD
		s := newSite(t, func(ctx context.Context, req string) (string, error) {
			seen, _ = metadata.FromIncomingContext(ctx)
			rpcx.SetHeader(ctx, metadata.Pairs("trailer-rpcx-not-run", "1"))
			return req, nil
		})
		res := request(t, s, "POST", "/test.v1.Echo/Unary", "Content-Type: application/json|Trailer-Rpcx-Not-Run: 1|Rpcx-Lane: 3", `"x"`)
		if seen.Has("trailer-rpcx-not-run") || seen.Has("rpcx-lane") || res.Header.Get("Trailer-Rpcx-Not-Run") != "" {
			t.Errorf("the handler saw %q, the client %v", seen, res.Header)
		}
	})
}

// TestOldAtOnce: connections that are too old before anything has come work.
func TestOldAtOnce(t *testing.T) {
	everyDoor(t, func(t *testing.T, d *door) {
		if d.peer == "rpcx" {
			return // it is drained, and the client connects again, and again
		}
		_, c := d.site(t, echo, rpcx.WithMaxConnectionAge(1, time.Second))
		for range 3 {
			if a := c(t.Context(), get.Descriptor(), []string{"x"}, nil); a.err != nil {
				t.Error(a.err)
			}
		}
	})
}
