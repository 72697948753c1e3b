package wire

import (
	"encoding/binary"
	"unicode/utf8"
	"unsafe"
)

// PutText puts a string that must be UTF-8, with its length.
func PutText(b []byte, i int, s string) int {
	n := len(s)
	src, dst := unsafe.Slice(unsafe.StringData(s), n), b[i-n:i]
	// What is short is copied and looked at in the same loads.
	var seen uint64
	switch {
	case n > 32:
		if !utf8.ValidString(s) {
			panic(invalidText)
		}
		copy(dst, src)
	case n >= 8:
		head, tail := load64(src), load64(src[n-8:])
		seen = head | tail
		if n > 16 {
			second, third := load64(src[8:]), load64(src[n-16:])
			seen |= second | third
			binary.LittleEndian.PutUint64(dst[8:], second)
			binary.LittleEndian.PutUint64(dst[n-16:], third)
		}
		binary.LittleEndian.PutUint64(dst, head)
		binary.LittleEndian.PutUint64(dst[n-8:], tail)
	case n >= 4:
		head, tail := binary.LittleEndian.Uint32(src), binary.LittleEndian.Uint32(src[n-4:])
		seen = uint64(head | tail)
		binary.LittleEndian.PutUint32(dst, head)
		binary.LittleEndian.PutUint32(dst[n-4:], tail)
	default:
		for k, c := range src {
			seen |= uint64(c)
			dst[k] = c
		}
	}
	if seen&msbs != 0 && !utf8.ValidString(s) {
		panic(invalidText)
	}
	return PutVarint(b, i-n, uint64(n))
}

// PutString puts a string, with its length.
func PutString(b []byte, i int, s string) int {
	i -= len(s)
	copy(b[i:], s)
	return PutVarint(b, i, uint64(len(s)))
}

// PutBytes puts bytes, with their length.
func PutBytes(b []byte, i int, s []byte) int {
	i -= len(s)
	copy(b[i:], s)
	return PutVarint(b, i, uint64(len(s)))
}

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
	if len(s) < p.alias || len(s) == 0 {
		return string(s), i
	}
	return unsafe.String(unsafe.SliceData(s), len(s)), i
}

// String parses a string.
func (p Parser) String(b []byte, i int) (string, int) {
	s, i := chunk(b, i)
	if len(s) < p.alias || len(s) == 0 {
		return string(s), i
	}
	return unsafe.String(unsafe.SliceData(s), len(s)), i
}

// Bytes parses bytes. They are never nil, for presence.
func (p Parser) Bytes(b []byte, i int) ([]byte, int) {
	s, i := chunk(b, i)
	if len(s) < p.alias || len(s) == 0 {
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
		return utf8.ValidString(s)
	case n > 16:
		seen = load64(b) | load64(b[8:]) | load64(b[n-16:]) | load64(b[n-8:])
	case n >= 8:
		seen = load64(b) | load64(b[n-8:])
	case n >= 4:
		seen = uint64(binary.LittleEndian.Uint32(b) | binary.LittleEndian.Uint32(b[n-4:]))
	default:
		for _, c := range b {
			seen |= uint64(c)
		}
	}
	return seen&msbs == 0 || utf8.ValidString(s)
}

func load64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }
