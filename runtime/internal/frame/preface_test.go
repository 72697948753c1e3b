package frame

import (
	"strings"
	"testing"
)

// FuzzSniff: the verdict on the first bytes is what the document says, it comes
// with the first byte that decides, and no later byte changes it.
func FuzzSniff(f *testing.F) {
	for n := range PrefaceSize + 1 {
		f.Add([]byte(Preface[:n]))
	}
	for _, other := range []string{
		"\xfbRPX\r\n\x1a\x02", "\xfbRPX\n\x1a\x01", "\xfbRPX\r\n\x1a\x00and more", Preface + Preface, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"GET / HTTP/1.1\r\n", "\x16\x03\x01\x02\x00\x01", "PROXY TCP4 192.0.2.1", "\r\n\r\n\x00\r\nQUIT\n", "\xfb", "\xef\xbb\xbf",
	} {
		f.Add([]byte(other))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		b = b[:min(len(b), 64)]
		before := NeedMore
		for n := range len(b) + 1 {
			got, want := Sniff(b[:n]), sniffed(string(b[:n]))
			if got != want {
				t.Fatalf("% x: %v, want %v", b[:n], got, want)
			}
			if before != NeedMore && got != before {
				t.Fatalf("% x: %v, and %v one byte earlier", b[:n], got, before)
			}
			if n >= PrefaceSize && got == NeedMore {
				t.Fatalf("% x: undecided after %d bytes", b[:n], n)
			}
			before = got
		}
	})
}

// sniffed states the rules of section 3.2 without regard to speed.
func sniffed(b string) Verdict {
	const same = "\xfb\x52\x50\x58\x0d\x0a\x1a"
	switch {
	case strings.HasPrefix(same, b):
		return NeedMore
	case !strings.HasPrefix(b, same):
		return NotNative
	case b[len(same)] == 1:
		return Native
	}
	return NativeOtherVersion
}
