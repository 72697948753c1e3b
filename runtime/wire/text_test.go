package wire

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// TestValidUTF8 compares characters of all kinds of bytes, and what is none, with
// unicode/utf8.
func TestValidUTF8(t *testing.T) {
	bytes := []byte{
		0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1,
		0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf7, 0xf8, 0xff,
	}
	n := len(bytes)
	for k := range n * n * n * n {
		b := []byte("abcdefg")
		copy(b[1:], []byte{bytes[k%n], bytes[k/n%n], bytes[k/n/n%n], bytes[k/n/n/n]})
		for _, b := range [][]byte{b, append(b, "hijklmnopqrstuvw"...)} {
			if got := validUTF8(b); got != utf8.Valid(b) {
				t.Fatalf("%q: %v", b, got)
			}
		}
	}
}

// TestValidText puts something that is not ASCII, and something that is not
// UTF-8, at every place of texts of every length.
func TestValidText(t *testing.T) {
	for n := range 300 {
		plain := strings.Repeat("a", n)
		if !validText(plain) {
			t.Fatalf("%d bytes of ASCII are refused", n)
		}
		for at := range n {
			for _, piece := range []string{"\x80", "é", "\xe6\x9d"} {
				if at+len(piece) > n {
					continue
				}
				s := plain[:at] + piece + plain[at+len(piece):]
				if got := validText(s); got != utf8.ValidString(s) {
					t.Fatalf("%q at %d of %d bytes: %v", piece, at, n, got)
				}
				// What is behind the buffer belongs to others.
				buf, others := make([]byte, n+5, n+69), strings.Repeat("o", 64)
				copy(buf[n+5:n+69], others)
				b := NewBuffer(buf, 0).Text(s)
				if got := string(buf[n+5 : n+69]); got != others {
					t.Fatalf("%d bytes are put, and %q is behind them", n, got)
				}
				if got := b.mode&badText == 0; got != utf8.ValidString(s) {
					t.Fatalf("put %q at %d of %d bytes: %v", piece, at, n, got)
				}
				if got := string(buf[len(buf)-n:]); got != s {
					t.Fatalf("put %q, want %q", got, s)
				}
			}
		}
	}
}
