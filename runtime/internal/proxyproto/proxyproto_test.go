package proxyproto

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/rpcx-go/rpcx/runtime/internal/leaktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(leaktest.Buffers(m)) }

func tcp(s string) net.Addr  { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s)) }
func unix(s string) net.Addr { return &net.UnixAddr{Name: s, Net: "unix"} }

// wellFormed are headers and what they say.
var wellFormed = map[string]struct {
	text string
	want Header
}{
	"v1 TCP4":         {"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n", Header{1, tcp("192.0.2.1:56324"), tcp("198.51.100.7:443")}},
	"v1 shortest":     {"PROXY TCP6 :: :: 0 0\r\n", Header{1, tcp("[::]:0"), tcp("[::]:0")}},
	"v1 longest":      {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe 65535 65535\r\n", Header{1, tcp("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"), tcp("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe]:65535")}},
	"v1 mapped":       {"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", Header{1, tcp("[::ffff:192.0.2.1]:1"), tcp("[::1]:2")}},
	"v1 UNKNOWN":      {"PROXY UNKNOWN\r\n", Header{Version: 1}},
	"v1 UNKNOWN long": {"PROXY UNKNOWN " + strings.Repeat("x", MaxV1-16) + "\r\n", Header{Version: 1}},
	"v2 TCP4": {beginV2 + "\x21\x11\x00\x0c" + "\xc0\x00\x02\x01" + "\xc6\x33\x64\x07" + "\xdc\x04" + "\x01\xbb",
		Header{2, tcp("192.0.2.1:56324"), tcp("198.51.100.7:443")}},
	"v2 TCP6": {string(appendV2(nil, Header{2, tcp("[2001:db8::1]:1"), tcp("[2001:db8::2]:2")})),
		Header{2, tcp("[2001:db8::1]:1"), tcp("[2001:db8::2]:2")}},
	"v2 Unix": {string(appendV2(nil, Header{2, unix("/run/a"), unix("/run/b")})), Header{2, unix("/run/a"), unix("/run/b")}},
	"v2 TLVs": {string(appendV2(nil, Header{2, tcp("192.0.2.1:1"), tcp("192.0.2.2:2")}, tlv{0x02, []byte("example.com")}, tlv{0x04, nil})),
		Header{2, tcp("192.0.2.1:1"), tcp("192.0.2.2:2")}},
	"v2 checksum": {string(appendV2(nil, Header{2, tcp("192.0.2.1:1"), tcp("192.0.2.2:2")}, tlv{0x02, []byte("x")}, sum, tlv{0x30, []byte("y")})),
		Header{2, tcp("192.0.2.1:1"), tcp("192.0.2.2:2")}},
	"v2 largest": {string(appendV2(nil, Header{2, tcp("192.0.2.1:1"), tcp("192.0.2.2:2")}, tlv{0x04, make([]byte, 2048-12-3)})),
		Header{2, tcp("192.0.2.1:1"), tcp("192.0.2.2:2")}},
	"v2 LOCAL":       {beginV2 + "\x20\x00\x00\x00", Header{Version: 2}},
	"v2 LOCAL with":  {beginV2 + "\x20\xff\x00\x03abc", Header{Version: 2}},
	"v2 unspecified": {beginV2 + "\x21\x00\x00\x02ab", Header{Version: 2}},
}

func TestWellFormed(t *testing.T) {
	const next = "\xfbRPX\r\n\x1a\x01 and what follows"
	for name, test := range wellFormed {
		t.Run(name, func(t *testing.T) {
			h, size, err := Parse([]byte(test.text + next))
			if err != nil || size != len(test.text) || !cmp.Equal(h, test.want) {
				t.Errorf("got size %d, error %v, header %s", size, err, cmp.Diff(test.want, h))
			}
			for way, wrap := range map[string]func(io.Reader) io.Reader{
				"at once": func(r io.Reader) io.Reader { return r }, "one by one": iotest.OneByteReader, "halves": iotest.HalfReader,
			} {
				r := strings.NewReader(test.text + next)
				h, err := Read(wrap(r))
				if err != nil || !cmp.Equal(h, test.want) {
					t.Errorf("%s: error %v, header %s", way, err, cmp.Diff(test.want, h))
				}
				if rest, _ := io.ReadAll(r); string(rest) != next {
					t.Errorf("%s: %q was left, want %q", way, rest, next)
				}
			}
			for n := range len(test.text) {
				_, size, err := Parse([]byte(test.text[:n]))
				if err != nil || size <= n || size > len(test.text) {
					t.Fatalf("after %d of %d bytes: size %d, error %v", n, len(test.text), size, err)
				}
				if _, err := Read(strings.NewReader(test.text[:n])); n > 0 && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("cut after %d bytes: got %v", n, err)
				}
			}
		})
	}
}

func TestMalformed(t *testing.T) {
	addresses := Header{2, tcp("192.0.2.1:1"), tcp("192.0.2.2:2")}
	damaged := appendV2(nil, addresses, sum, tlv{0x30, []byte("y")})
	damaged[minV2] ^= 1
	for name, test := range map[string]struct{ text, want string }{
		"native":           {"\xfbRPX\r\n\x1a\x01", "no PROXY header: the connection begins with \"\\xfbRPX"},
		"TLS":              {"\x16\x03\x01\x02\x00", "no PROXY header"},
		"HTTP":             {"PUT / HTTP/1.1", "no PROXY header"},
		"almost v2":        {"\r\n\r\n\x00\r\nQUIT\r", "no PROXY header"},
		"v1 protocol":      {"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", "unknown protocol"},
		"v1 case":          {"PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n", "unknown protocol"},
		"v1 UNKNOWNs":      {"PROXY UNKNOWNS and so on\r\n", "unknown protocol"},
		"v1 family":        {"PROXY TCP4 ::1 ::1 1 2\r\n", "bad address"},
		"v1 family 6":      {"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", "bad address"},
		"v1 zone":          {"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", "bad address"},
		"v1 zeros":         {"PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n", "bad address"},
		"v1 port":          {"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n", "bad address or port"},
		"v1 port zeros":    {"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", "bad address or port"},
		"v1 port sign":     {"PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n", "bad address or port"},
		"v1 few fields":    {"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", "5 fields"},
		"v1 many fields":   {"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", "more than 6 fields"},
		"v1 two spaces":    {"PROXY TCP4  192.0.2.1 192.0.2.2 1\r\n", "bad address"},
		"v1 line feed":     {"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n", "line feed"},
		"v1 return":        {"PROXY TCP4 192.0.2.1 192.0.2.2\r 1 2\r\n", "a line end in the middle"},
		"v1 too long":      {"PROXY UNKNOWN " + strings.Repeat("x", MaxV1-15) + "\r\n", "more than 107 bytes"},
		"v1 without end":   {"PROXY TCP4 " + strings.Repeat("1", 200), "more than 107 bytes"},
		"v2 version":       {beginV2 + "\x31\x11\x00\x00", "version 3"},
		"v2 command":       {beginV2 + "\x22\x11\x00\x00", "command 2"},
		"v2 too large":     {beginV2 + "\x21\x11\x08\x01", "2065 bytes, more than 2064"},
		"v2 datagrams":     {beginV2 + "\x21\x12\x00\x0c" + strings.Repeat("a", 12), "transport 0x12"},
		"v2 family":        {beginV2 + "\x21\x41\x00\x0c" + strings.Repeat("a", 12), "transport 0x41"},
		"v2 short":         {beginV2 + "\x21\x11\x00\x0b" + strings.Repeat("a", 11), "11 bytes for addresses of 12"},
		"v2 TLV cut":       {beginV2 + "\x21\x11\x00\x0e" + strings.Repeat("a", 14), "2 bytes after the last TLV"},
		"v2 TLV too long":  {beginV2 + "\x21\x11\x00\x0f" + strings.Repeat("a", 12) + "\x04\x00\x01", "TLV 0x04 goes 1 bytes beyond"},
		"v2 checksum":      {string(damaged), "its checksum is"},
		"v2 checksum size": {string(appendV2(nil, addresses, tlv{tlvCRC32C, make([]byte, 5)})), "bad checksum TLV"},
		"v2 two checksums": {string(appendV2(nil, addresses, sum, sum)), "checksum"},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := Read(strings.NewReader(test.text))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, error %v, want an error with %q", h, err, test.want)
			}
			if strings.HasPrefix(test.want, "no PROXY") != errors.Is(err, ErrNoHeader) {
				t.Errorf("errors.Is(%v, ErrNoHeader) is %v", err, errors.Is(err, ErrNoHeader))
			}
		})
	}
	if _, err := Read(strings.NewReader("")); err != io.EOF {
		t.Errorf("of nothing: got %v, want EOF", err)
	}
	broken := errors.New("broken")
	if _, err := Read(io.MultiReader(strings.NewReader("PROXY"), iotest.ErrReader(broken))); err != broken {
		t.Errorf("got %v, want the reader's error", err)
	}
}

// FuzzRead: reading never panics, takes nothing from what follows the header,
// and does not depend on how the bytes arrive; what was read can be written and
// read again.
func FuzzRead(f *testing.F) {
	for _, test := range wellFormed {
		f.Add([]byte(test.text))
	}
	f.Add([]byte("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n"))
	f.Add([]byte(beginV2 + "\x21\x11\x00\x0e" + strings.Repeat("a", 14)))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		h, err := Read(r)
		taken := len(b) - r.Len()
		if taken > MaxV2 {
			t.Fatalf("%d bytes were read", taken)
		}
		slow := bytes.NewReader(b)
		h2, err2 := Read(iotest.OneByteReader(slow))
		if (err == nil) != (err2 == nil) || !cmp.Equal(h, h2) || err == nil && slow.Len() != r.Len() {
			t.Fatalf("at once: %v, %v; one by one: %v, %v", h, err, h2, err2)
		}
		if err != nil {
			return
		}
		if h3, size, err := Parse(b); err != nil || size != taken || !cmp.Equal(h, h3) {
			t.Fatalf("Parse gives %v, size %d, error %v; Read %v, %d bytes", h3, size, err, h, taken)
		}
		// Nothing shorter is a header: no byte was read that may not be part of one.
		for n := range taken {
			if _, size, err := Parse(b[:n]); err != nil || size <= n || size > taken {
				t.Fatalf("after %d of %d bytes: size %d, error %v", n, taken, size, err)
			}
		}
		again := appendV2(nil, h, sum)
		if h.Version == 1 {
			again = appendV1(nil, h)
		}
		if got, err := Read(bytes.NewReader(again)); err != nil || !cmp.Equal(got, h) {
			t.Fatalf("%q again: %v, error %v", again, got, err)
		}
	})
}
