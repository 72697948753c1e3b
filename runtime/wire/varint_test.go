package wire

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// FuzzVarint compares the parsing of varints with that of protowire, alone and
// in lists.
func FuzzVarint(f *testing.F) {
	for _, b := range [][]byte{{}, {0}, {0x7f}, {0x80, 1}, {0x80, 0}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2}, {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0}} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		want, size := protowire.ConsumeVarint(b)
		got, i := Varint(b, 0)
		if (size < 0) != (i < 0) || size >= 0 && (got != want || i != size) {
			t.Fatalf("got %d, %d, want %d, %d", got, i, want, size)
		}
		var list []uint64
		size = 0
		for rest := b; size >= 0 && len(rest) > 0; {
			if want, size = protowire.ConsumeVarint(rest); size >= 0 {
				list, rest = append(list, want), rest[size:]
			}
		}
		packed, i := PackedInt[uint64](nil, protowire.AppendBytes(nil, b), 0)
		if (size < 0) != (i < 0) || size >= 0 && !slices.Equal(packed, list) {
			t.Fatalf("packed: got %d, %d, want %d, %d", packed, i, list, size)
		}
	})
}

// TestVarints puts and parses numbers of every length.
func TestVarints(t *testing.T) {
	var list []uint64
	for bits := range 65 {
		v := uint64(1)<<bits - 1
		list = append(list, v, v+1, rand.Uint64()>>(64-min(bits, 63)))
	}
	var want []byte
	for _, v := range list {
		one := protowire.AppendVarint(nil, v)
		if SizeVarint(v) != len(one) {
			t.Errorf("the size of %d is %d, want %d", v, SizeVarint(v), len(one))
		}
		want = append(want, one...)
	}
	if got := SizePackedInt(list); got != len(want) {
		t.Errorf("the list's size is %d, want %d", got, len(want))
	}
	want = protowire.AppendBytes(nil, want)
	buf := make([]byte, len(want))
	if left := PutPackedInt(NewBuffer(buf, 0), list).Left(); left != 0 || !bytes.Equal(buf, want) {
		t.Errorf("put %x with %d bytes left, want %x", buf, left, want)
	}
	if got, i := PackedInt[uint64](nil, buf, 0); i != len(buf) || !slices.Equal(got, list) {
		t.Errorf("parsed %d up to %d, want %d", got, i, list)
	}
	var signed []int64
	for _, v := range list {
		signed = append(signed, int64(v))
	}
	buf = make([]byte, SizeLen(SizePackedSint(signed)))
	if left := PutPackedSint(NewBuffer(buf, 0), signed).Left(); left != 0 {
		t.Errorf("%d bytes left", left)
	}
	if got, i := PackedSint[int64](nil, buf, 0); i != len(buf) || !slices.Equal(got, signed) {
		t.Errorf("parsed %d up to %d, want %d", got, i, signed)
	}
}

// TestNoRoom: without room nothing is written, and what is missing is counted.
func TestNoRoom(t *testing.T) {
	put := func(b Buffer) Buffer {
		end := b
		b = b.Text("some text that is longer than 32 bytes, to be sure").Tag(0x0a).Text("short").Tag(0x12)
		b = b.Fixed64(1).Tag(0x19).Fixed32(2).Tag(0x25).Varint(1 << 40).LongTag(0x880)
		b = PutPackedFixed(b, []uint32{1, 2}).Tag(0x0a).Bytes([]byte("bytes")).Raw([]byte{8, 1})
		return PutPackedBool(b, []bool{true, false}).Bool(true).Sint(-1).Len(end)
	}
	whole := make([]byte, 1000)
	size := len(whole) - put(NewBuffer(whole, 0)).Left()
	for room := range size {
		buf := bytes.Repeat([]byte{0xee}, room+16)
		// The bytes behind and before the buffer are nobody's.
		if left := put(NewBuffer(buf[8:8+room], 0)).Left(); left != room-size {
			t.Fatalf("%d bytes of room: %d left, want %d", room, left, room-size)
		}
		if around := append(buf[:8:8], buf[8+room:]...); !bytes.Equal(around, bytes.Repeat([]byte{0xee}, 16)) {
			t.Fatalf("%d bytes of room: overwrote %x", room, around)
		}
	}
}
