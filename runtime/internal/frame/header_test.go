package frame

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

// randomHeader returns a header whose fields are within what the layout can
// hold, whatever they mean together.
func randomHeader(r *rand.Rand) Header {
	return Header{
		Length: r.Uint32() & 0xffffff, Type: Type(r.Uint32()), Flags: Flags(r.Uint32()),
		Codec: uint8(r.Uint32()) & 15, Compression: uint8(r.Uint32()) & 15, Class: Class(r.Uint32()),
		ID: StreamID(r.Uint64()), Arg: r.Uint32(), Code: uint16(r.Uint32()),
	}
}

func TestHeaderRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 10000 {
		h := randomHeader(r)
		b := h.Append(nil)
		if err := h.againstBits(b); err != nil {
			t.Fatal(err)
		}
		got, err := ParseHeader(b)
		if err != nil || got != h {
			t.Fatalf("wrote %v, read %v, %v", &h, &got, err)
		}
	}
}

func TestHeaderEveryBitFlipped(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		h := randomHeader(r)
		b := h.Append(nil)
		for bit := range HeaderSize * 8 {
			b[bit/8] ^= 1 << (bit % 8)
			_, err := ParseHeader(b)
			if e, ok := errors.AsType[*Error](err); !ok || e.Code != ProtocolError {
				t.Fatalf("bit %d of %v flipped: error %v", bit, &h, err)
			}
			b[bit/8] ^= 1 << (bit % 8)
		}
	}
}

// TestAlike: a header that differs in nothing but length is told from all others,
// damaged ones included.
func TestAlike(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 1000 {
		h := randomHeader(r)
		like := h.Append(nil)
		h.Length = r.Uint32() & 0xffffff
		b := h.Append(nil)
		if n, ok := Alike(like, b); n != int(h.Length) || !ok {
			t.Fatalf("% x and % x: length %d, alike %v", like, b, n, ok)
		}
		for range 50 {
			bits := 1 + r.IntN(2)
			other := append([]byte(nil), b...)
			for range bits {
				bit := r.IntN(HeaderSize * 8)
				other[bit/8] ^= 1 << (bit % 8)
			}
			got, err := ParseHeader(other)
			n, ok := Alike(like, other)
			got.Length, h.Length = 0, 0
			if want := err == nil && got == h; ok != want {
				t.Fatalf("% x and % x: alike is %v, want %v (length %d, %v)", like, other, ok, want, n, err)
			}
		}
	}
}

func TestPutWritesHeaderOnly(t *testing.T) {
	b := []byte(strings.Repeat("\xaa", HeaderSize+8))
	h := Header{Type: TypePing, Length: pingSize}
	h.Put(b)
	if got := string(b[HeaderSize:]); got != strings.Repeat("\xaa", 8) {
		t.Errorf("bytes behind the header are % x", got)
	}
}

func TestHeaderString(t *testing.T) {
	h := Header{Type: TypePing, Flags: FlagAck | FlagChecksum, Length: 8}
	const want = "PING id=0 flags=ACK|CHECKSUM length=8 format=0/0 class=0x00 arg=0 code=0"
	if got := h.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestValidateLimit(t *testing.T) {
	h := Header{Type: TypeData, Flags: FlagMessage, ID: 1, Length: 70000}
	if err := h.Validate(70000); err != nil {
		t.Error(err)
	}
	err := h.Validate(69999)
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Code != FrameSizeError || !strings.Contains(e.Reason, "70000") || !strings.Contains(e.Reason, "69999") {
		t.Errorf("error %v must be FRAME_SIZE with value and limit", err)
	}
}

func TestTypeNames(t *testing.T) {
	for typ, want := range map[Type]string{TypeSettings: "SETTINGS", TypeCancel: "CANCEL", 0: "type 0x00", 0x93: "type 0x93"} {
		if got := typ.String(); got != want {
			t.Errorf("type %d is %q, want %q", uint8(typ), got, want)
		}
	}
	if TypeOpen.Ignorable() || !Type(0x80).Ignorable() {
		t.Error("ignorable is bit 0x80")
	}
	if got := ErrorCode(99).String(); got != "code 99" {
		t.Errorf("unknown error code is %q", got)
	}
}

func TestClass(t *testing.T) {
	for p := range uint8(8) {
		for l := range uint8(8) {
			for a := range uint8(6) {
				c := MakeClass(p, l, a)
				if c.Priority() != p || c.Lane() != l || c.Attempt() != min(a, MaxAttempt) {
					t.Fatalf("MakeClass(%d, %d, %d) reads %d, %d, %d", p, l, a, c.Priority(), c.Lane(), c.Attempt())
				}
			}
		}
	}
}

func TestHeaderDoesNotAllocate(t *testing.T) {
	h := Header{Type: TypeOpen, Flags: FlagMessage | FlagHalfClose, ID: 1, Code: 1, Length: 128}
	buf := make([]byte, HeaderSize)
	n := testing.AllocsPerRun(100, func() {
		h.Put(buf)
		got, err := ParseHeader(buf)
		if err != nil || got.Validate(64<<10) != nil {
			t.Fatal("refused")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
