package wire

import (
	"encoding/binary"
	"math"
	"unsafe"
)

// The methods here put a field whose tag is one byte: the value and the tag. Most are
// not inlined, because generated code is full of them, and the compiler would
// take most of its time for that; a call for both is as fast as the value alone in line.

// VarintField puts a field with a varint.
//
//go:noinline
func (b Buffer) VarintField(tag byte, v uint64) Buffer {
	if v < 0x80 {
		return b.two(tag, byte(v))
	}
	if v < 1<<14 {
		b.left -= 3
		if b.left >= 0 {
			*(*[3]byte)(unsafe.Add(b.start, b.left)) = [3]byte{tag, byte(v) | 0x80, byte(v >> 7)}
		}
		return b
	}
	b.left -= 1 + SizeVarint(v)
	if b.left < 0 {
		return b
	}
	p := unsafe.Add(b.start, b.left)
	*(*byte)(p) = tag
	for v >= 0x80 {
		p = unsafe.Add(p, 1)
		*(*byte)(p) = byte(v) | 0x80
		v >>= 7
	}
	*(*byte)(unsafe.Add(p, 1)) = byte(v)
	return b
}

// two puts two bytes.
func (b Buffer) two(first, second byte) Buffer {
	b.left -= 2
	if b.left >= 0 {
		*(*[2]byte)(unsafe.Add(b.start, b.left)) = [2]byte{first, second}
	}
	return b
}

// SintField puts a field with a zigzag varint.
func (b Buffer) SintField(tag byte, v int64) Buffer { return b.VarintField(tag, zigzag(v)) }

// BoolField puts a field with a bool.
func (b Buffer) BoolField(tag byte, v bool) Buffer {
	var c byte
	if v {
		c = 1
	}
	return b.two(tag, c)
}

// Fixed32Field puts a field with 4 bytes.
//
//go:noinline
func (b Buffer) Fixed32Field(tag byte, v uint32) Buffer {
	b.left -= 5
	if b.left >= 0 {
		dst := (*[5]byte)(unsafe.Add(b.start, b.left))
		dst[0] = tag
		binary.LittleEndian.PutUint32(dst[1:], v)
	}
	return b
}

// Fixed64Field puts a field with 8 bytes.
//
//go:noinline
func (b Buffer) Fixed64Field(tag byte, v uint64) Buffer {
	b.left -= 9
	if b.left >= 0 {
		dst := (*[9]byte)(unsafe.Add(b.start, b.left))
		dst[0] = tag
		binary.LittleEndian.PutUint64(dst[1:], v)
	}
	return b
}

// FloatField puts a field with 4 bytes.
func (b Buffer) FloatField(tag byte, v float32) Buffer {
	return b.Fixed32Field(tag, math.Float32bits(v))
}

// DoubleField puts a field with 8 bytes.
func (b Buffer) DoubleField(tag byte, v float64) Buffer {
	return b.Fixed64Field(tag, math.Float64bits(v))
}

// StringField puts a field with a string.
func (b Buffer) StringField(tag byte, s string) Buffer {
	return b.BytesField(tag, unsafe.Slice(unsafe.StringData(s), len(s)))
}

// BytesField puts a field with bytes.
//
//go:noinline
func (b Buffer) BytesField(tag byte, s []byte) Buffer {
	if len(s) >= 0x80 {
		return b.Bytes(s).byte(tag)
	}
	b.left -= 2 + len(s)
	if b.left >= 0 {
		dst := unsafe.Slice((*byte)(unsafe.Add(b.start, b.left)), 2+len(s))
		dst[0], dst[1] = tag, byte(len(s))
		copy(dst[2:], s)
	}
	return b
}

// LenField puts the length of what was put since end, and a field's tag.
func (b Buffer) LenField(tag byte, end Buffer) Buffer {
	return b.VarintField(tag, uint64(end.left-b.left))
}
