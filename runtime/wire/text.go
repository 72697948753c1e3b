package wire

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
	"unsafe"
)

// chunk parses a length and returns as many bytes that follow.
func chunk(b []byte, i int) ([]byte, int) {
	if uint(i) >= uint(len(b)) {
		return nil, truncated
	}
	n := uint64(b[i])
	if i++; n >= 0x80 {
		if n, i = Varint(b, i-1); i < 0 {
			return nil, i
		}
	}
	if n > uint64(len(b)-i) {
		return nil, truncated
	}
	end := i + int(n)
	return b[i:end:end], end
}

// Text parses a string that must be UTF-8. Most text is short and ASCII, which is
// found out here, without a call.
func (p Parser) Text(b []byte, i int) (string, int) {
	if uint(i) < uint(len(b)) {
		n := int(b[i])
		start := i + 1
		if n <= 32 && n <= len(b)-start {
			s := b[start : start+n : start+n]
			if ascii32(s) {
				if p.short(n) {
					return string(s), start + n
				}
				return unsafe.String(unsafe.SliceData(s), n), start + n
			}
		}
	}
	return p.textSlow(b, i)
}

// textSlow is Text for all text.
func (p Parser) textSlow(b []byte, i int) (string, int) {
	s, i := chunk(b, i)
	if i < 0 {
		return "", i
	}
	if !validText(unsafe.String(unsafe.SliceData(s), len(s))) {
		return "", invalidUTF8
	}
	if p.short(len(s)) {
		return string(s), i
	}
	return unsafe.String(unsafe.SliceData(s), len(s)), i
}

// String parses a string.
func (p Parser) String(b []byte, i int) (string, int) {
	s, i := chunk(b, i)
	if p.short(len(s)) {
		return string(s), i
	}
	return unsafe.String(unsafe.SliceData(s), len(s)), i
}

// Bytes parses bytes. They are never nil, for presence.
func (p Parser) Bytes(b []byte, i int) ([]byte, int) {
	s, i := chunk(b, i)
	if p.short(len(s)) {
		return append(make([]byte, 0, len(s)), s...), i
	}
	return s, i
}

// validText reports whether s is UTF-8.
func validText(s string) bool {
	b := unsafe.Slice(unsafe.StringData(s), len(s))
	if len(b) <= 32 {
		return ascii32(b) || validUTF8(b)
	}
	return validLong(b)
}

// ascii32 reports whether b, of at most 32 bytes, is ASCII. It looks at 8 bytes at
// a time; loads overlap.
func ascii32(b []byte) bool {
	var seen uint64
	switch n := len(b); {
	case n > 16:
		seen = load64(b) | load64(b[8:]) | load64(b[n-16:]) | load64(b[n-8:])
	case n >= 8:
		seen = load64(b) | load64(b[n-8:])
	case n >= 4:
		seen = uint64(load32(b) | load32(b[n-4:]))
	default:
		for _, c := range b {
			seen |= uint64(c)
		}
	}
	return seen&msbs == 0
}

// validLong is validText for more than 32 bytes.
func validLong(b []byte) bool {
	return asciiBlocks(unsafe.SliceData(b), len(b)) || validUTF8(b)
}

// validUTF8 reports whether b is UTF-8. Unlike unicode/utf8, it takes 8 bytes of ASCII
// at a time behind the first character that is not ASCII, too.
func validUTF8(b []byte) bool {
	for len(b) >= 8 {
		stop := load64(b) & msbs
		if stop == 0 {
			b = b[8:]
			continue
		}
		b = b[bits.TrailingZeros64(stop)/8:]
		for len(b) >= 4 && b[0] >= 0x80 {
			n := sequence(load32(b))
			if n == 0 {
				return false
			}
			b = b[n:]
		}
	}
	return utf8.Valid(b)
}

// sequence returns how many bytes the character has that begins in the lowest byte of
// x and is not ASCII, or 0 if that is not UTF-8.
func sequence(x uint32) int {
	switch {
	case x&0xc0e0 == 0x80c0:
		// Without one of these bits it is ASCII.
		if x&0x1e != 0 {
			return 2
		}
	case x&0xc0c0f0 == 0x8080e0:
		// Without one of these bits two bytes were enough; with all it is a surrogate.
		if high := x & 0x200f; high != 0 && high != 0x200d {
			return 3
		}
	case x&0xc0c0c0f8 == 0x808080f0:
		// What stands above the lowest 16 bits.
		if plane := x&7<<2 | x>>12&3; plane >= 1 && plane <= 16 {
			return 4
		}
	}
	return 0
}

func load64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

func load32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
