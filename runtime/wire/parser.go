package wire

import (
	"encoding/binary"
	"math"
)

// Parser is what parsing a message passes down to the messages in it.
type Parser struct {
	alias int    // from how many bytes on text aliases the input
	depth int    // how many levels of messages may be there, this one included
	end   uint64 // the tag that ends the message if it is a group, or 0
}

// MaxNesting is how deep messages may be nested, unknown groups included.
const MaxNesting = 100

// maxPiece is how much memory what is kept of a message may keep beyond its own.
const maxPiece = 16 << 10

// aliasFrom returns how long what aliases n bytes of input must be.
func aliasFrom(n int) int {
	if n <= maxPiece {
		return 0
	}
	return n / 2
}

// copies is the alias of a Parser whose text is copied.
const copies = math.MaxInt

// Depth returns how many levels of messages may be there, this one included.
func (p Parser) Depth() int { return p.depth }

// EndTag returns the tag that ends the group that is parsed, 0 if it is no group.
func (p Parser) EndTag() uint64 { return p.end }

// inner returns the parser for a message within. end is as in Parser.
func (p Parser) inner(end uint64) Parser { return Parser{p.alias, p.depth - 1, end} }

// Ends reports whether tag ends the message, as that of a group.
func (p Parser) Ends(tag uint64) bool { return tag == p.end && tag != 0 }

// End returns what the parsing of a message returns that goes on to the end of
// its bytes: i, or an error in i, or that the end of the group is missing.
func (p Parser) End(i int) int {
	if i >= 0 && p.end != 0 {
		return truncated
	}
	return i
}

// Unknown appends the field with the given tag to fields. The tag ends before
// b[i], and is written anew, so that it takes no more bytes than it needs. i may
// be negative.
func (p Parser) Unknown(fields, b []byte, i int, tag uint64) ([]byte, int) {
	end := skip(b, i, tag, p.depth)
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
		i = skip(b, n, tag, depth)
	}
	if i < 0 {
		return i
	}
	return truncated
}
