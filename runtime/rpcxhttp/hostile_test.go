package rpcxhttp_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcxhttp"
)

// raw sends bytes over a connection of its own and returns all that comes back,
// and after how long the server closed it.
func raw(t *testing.T, s *site, sent string) (got string, took time.Duration) {
	t.Helper()
	nc, err := s.Dial(t.Context(), "tcp", "server:1")
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	start := time.Now()
	if _, err := io.WriteString(nc, sent); err != nil {
		t.Fatal(err)
	}
	nc.SetReadDeadline(start.Add(time.Hour))
	b, err := io.ReadAll(nc)
	if errors.Is(err, context.DeadlineExceeded) || time.Since(start) >= time.Hour {
		t.Errorf("the server kept the connection open after %q", sent)
	}
	return string(b), time.Since(start)
}

const (
	post = "POST /test.v1.Echo/Unary HTTP/1.1\r\nHost: server\r\nContent-Type: application/json\r\n"
	last = post + "Connection: close\r\n"
)

// statuses returns the status lines in an answer, without the version.
func statuses(answer string) string {
	var all []string
	for i, part := range strings.Split(answer, "HTTP/1.1 ") {
		if i > 0 {
			line, _, _ := strings.Cut(part, "\r\n")
			all = append(all, line)
		}
	}
	return strings.Join(all, ", ")
}

// TestShapes: requests of bad shape are refused, and nothing behind them on the
// connection is taken for a request.
func TestShapes(t *testing.T) {
	const hidden = "GET /test.v1.Echo/Get?hidden HTTP/1.1\r\nHost: server\r\n\r\n"
	for name, test := range map[string]struct{ sent, want string }{
		"a good one":              {last + "Content-Length: 3\r\n\r\n\"x\"", "200 OK"},
		"two good ones":           {post + "Content-Length: 3\r\n\r\n\"x\"" + last + "Content-Length: 3\r\n\r\n\"y\"", "200 OK, 200 OK"},
		"both lengths":            {post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n\"x\"\r\n0\r\n\r\n" + hidden, "200 OK"},
		"chunked, then another":   {post + "Transfer-Encoding: chunked\r\n\r\n3\r\n\"x\"\r\n0\r\n\r\n" + hidden, "200 OK"},
		"two lengths":             {post + "Content-Length: 3\r\nContent-Length: 4\r\n\r\n\"x\"" + hidden, "400 Bad Request"},
		"a signed length":         {post + "Content-Length: +3\r\n\r\n\"x\"" + hidden, "400 Bad Request"},
		"unknown encoding":        {post + "Transfer-Encoding: xchunked\r\n\r\n3\r\n\"x\"\r\n0\r\n\r\n" + hidden, "501 Not Implemented"},
		"chunked twice":           {post + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" + hidden, "501 Not Implemented"},
		"space before colon":      {post + "Content-Length : 3\r\n\r\n\"x\"" + hidden, "400 Bad Request: invalid header name"},
		"no host":                 {"POST /test.v1.Echo/Unary HTTP/1.1\r\n\r\n" + hidden, "400 Bad Request: missing required Host header"},
		"two hosts":               {"POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + hidden, "400 Bad Request"},
		"NUL in a header":         {post + "X-A: \x00\r\n\r\n" + hidden, "400 Bad Request"},
		"bad chunk":               {post + "Transfer-Encoding: chunked\r\n\r\nzz\r\n" + hidden, "400 Bad Request"},
		"a version of the future": {"POST / HTTP/3.0\r\nHost: server\r\n\r\n" + hidden, "505 HTTP Version Not Supported: unsupported protocol version"},
		"header too large":        {post + "X-A: " + strings.Repeat("a", 80<<10) + "\r\n\r\n" + hidden, "431 Request Header Fields Too Large"},
		"garbage in capitals":     {"HELLO\r\nWORLD", ""},
		"small letters":           {"get / http/1.1\r\n\r\n", ""},
		"TLS":                     {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", ""},
		"half of HTTP/2":          {"PRI * HTTP/2.0\r\n\r\nNO\r\n\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, echo)
				got, _ := raw(t, s, test.sent)
				if statuses(got) != test.want {
					t.Errorf("answered %q, want %q", got, test.want)
				}
				if strings.Contains(s.observer.calls(), "Get") {
					t.Errorf("the hidden request ran: %s", s.observer.calls())
				}
			})
		})
	}
}

// TestSlow: who does not get on with it is not waited for.
func TestSlow(t *testing.T) {
	for name, test := range map[string]struct {
		sent   string
		within time.Duration
		want   string
	}{
		"nothing":                  {"", 5 * time.Second, ""},
		"half a method":            {"PO", 5 * time.Second, ""},
		"half the HTTP/2 preface":  {"PRI * HTT", 5 * time.Second, ""},
		"half a header":            {post + "X-A", 5 * time.Second, "400 Bad Request"},
		"no body":                  {last + "Content-Length: 3\r\n\r\n", 11 * time.Second, "504 Gateway Timeout"},
		"half a body":              {last + "Content-Length: 3\r\n\r\n\"", 11 * time.Second, "504 Gateway Timeout"},
		"no message in gRPC-Web":   {"POST /test.v1.Echo/Unary HTTP/1.1\r\nHost: s\r\nContent-Type: application/grpc-web\r\nConnection: close\r\nContent-Length: 9\r\n\r\n\x00\x00", 11 * time.Second, "200 OK"},
		"no settings after the h2": {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 2 * time.Minute, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, echo)
				got, took := raw(t, s, test.sent)
				if statuses(got) != test.want || took > test.within {
					t.Errorf("answered %q after %v, want %q within %v", got, took, test.want, test.within)
				}
			})
		})
	}
}

// TestNativeOnly: a server without HTTP closes such connections without a word.
func TestNativeOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, sent := range []string{post, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"} {
			s := newSite(t, echo, rpcx.WithFallback(nil))
			if got, took := raw(t, s, sent); got != "" || took > time.Second {
				t.Errorf("answered %q after %v", got, took)
			}
		}
	})
}

// TestPlainOnTLS: a server with TLS answers nothing without.
func TestPlainOnTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, _ := secrets(t)
		s := newSite(t, echo, rpcx.WithTLS(server))
		if got, _ := raw(t, s, last+"Content-Length: 3\r\n\r\n\"x\""); strings.Contains(got, "HTTP") || len(s.observer.calls()) > 0 {
			t.Errorf("answered %q", got)
		}
	})
}

// TestALPN: on TLS the protocol that was agreed on is spoken, whatever the bytes.
func TestALPN(t *testing.T) {
	for _, test := range []struct {
		offered []string
		spoken  string
		fails   bool
	}{
		{[]string{"rpcx/1", "h2", "http/1.1"}, "rpcx", false},
		{[]string{"http/1.1", "h2"}, "h2", false},
		{[]string{"http/1.1"}, "http/1.1", false},
		{nil, "http/1.1", false},
		{[]string{"spdy/3"}, "", true},
	} {
		t.Run(fmt.Sprint(test.offered), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, client := secrets(t)
				s := newSite(t, echo, rpcx.WithTLS(server))
				nc, err := s.Dial(t.Context(), "tcp", "server:1")
				if err != nil {
					t.Fatal(err)
				}
				defer nc.Close()
				client.NextProtos = test.offered
				c := tls.Client(nc, client)
				err = c.HandshakeContext(t.Context())
				if err == nil {
					// Whatever the protocol, these are not its first bytes, except HTTP/1.1's.
					io.WriteString(c, last+"Content-Length: 3\r\n\r\n\"x\"")
				}
				answer, _ := io.ReadAll(c)
				synctest.Wait()
				if got := strings.Join(s.observer.opened, ","); test.spoken != "rpcx" && got != test.spoken || (err != nil) != test.fails {
					t.Errorf("spoke %q, %v, want %q", got, err, test.spoken)
				}
				if got := statuses(string(answer)); (got == "200 OK") != (test.spoken == "http/1.1") {
					t.Errorf("answered %q", answer)
				}
			})
		})
	}
}

// TestBrowsers: pages of other origins get nothing unless they may.
func TestBrowsers(t *testing.T) {
	const page = "https://app.example.com"
	cors := rpcxhttp.WithCORS(rpcxhttp.CORS{Origins: []string{page}, Credentials: true, Headers: []string{"X-Head"}, MaxAge: time.Hour})
	getURL := `/test.v1.Echo/Get?encoding=json&message="x"`
	for name, test := range map[string]struct {
		options []rpcxhttp.Option
		method  string
		url     string
		header  string
		want    int
		allowed string
	}{
		"no browser":                         {nil, "POST", "", "Content-Type: application/json", 200, ""},
		"same origin":                        {nil, "POST", "", "Content-Type: application/json|Sec-Fetch-Site: same-origin|Origin: http://server", 200, ""},
		"other origin":                       {nil, "POST", "", "Content-Type: application/json|Sec-Fetch-Site: cross-site|Origin: " + page, 403, ""},
		"other origin, old browser":          {nil, "POST", "", "Content-Type: application/json|Origin: " + page, 403, ""},
		"other origin, GET":                  {nil, "GET", getURL, "Sec-Fetch-Site: cross-site", 403, ""},
		"a link is followed":                 {nil, "GET", getURL, "Sec-Fetch-Site: none", 200, ""},
		"a form":                             {nil, "POST", "", "Content-Type: application/x-www-form-urlencoded|Sec-Fetch-Site: cross-site", 415, ""},
		"a multipart form":                   {nil, "POST", "", "Content-Type: multipart/form-data; boundary=x|Sec-Fetch-Site: cross-site", 415, ""},
		"plain text":                         {nil, "POST", "", "Content-Type: text/plain|Sec-Fetch-Site: cross-site", 415, ""},
		"plain text that says JSON":          {nil, "POST", "", "Content-Type: text/plain; application/json", 415, ""},
		"no content type":                    {nil, "POST", "", "X-A: b", 415, ""},
		"preflight":                          {nil, "OPTIONS", "", "Origin: " + page + "|Access-Control-Request-Method: POST", 403, ""},
		"a page that may":                    {[]rpcxhttp.Option{cors}, "POST", "", "Content-Type: application/json|Sec-Fetch-Site: cross-site|Origin: " + page, 200, page},
		"a page that may, GET":               {[]rpcxhttp.Option{cors}, "GET", getURL, "Sec-Fetch-Site: cross-site|Origin: " + page, 200, page},
		"a page that may, preflight":         {[]rpcxhttp.Option{cors}, "OPTIONS", "", "Origin: " + page + "|Access-Control-Request-Method: POST|Access-Control-Request-Headers: content-type", 204, page},
		"another page":                       {[]rpcxhttp.Option{cors}, "POST", "", "Content-Type: application/json|Sec-Fetch-Site: cross-site|Origin: https://example.com", 403, ""},
		"another page, preflight":            {[]rpcxhttp.Option{cors}, "OPTIONS", "", "Origin: https://example.com|Access-Control-Request-Method: POST", 204, ""},
		"a page whose name begins like that": {[]rpcxhttp.Option{cors}, "POST", "", "Content-Type: application/json|Sec-Fetch-Site: cross-site|Origin: " + page + ".evil.org", 403, ""},
		"null":                               {[]rpcxhttp.Option{cors}, "POST", "", "Content-Type: application/json|Sec-Fetch-Site: cross-site|Origin: null", 403, ""},
		"any page":                           {[]rpcxhttp.Option{rpcxhttp.WithCORS(rpcxhttp.CORS{Origins: []string{"*"}, Credentials: true})}, "POST", "", "Content-Type: application/json|Sec-Fetch-Site: cross-site|Origin: " + page, 200, "*"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, echo, rpcxhttp.WithHTTP(test.options...))
				url := test.url
				if url == "" {
					url = "/test.v1.Echo/Unary"
				}
				res := request(t, s, test.method, url, test.header, `"x"`)
				if res.StatusCode != test.want {
					t.Errorf("status %s, want %d", res.Status, test.want)
				}
				h := res.Header
				if got := h.Get("Access-Control-Allow-Origin"); got != test.allowed {
					t.Errorf("allowed origin %q, want %q", got, test.allowed)
				}
				if got := h.Get("Access-Control-Allow-Credentials") == "true"; got != (test.allowed == page) {
					t.Errorf("credentials %v", got)
				}
				if test.method == "OPTIONS" && test.allowed != "" && (h.Get("Access-Control-Allow-Headers") != "content-type" || h.Get("Access-Control-Max-Age") != "3600") {
					t.Errorf("preflight answered with %v", h)
				}
				if ran := s.observer.calls() != ""; ran != (test.want == 200) {
					t.Errorf("the call ran: %v", ran)
				}
			})
		})
	}
}

// request makes one request; headers are separated by "|".
func request(t *testing.T, s *site, method, url, headers, body string) *http.Response {
	t.Helper()
	nc, err := s.Dial(t.Context(), "tcp", "server:1")
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if method == "GET" || method == "OPTIONS" {
		body = ""
	}
	fmt.Fprintf(nc, "%s %s HTTP/1.1\r\nHost: server\r\nConnection: close\r\n%s\r\nContent-Length: %d\r\n\r\n%s", method, url, strings.ReplaceAll(headers, "|", "\r\n"), len(body), body)
	res, err := http.ReadResponse(bufio.NewReader(nc), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	return res
}

// TestOther: what is no call goes to the user's own handler.
func TestOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, echo, rpcxhttp.WithHTTP(rpcxhttp.WithHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "page ", r.URL.Path)
		}))))
		for _, test := range []struct {
			method, url, header string
			want                int
		}{
			{"GET", "/", "X-A: b", 200},
			{"GET", "/test.v1.Echo/", "X-A: b", 200},
			{"POST", "/test.v1.Echo/None", "Content-Type: application/json", 404},
			{"POST", "/test.v1.Echo/Unary", "Content-Type: application/json", 200},
			{"PUT", "/test.v1.Echo/Unary", "Content-Type: application/json", 405},
			{"GET", "/test.v1.Echo/Unary", "X-A: b", 405},
		} {
			if res := request(t, s, test.method, test.url, test.header, `"x"`); res.StatusCode != test.want {
				t.Errorf("%s %s: %s, want %d", test.method, test.url, res.Status, test.want)
			}
		}
	})
}

// TestConnections: connections that speak HTTP count like all others, are as old
// as others may become, and end when they are idle.
func TestConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, echo, rpcx.WithMaxConnections(1), rpcx.WithMaxConnectionAge(time.Minute, time.Second))
		nc, _ := s.Dial(t.Context(), "tcp", "server:1")
		defer nc.Close()
		answers := bufio.NewReader(nc)
		ask := func() *http.Response {
			io.WriteString(nc, post+"Content-Length: 3\r\n\r\n\"x\"")
			res, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, res.Body)
			return res
		}
		if res := ask(); res.Close {
			t.Error("a new connection is closed")
		}
		if got, _ := raw(t, s, last+"Content-Length: 3\r\n\r\n\"x\""); strings.Contains(got, "200 OK") {
			t.Error("there is room for a second connection")
		}
		time.Sleep(70 * time.Second)
		if res := ask(); !res.Close {
			t.Error("an old connection is kept")
		}
		synctest.Wait()
		idle, _ := s.Dial(t.Context(), "tcp", "server:1")
		io.WriteString(idle, post+"Content-Length: 3\r\n\r\n\"x\"")
		start := time.Now()
		io.ReadAll(idle)
		if took := time.Since(start); took < time.Minute || took > 3*time.Minute {
			t.Errorf("an idle connection is kept for %v", took)
		}
		synctest.Wait()
		if s.observer.open != 0 {
			t.Errorf("%d connections are open", s.observer.open)
		}
	})
}
