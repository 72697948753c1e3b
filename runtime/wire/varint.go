package wire

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// Integer is what a varint may be parsed into; enums are int32.
type Integer interface {
	~int32 | ~int64 | ~uint32 | ~uint64
}

// SizeVarint returns the bytes of v as a varint.
func SizeVarint(v uint64) int { return int((9*uint(bits.Len64(v)) + 64) >> 6) }

// SizeSint returns the bytes of v as a zigzag varint.
func SizeSint(v int64) int { return SizeVarint(zigzag(v)) }

// SizeLen returns the bytes of a value of n bytes with its length before it.
func SizeLen(n int) int { return n + SizeVarint(uint64(n)) }

func zigzag(v int64) uint64 { return uint64(v<<1) ^ uint64(v>>63) }

func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

// Varint parses a varint. Those that are not near the end of b, which most are,
// are taken from one load of 8 bytes.
func Varint(b []byte, i int) (uint64, int) {
	if uint(i) < uint(len(b)) && b[i] < 0x80 {
		return uint64(b[i]), i + 1
	}
	return longVarint(b, i)
}

// longVarint is Varint for more than one byte.
func longVarint(b []byte, i int) (uint64, int) {
	if len(b)-i >= 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		if x&0x8000 == 0 {
			return x&0x7f | x>>1&0x3f80, i + 2
		}
		if stop := ^x & msbs; stop != 0 {
			x &= stop ^ (stop - 1)
			return squeeze(x), i + (bits.TrailingZeros64(stop)+1)/8
		}
	}
	return varintSlow(b, i)
}

// msbs has the continuation bit of each byte of a varint.
const msbs = 0x8080808080808080

// squeeze drops the continuation bits of the up to 8 bytes of a varint.
func squeeze(x uint64) uint64 {
	x &^= msbs
	x = x&0x007f007f007f007f | x>>1&0x3f803f803f803f80
	x = x&0x00003fff00003fff | x>>2&0x0fffc0000fffc000
	return x&0x000000000fffffff | x>>4&0x00fffffff0000000
}

func varintSlow(b []byte, i int) (uint64, int) {
	var v uint64
	for shift := 0; ; shift += 7 {
		if i >= len(b) {
			return 0, truncated
		}
		c := b[i]
		i++
		if shift == 63 && c > 1 {
			return 0, overflow
		}
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v, i
		}
	}
}

// Int parses an integer or an enum.
func Int[T Integer](b []byte, i int) (T, int) {
	v, i := Varint(b, i)
	return T(v), i
}

// Int32 parses an integer.
func Int32(b []byte, i int) (int32, int) {
	v, i := Varint(b, i)
	return int32(v), i
}

// Int64 parses an integer.
func Int64(b []byte, i int) (int64, int) {
	v, i := Varint(b, i)
	return int64(v), i
}

// Uint32 parses an integer.
func Uint32(b []byte, i int) (uint32, int) {
	v, i := Varint(b, i)
	return uint32(v), i
}

// Sint32 parses a zigzag integer.
func Sint32(b []byte, i int) (int32, int) {
	v, i := Varint(b, i)
	return int32(unzigzag(v & math.MaxUint32)), i
}

// Sint64 parses a zigzag integer.
func Sint64(b []byte, i int) (int64, int) {
	v, i := Varint(b, i)
	return unzigzag(v), i
}

// Bool parses a bool.
func Bool(b []byte, i int) (bool, int) {
	v, i := Varint(b, i)
	return v != 0, i
}

// Ptr returns a pointer to what was parsed, for fields with presence.
func Ptr[T any](v T, i int) (*T, int) { return &v, i }
