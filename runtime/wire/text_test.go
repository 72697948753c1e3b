package wire

import (
	"strings"
	"testing"
	"unicode/utf8"
)

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
				buf := make([]byte, n+5)
				b := NewBuffer(buf, 0).Text(s)
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
