package wire

import (
	"encoding/binary"
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

// Text parses a string that must be UTF-8.
func (p Parser) Text(b []byte, i int) (string, int) {
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

// validText reports whether s is UTF-8. Most text is short and ASCII, which is
// found out 8 bytes at a time; the last load overlaps the one before.
func validText(s string) bool {
	b := unsafe.Slice(unsafe.StringData(s), len(s))
	var seen uint64
	switch n := len(b); {
	case n > 32:
		return validLong(s)
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
	return seen&msbs == 0 || utf8.ValidString(s)
}

// validLong is validText for more than 32 bytes.
func validLong(s string) bool {
	return len(s) >= 64 && asciiBlocks(unsafe.StringData(s), len(s)) || utf8.ValidString(s)
}

func load64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

func load32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
