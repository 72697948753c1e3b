package wire

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// Parser is what parsing a message passes down to the messages in it. It is one
// word, because it is passed with everything.
type Parser struct {
	// From the lowest bit on: the aliasing, 8 bits; how many levels of messages
	// may be there, this one included, 24 bits; the tag that ends the message if
	// it is a group, 32 bits.
	bits uint64
}

const (
	oneLevel = 1 << 8
	endShift = 32
)

// MaxNesting is how deep messages may be nested, unknown groups included.
const MaxNesting = 100

// maxPiece is how much memory what is kept of a message may keep beyond its own.
const maxPiece = 16 << 10

// Text of at least 1<<aliasing bytes aliases the input.
const (
	aliasAll  = 0
	aliasNone = 63
)

// aliasing returns the aliasing for n bytes of input: texts as long as half of it,
// rounded up to a power of two, alias it, and all of them if it is no more than
// a piece.
func aliasing(n int) int {
	if n <= maxPiece {
		return aliasAll
	}
	return bits.Len(uint(n-1) / 2)
}

func newParser(aliasing, depth int) Parser {
	return Parser{uint64(aliasing) | uint64(depth)*oneLevel}
}

// short reports whether text of n bytes is copied.
func (p Parser) short(n int) bool { return uint(n)>>(p.bits&63) == 0 }

// Depth returns how many levels of messages may be there, this one included.
func (p Parser) Depth() int { return int(uint32(p.bits) / oneLevel) }

// EndTag returns the tag that ends the group that is parsed, 0 if it is no group.
func (p Parser) EndTag() uint64 { return p.bits >> endShift }

// inner returns the parser for a message within, which is a group if end, the
// tag that ends it, is not 0.
func (p Parser) inner(end uint64) Parser {
	return Parser{p.bits&(1<<endShift-1) - oneLevel | end<<endShift}
}

// deepest reports whether no message may be within.
func (p Parser) deepest() bool { return p.Depth() <= 1 }

// Ends reports whether tag ends the message, as that of a group.
func (p Parser) Ends(tag uint64) bool { return tag == p.EndTag() && tag != 0 }

// End returns what the parsing of a message returns that goes on to the end of
// its bytes: i, or an error in i, or that the end of the group is missing.
func (p Parser) End(i int) int {
	if i >= 0 && p.EndTag() != 0 {
		return truncated
	}
	return i
}

// Unknown appends the field with the given tag to fields. The tag ends before
// b[i], and is written anew, so that it takes no more bytes than it needs. i may
// be negative.
func (p Parser) Unknown(fields, b []byte, i int, tag uint64) ([]byte, int) {
	end := skip(b, i, tag, p.Depth())
	if end < 0 {
		return fields, end
	}
	fields = binary.AppendUvarint(fields, tag)
	return append(fields, b[i:end]...), end
}

// The wire types.
const (
	typeVarint = iota
	typeFixed64
	typeBytes
	typeStartGroup
	typeEndGroup
	typeFixed32
)

const maxNumber = 1<<29 - 1

// skip returns the index behind the value whose tag ends before b[i]. A negative
// i is returned as it is.
func skip(b []byte, i int, tag uint64, depth int) int {
	if i < 0 {
		return i
	}
	if number := tag >> 3; number == 0 || number > maxNumber {
		return badTag
	}
	return skipValue(b, i, tag, depth)
}

// skipValue is skip for a tag whose number is known to be good.
func skipValue(b []byte, i int, tag uint64, depth int) int {
	switch tag & 7 {
	case typeVarint:
		_, i = Varint(b, i)
	case typeFixed64:
		i += 8
	case typeFixed32:
		i += 4
	case typeBytes:
		_, i = chunk(b, i)
	case typeStartGroup:
		return skipGroup(b, i, tag+1, depth-1)
	default:
		return badTag
	}
	if i > len(b) {
		return truncated
	}
	return i
}

func skipGroup(b []byte, i int, end uint64, depth int) int {
	if depth <= 0 {
		return tooDeep
	}
	for uint(i) < uint(len(b)) {
		tag, n := Varint(b, i)
		if n > 0 && tag == end {
			return n
		}
		// Numbers in groups are as google.golang.org/protobuf takes them.
		if n > 0 && (tag>>3 == 0 || tag>>3 > math.MaxInt32) {
			return badTag
		}
		if i = n; n > 0 {
			i = skipValue(b, n, tag, depth)
		}
	}
	if i < 0 {
		return i
	}
	return truncated
}
