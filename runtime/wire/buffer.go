package wire

import (
	"encoding/binary"
	"math"
	"unsafe"
)

// Buffer is where a message is put, from its end to its beginning. Each method
// puts something before what is there, and returns the buffer with that. If
// there is no room, nothing is written any more, and only counted. What goes wrong
// is noted, and looked at when all is put. A Buffer is a value of three words, which
// are passed in registers.
type Buffer struct {
	// start is the first byte of the memory that NewBuffer got. left is how many
	// bytes there are from there to what has been put; below 0, as many are
	// missing. It only ever becomes smaller and is looked at before each write,
	// so that none misses that memory.
	start unsafe.Pointer
	left  int
	mode  Mode
}

// NewBuffer returns a buffer that fills b from its end.
func NewBuffer(b []byte, mode Mode) Buffer {
	return Buffer{unsafe.Pointer(unsafe.SliceData(b)), len(b), mode}
}

// Left returns how many bytes are left, below 0 how many are missing.
func (b Buffer) Left() int { return b.left }

// Mode returns how messages are put.
func (b Buffer) Mode() Mode { return b.mode }

// Take puts n bytes that the caller fills, unless there is no room: then dst is
// empty.
func (b Buffer) Take(n int) (dst []byte, after Buffer) {
	b.left -= max(n, 0)
	if b.left < 0 || n <= 0 {
		return nil, b
	}
	return unsafe.Slice((*byte)(unsafe.Add(b.start, b.left)), n), b
}

// byte puts a byte.
func (b Buffer) byte(c byte) Buffer {
	b.left--
	if b.left >= 0 {
		*(*byte)(unsafe.Add(b.start, b.left)) = c
	}
	return b
}

// Tag puts a field's tag of one byte: number<<3 | wire type.
func (b Buffer) Tag(tag byte) Buffer { return b.byte(tag) }

// LongTag puts a field's tag of any length.
//
//go:noinline
func (b Buffer) LongTag(tag uint64) Buffer { return b.varint(tag) }

// Varint puts v as a varint.
//
//go:noinline
func (b Buffer) Varint(v uint64) Buffer { return b.varint(v) }

// varint is Varint in line.
func (b Buffer) varint(v uint64) Buffer {
	b.left -= SizeVarint(v)
	if b.left < 0 {
		return b
	}
	p := unsafe.Add(b.start, b.left)
	for v >= 0x80 {
		*(*byte)(p) = byte(v) | 0x80
		v >>= 7
		p = unsafe.Add(p, 1)
	}
	*(*byte)(p) = byte(v)
	return b
}

// Len puts the length of what was put since end.
func (b Buffer) Len(end Buffer) Buffer { return b.Varint(uint64(end.left - b.left)) }

// since is Len in line.
func (b Buffer) since(end Buffer) Buffer { return b.varint(uint64(end.left - b.left)) }

// Sint puts v as a zigzag varint.
func (b Buffer) Sint(v int64) Buffer { return b.Varint(zigzag(v)) }

// Bool puts v as a varint.
func (b Buffer) Bool(v bool) Buffer {
	var c byte
	if v {
		c = 1
	}
	return b.byte(c)
}

// Fixed32 puts 4 bytes.
func (b Buffer) Fixed32(v uint32) Buffer {
	b.left -= 4
	if b.left >= 0 {
		binary.LittleEndian.PutUint32((*[4]byte)(unsafe.Add(b.start, b.left))[:], v)
	}
	return b
}

// Fixed64 puts 8 bytes.
func (b Buffer) Fixed64(v uint64) Buffer {
	b.left -= 8
	if b.left >= 0 {
		binary.LittleEndian.PutUint64((*[8]byte)(unsafe.Add(b.start, b.left))[:], v)
	}
	return b
}

// Float puts 4 bytes.
func (b Buffer) Float(v float32) Buffer { return b.Fixed32(math.Float32bits(v)) }

// Double puts 8 bytes.
func (b Buffer) Double(v float64) Buffer { return b.Fixed64(math.Float64bits(v)) }

// Raw puts fields that have their tags.
func (b Buffer) Raw(fields []byte) Buffer {
	if len(fields) == 0 {
		return b
	}
	return b.raw(fields)
}

// raw is Raw for some bytes.
//
//go:noinline
func (b Buffer) raw(fields []byte) Buffer {
	dst, b := b.Take(len(fields))
	copy(dst, fields)
	return b
}

// Bytes puts bytes, with their length.
func (b Buffer) Bytes(s []byte) Buffer {
	dst, b := b.Take(len(s))
	copy(dst, s)
	return b.varint(uint64(len(s)))
}

// String puts a string, with its length.
func (b Buffer) String(s string) Buffer {
	dst, b := b.Take(len(s))
	copy(dst, s)
	return b.varint(uint64(len(s)))
}

// Text puts a string that must be UTF-8, with its length.
func (b Buffer) Text(s string) Buffer { return b.text(0, 0, s) }

// TextField puts a field with a string that must be UTF-8. Its tag is one byte.
func (b Buffer) TextField(tag byte, s string) Buffer { return b.text(tag, 1, s) }

// text puts a string that must be UTF-8, with its length, and a tag of so many bytes,
// 0 or 1. A short string is copied and looked at in the same loads.
func (b Buffer) text(tag byte, tagSize int, s string) Buffer {
	n := len(s)
	if n > 32 {
		return b.longText(tag, tagSize, s)
	}
	b.left -= n + 1 + tagSize
	if b.left < 0 {
		return b
	}
	p := unsafe.Add(b.start, b.left)
	*(*byte)(p) = tag // overwritten if there is none
	p = unsafe.Add(p, tagSize)
	*(*byte)(p) = byte(n)
	if n == 0 {
		return b // there may be no memory behind p
	}
	dst, src := unsafe.Add(p, 1), unsafe.Pointer(unsafe.StringData(s))
	var seen uint64
	switch {
	case n >= 8:
		head, tail := load64(at8(src, 0)), load64(at8(src, n-8))
		seen = head | tail
		if n > 16 {
			second, third := load64(at8(src, 8)), load64(at8(src, n-16))
			seen |= second | third
			binary.LittleEndian.PutUint64(at8(dst, 8), second)
			binary.LittleEndian.PutUint64(at8(dst, n-16), third)
		}
		binary.LittleEndian.PutUint64(at8(dst, 0), head)
		binary.LittleEndian.PutUint64(at8(dst, n-8), tail)
	case n >= 4:
		head, tail := load32(at4(src, 0)), load32(at4(src, n-4))
		seen = uint64(head | tail)
		binary.LittleEndian.PutUint32(at4(dst, 0), head)
		binary.LittleEndian.PutUint32(at4(dst, n-4), tail)
	default:
		for k := range n {
			c := *(*byte)(unsafe.Add(src, k))
			seen |= uint64(c)
			*(*byte)(unsafe.Add(dst, k)) = c
		}
	}
	if seen&msbs != 0 && !validUTF8(unsafe.Slice((*byte)(src), n)) {
		b.mode |= badText
	}
	return b
}

// at8 returns the 8 bytes at offset n from p, at4 returns 4.
func at8(p unsafe.Pointer, n int) []byte { return (*[8]byte)(unsafe.Add(p, n))[:] }
func at4(p unsafe.Pointer, n int) []byte { return (*[4]byte)(unsafe.Add(p, n))[:] }

// longText is text for more than 32 bytes.
func (b Buffer) longText(tag byte, tagSize int, s string) Buffer {
	dst, b := b.Take(len(s))
	src := unsafe.Slice(unsafe.StringData(s), len(s))
	if len(dst) > 0 && !copyASCII(&dst[0], &src[0], len(src)) && !validUTF8(src) {
		b.mode |= badText
	}
	b = b.varint(uint64(len(s)))
	if tagSize == 0 {
		return b
	}
	return b.byte(tag)
}

// Missing notes that a required field is not set.
func (b Buffer) Missing() Buffer {
	b.mode |= lacks
	return b
}

// Fail notes that a message of another package cannot be put.
func (b Buffer) Fail() Buffer {
	b.mode |= failed
	return b
}
