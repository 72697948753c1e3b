// Package proxyproto reads PROXY protocol headers, versions 1 and 2: what a
// proxy says at the beginning of a connection about who connected to it. See
// https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt.
package proxyproto

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
)

// The largest headers that are read, in bytes.
const (
	MaxV1 = 107       // as the specification says
	MaxV2 = 16 + 2048 // the specification allows 64 KiB
)

// The least that a header of each version has.
const (
	minV1 = len("PROXY UNKNOWN\r\n")
	minV2 = 16
)

const (
	beginV1 = "PROXY "
	beginV2 = "\r\n\r\n\x00\r\nQUIT\n"
)

// ErrNoHeader is wrapped by the errors of connections that do not begin like a
// PROXY header.
var ErrNoHeader = errors.New("no PROXY header")

// Header is what a PROXY header says. The addresses are *net.TCPAddr or
// *net.UnixAddr. They are nil if it says nothing of them, because the proxy does
// not know or speaks for itself; then the connection's own addresses count.
type Header struct {
	Version     int      // 1 or 2
	Source      net.Addr // who connected to the proxy
	Destination net.Addr // where to
}

// Parse parses the header that b begins with. If size ≤ len(b) the header is
// whole and size is its length. Otherwise h means nothing, and the header has at
// least size bytes, so that reading up to there takes nothing from what follows it.
func Parse(b []byte) (h Header, size int, err error) {
	switch {
	case hasBegin(b, beginV2) && len(b) > 0:
		return parseV2(b)
	case hasBegin(b, beginV1):
		return parseV1(b)
	}
	return Header{}, 0, fmt.Errorf("%w: the connection begins with %q", ErrNoHeader, b[:min(len(b), minV2)])
}

// hasBegin reports whether b begins with begin, as far as it goes.
func hasBegin(b []byte, begin string) bool {
	n := min(len(b), len(begin))
	return string(b[:n]) == begin[:n]
}

// Read reads the header that r begins with and not a byte more.
func Read(r io.Reader) (Header, error) {
	b := make([]byte, 0, 256)
	for {
		h, size, err := Parse(b)
		if err != nil || size <= len(b) {
			return h, err
		}
		if size > cap(b) {
			b = append(make([]byte, 0, size), b...)
		}
		n, err := r.Read(b[len(b):size])
		if b = b[:len(b)+n]; n > 0 {
			continue // the error comes again
		}
		switch {
		case err == io.EOF && len(b) > 0:
			return Header{}, fmt.Errorf("the PROXY header ends after %d bytes: %w", len(b), io.ErrUnexpectedEOF)
		case err != nil:
			return Header{}, err
		}
	}
}

// malformed is the error of a header that breaks the rules.
func malformed(format string, args ...any) error {
	return fmt.Errorf("PROXY header: "+format, args...)
}

// quote shortens text of the peer's for an error.
func quote(s string) string { return fmt.Sprintf("%q", s[:min(len(s), 40)]) }

// lacks returns how many bytes a line of version 1 lacks at least. line has no
// line end yet; fields is how many it needs, 0 if any number will do.
func lacks(line string, fields int) int {
	n := len("\r\n")
	if strings.HasSuffix(line, "\r") {
		return n - 1
	}
	if fields > 0 {
		n += (fields - 1 - strings.Count(line, " ")) * len(" x")
		if strings.HasSuffix(line, " ") {
			n++
		}
	}
	return max(n, 2)
}
