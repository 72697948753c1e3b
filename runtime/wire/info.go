package wire

import "math"

// SupportsGenerated1 is there as long as this package supports generated glue of
// version 1.
const SupportsGenerated1 = true

// Info is what glue knows of a type of messages.
type Info uint8

const (
	// HasText says that the messages may hold strings or bytes.
	HasText Info = 1 << iota
	// MayLack says that required fields may be missing: the message is a [Checker].
	MayLack
	// OneText says that the messages hold at most one string or bytes.
	OneText
)

// Bits32 returns the bits of v, which are 0 for the zero that is positive.
func Bits32(v float32) uint32 { return math.Float32bits(v) }

// Bits64 is [Bits32] for 64 bits.
func Bits64(v float64) uint64 { return math.Float64bits(v) }
