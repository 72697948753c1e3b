package gateway

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/rpcx-go/rpcx/runtime/internal/frame"
)

// FuzzSniff: the first bytes mean one thing at most, are decided on as they come
// and never taken back, and 24 of them suffice. What net/http reads as a request
// is HTTP to us, too.
func FuzzSniff(f *testing.F) {
	for _, s := range []string{
		"", "GET / HTTP/1.1\r\n", "POST /x/Y HTTP/1.1\r\nHost: x\r\n\r\n", "OPTIONS * HTTP/1.1\r\n", "get / HTTP/1.1\r\n", " GET /",
		http2Preface, http2Preface[:23], "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "PRI /x HTTP/1.1\r\n", "PRIZE / HTTP/1.1\r\n",
		frame.Preface, "\x16\x03\x01\x02\x00\x01\x00", "\x00\x00\x12\x04", "AVERYLONGMETHODNAME / HTTP/1.1\r\n", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := needMore
		for n := range min(len(b), 64) + 1 {
			got := sniff(b[:n])
			if before != needMore && got != before {
				t.Fatalf("%q: %v, and %v one byte earlier", b[:n], got, before)
			}
			if got == needMore && n >= sniffLength {
				t.Fatalf("%q: undecided", b[:n])
			}
			if native := frame.Sniff(b[:n]) != frame.NotNative; native && n > 0 && got != notHTTP {
				t.Fatalf("%q may be the native protocol and HTTP: %v", b[:n], got)
			}
			before = got
		}
		if len(b) >= sniffLength {
			if got, want := before, stated(string(b)); got != want {
				t.Fatalf("%q: %v, want %v", b, got, want)
			}
		}
		if req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b))); err == nil && before == notHTTP && usual(req.Method) {
			t.Fatalf("%q is a request", b)
		}
	})
}

// stated is the rule for complete beginnings.
func stated(b string) verdict {
	if strings.HasPrefix(b, http2Preface) {
		return http2
	}
	method, _, ok := strings.Cut(b[:longestMethod+1], " ")
	if ok && method != "PRI" && usual(method) {
		return http1
	}
	return notHTTP
}

// usual reports whether method is one that we take for one.
func usual(method string) bool {
	return method != "" && method != "PRI" && len(method) <= longestMethod && strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}
