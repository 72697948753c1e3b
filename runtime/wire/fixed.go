package wire

import (
	"encoding/binary"
	"math"
)

// PutFixed32 puts 4 bytes.
func PutFixed32(b []byte, i int, v uint32) int {
	i -= 4
	binary.LittleEndian.PutUint32(b[i:], v)
	return i
}

// PutFixed64 puts 8 bytes.
func PutFixed64(b []byte, i int, v uint64) int {
	i -= 8
	binary.LittleEndian.PutUint64(b[i:], v)
	return i
}

// PutFloat puts 4 bytes.
func PutFloat(b []byte, i int, v float32) int { return PutFixed32(b, i, math.Float32bits(v)) }

// PutDouble puts 8 bytes.
func PutDouble(b []byte, i int, v float64) int { return PutFixed64(b, i, math.Float64bits(v)) }

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
