package wire

import (
	"encoding/binary"
	"math"
)

// Fixed32 parses 4 bytes.
func Fixed32[T ~int32 | ~uint32](b []byte, i int) (T, int) {
	if len(b)-i < 4 {
		return 0, truncated
	}
	return T(binary.LittleEndian.Uint32(b[i:])), i + 4
}

// Fixed64 parses 8 bytes.
func Fixed64[T ~int64 | ~uint64](b []byte, i int) (T, int) {
	if len(b)-i < 8 {
		return 0, truncated
	}
	return T(binary.LittleEndian.Uint64(b[i:])), i + 8
}

// Float parses 4 bytes.
func Float(b []byte, i int) (float32, int) {
	v, i := Fixed32[uint32](b, i)
	return math.Float32frombits(v), i
}

// Double parses 8 bytes.
func Double(b []byte, i int) (float64, int) {
	v, i := Fixed64[uint64](b, i)
	return math.Float64frombits(v), i
}
