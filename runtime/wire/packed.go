package wire

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"unsafe"
)

// Fixed is what a value of 4 or 8 bytes may be.
type Fixed interface {
	~int32 | ~uint32 | ~float32 | ~int64 | ~uint64 | ~float64
}

// SizePackedInt returns the bytes of the varints of list.
func SizePackedInt[T Integer](list []T) int {
	n := 0
	for _, v := range list {
		n += SizeVarint(uint64(v))
	}
	return n
}

// SizePackedSint returns the bytes of the zigzag varints of list.
func SizePackedSint[T ~int32 | ~int64](list []T) int {
	n := 0
	for _, v := range list {
		n += SizeSint(int64(v))
	}
	return n
}

// PutPackedInt puts the varints of list with their length.
func PutPackedInt[T Integer](b Buffer, list []T) Buffer {
	end := b
	for k := len(list) - 1; k >= 0; k-- {
		b = b.varint(uint64(list[k]))
	}
	return b.Len(end)
}

// PutPackedSint puts the zigzag varints of list with their length.
func PutPackedSint[T ~int32 | ~int64](b Buffer, list []T) Buffer {
	end := b
	for k := len(list) - 1; k >= 0; k-- {
		b = b.varint(zigzag(int64(list[k])))
	}
	return b.Len(end)
}

// PutPackedBool puts list with its length.
func PutPackedBool(b Buffer, list []bool) Buffer {
	// A bool is a byte that is 0 or 1.
	return b.Bytes(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(list))), len(list)))
}

// PutPackedFixed puts the values of list with their length.
func PutPackedFixed[T Fixed](b Buffer, list []T) Buffer {
	end := b
	src := bytesOf(list)
	dst, b := b.Take(len(src))
	copy(dst, src)
	toLittleEndian[T](dst)
	return b.Len(end)
}

// PackedInt parses packed varints and appends them to list.
func PackedInt[T Integer](list []T, b []byte, i int) ([]T, int) {
	c, i := chunk(b, i)
	n := len(list)
	list = grow(list, countVarints(c))
	out := list[n:cap(list)]
	k := 0
	for len(c) >= 8 && len(out)-k >= 8 {
		x := load64(c)
		size := 1
		switch stop := ^x & msbs; {
		case stop == msbs:
			for _, v := range c[:8] {
				out[k] = T(v)
				k++
			}
			c = c[8:]
			continue
		case x&0x80 == 0:
			out[k] = T(x & 0x7f)
		case x&0x8000 == 0:
			out[k] = T(x&0x7f | x>>1&0x3f80)
			size = 2
		case stop != 0:
			out[k] = T(squeeze(x & (stop ^ (stop - 1))))
			size = (bits.TrailingZeros64(stop) + 1) / 8
		default:
			v, j := varintSlow(c, 0)
			if j < 0 {
				return list, j
			}
			out[k] = T(v)
			size = j
		}
		k++
		c = c[size:]
	}
	list = list[:n+k]
	for j := 0; j < len(c); {
		var v uint64
		if v, j = Varint(c, j); j < 0 {
			return list, j
		}
		list = append(list, T(v))
	}
	return list, i
}

// PackedSint parses packed zigzag varints and appends them to list.
func PackedSint[T ~int32 | ~int64](list []T, b []byte, i int) ([]T, int) {
	n := len(list)
	list, i = PackedInt(list, b, i)
	mask := ^uint64(0) >> (64 - 8*unsafe.Sizeof(*new(T)))
	for k, v := range list[n:] {
		list[n+k] = T(unzigzag(uint64(v) & mask))
	}
	return list, i
}

// PackedBool parses packed bools and appends them to list.
func PackedBool(list []bool, b []byte, i int) ([]bool, int) {
	c, i := chunk(b, i)
	list = grow(list, countVarints(c))
	for j := 0; j < len(c); {
		var v uint64
		if v, j = Varint(c, j); j < 0 {
			return list, j
		}
		list = append(list, v != 0)
	}
	return list, i
}

// PackedFixed parses packed values of 4 or 8 bytes and appends them to list.
func PackedFixed[T Fixed](list []T, b []byte, i int) ([]T, int) {
	c, i := chunk(b, i)
	size := int(unsafe.Sizeof(*new(T)))
	if len(c)%size != 0 {
		return list, truncated
	}
	n := len(list)
	list = grow(list, len(c)/size)[:n+len(c)/size]
	copy(bytesOf(list[n:]), c)
	toLittleEndian[T](bytesOf(list[n:]))
	return list, i
}

// grow returns list with room for n more.
func grow[T any](list []T, n int) []T {
	if list == nil && n > 0 {
		return make([]T, 0, n)
	}
	return slices.Grow(list, n)
}

// countVarints returns how many varints end in b.
func countVarints(b []byte) int {
	n := 0
	for ; len(b) >= 8; b = b[8:] {
		n += bits.OnesCount64(^binary.LittleEndian.Uint64(b) & msbs)
	}
	for _, c := range b {
		n += int(^c >> 7)
	}
	return n
}

// bytesOf returns the memory of list.
func bytesOf[T Fixed](list []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(list))), len(list)*int(unsafe.Sizeof(*new(T))))
}

var bigEndian = binary.NativeEndian.Uint16([]byte{0, 1}) == 1

// toLittleEndian changes the bytes of values between the machine's order and
// that of the wire.
func toLittleEndian[T Fixed](b []byte) {
	if !bigEndian {
		return
	}
	for size := int(unsafe.Sizeof(*new(T))); len(b) > 0; b = b[size:] {
		slices.Reverse(b[:size])
	}
}
