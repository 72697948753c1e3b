package wire

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// The methods here put a field whose tag is one byte: the value and the tag. They are
// not inlined, because generated code is full of them, and the compiler would
// take most of its time for that; a call for both is as fast as the value alone in line.

// VarintField puts a field with a varint.
//
//go:noinline
func (b Buffer) VarintField(tag byte, v uint64) Buffer {
	if v < 0x80 {
		b.left -= 2
		if b.left >= 0 {
			binary.LittleEndian.PutUint16(unsafe.Slice((*byte)(unsafe.Add(b.start, b.left)), 2), uint16(v)<<8|uint16(tag))
		}
		return b
	}
	b.left -= 1 + int((9*uint(bits.Len64(v))+64)>>6)
	if b.left < 0 {
		return b
	}
	p := unsafe.Add(b.start, b.left)
	*(*byte)(p) = tag
	p = unsafe.Add(p, 1)
	for v >= 0x80 {
		*(*byte)(p) = byte(v) | 0x80
		v >>= 7
		p = unsafe.Add(p, 1)
	}
	*(*byte)(p) = byte(v)
	return b
}

// SintField puts a field with a zigzag varint.
//
//go:noinline
func (b Buffer) SintField(tag byte, v int64) Buffer { return b.VarintField(tag, zigzag(v)) }

// BoolField puts a field with a bool.
//
//go:noinline
func (b Buffer) BoolField(tag byte, v bool) Buffer {
	var c uint16
	if v {
		c = 1 << 8
	}
	b.left -= 2
	if b.left >= 0 {
		binary.LittleEndian.PutUint16(unsafe.Slice((*byte)(unsafe.Add(b.start, b.left)), 2), c|uint16(tag))
	}
	return b
}

// Fixed32Field puts a field with 4 bytes.
//
//go:noinline
func (b Buffer) Fixed32Field(tag byte, v uint32) Buffer { return b.Fixed32(v).byte(tag) }

// Fixed64Field puts a field with 8 bytes.
//
//go:noinline
func (b Buffer) Fixed64Field(tag byte, v uint64) Buffer { return b.Fixed64(v).byte(tag) }

// FloatField puts a field with 4 bytes.
//
//go:noinline
func (b Buffer) FloatField(tag byte, v float32) Buffer { return b.Float(v).byte(tag) }

// DoubleField puts a field with 8 bytes.
//
//go:noinline
func (b Buffer) DoubleField(tag byte, v float64) Buffer { return b.Double(v).byte(tag) }

// StringField puts a field with a string.
//
//go:noinline
func (b Buffer) StringField(tag byte, s string) Buffer { return b.String(s).byte(tag) }

// BytesField puts a field with bytes.
//
//go:noinline
func (b Buffer) BytesField(tag byte, s []byte) Buffer { return b.Bytes(s).byte(tag) }

// TextField puts a field with a string that must be UTF-8.
//
//go:noinline
func (b Buffer) TextField(tag byte, s string) Buffer { return b.Text(s).byte(tag) }

// LenField puts the length of what was put since end, and a field's tag.
func (b Buffer) LenField(tag byte, end Buffer) Buffer {
	return b.VarintField(tag, uint64(end.left-b.left))
}
