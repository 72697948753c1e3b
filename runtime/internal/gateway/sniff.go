package gateway

import "strings"

// verdict is what the first bytes of a connection say.
type verdict uint8

const (
	needMore verdict = iota // they may become HTTP; read on
	http1                   // a request line begins
	http2                   // the preface of HTTP/2
	notHTTP                 // anything else
)

// String returns the verdict for logs and observers.
func (v verdict) String() string {
	return [...]string{"need more", "http/1.1", "h2", "not HTTP"}[v]
}

const (
	// http2Preface is what a client of HTTP/2 sends first.
	http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	// sniffLength is how many bytes decide at most.
	sniffLength = len(http2Preface)
	// longestMethod is the longest name of a method that is taken for one.
	longestMethod = 16
)

// sniff judges the first bytes of a connection, as early as they allow. A request
// line begins with a method in capital letters and a space. HTTP/2 begins like a
// request with the method PRI, which HTTP/1.1 has not.
func sniff(b []byte) verdict {
	if n := min(len(b), sniffLength); string(b[:n]) == http2Preface[:n] {
		if n == sniffLength {
			return http2
		}
		return needMore
	}
	method, _, spaced := strings.Cut(string(b[:min(len(b), longestMethod+1)]), " ")
	for _, c := range []byte(method) {
		if c < 'A' || c > 'Z' {
			return notHTTP
		}
	}
	switch {
	case spaced && method != "" && method != "PRI":
		return http1
	case spaced || len(b) > longestMethod:
		return notHTTP
	}
	return needMore
}
