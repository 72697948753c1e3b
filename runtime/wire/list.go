package wire

import "unsafe"

// next reports whether another field with tag begins at b[i], and returns the
// index behind the tag.
func next(b []byte, i int, tag uint64) (int, bool) {
	if uint(i) >= uint(len(b)) {
		return i, false
	}
	if tag < 0x80 {
		return i + 1, uint64(b[i]) == tag
	}
	t, n := Varint(b, i)
	return n, n > 0 && t == tag
}

// count returns how many values with lengths follow each other from b[i] on,
// with tag before each but the first.
func count(b []byte, i int, tag uint64) int {
	for n := 0; ; n++ {
		var more bool
		if _, i = chunk(b, i); i < 0 {
			return n
		}
		if i, more = next(b, i, tag); !more {
			return n + 1
		}
	}
}

// List parses a value of a repeated field, and those that follow directly, and
// appends them to list.
func List[T any](list []T, b []byte, i int, tag uint64, parse func([]byte, int) (T, int)) ([]T, int) {
	for {
		v, n := parse(b, i)
		if n < 0 {
			return list, n
		}
		list = append(list, v)
		after, more := next(b, n, tag)
		if !more {
			return list, n
		}
		i = after
	}
}

// Texts is [List] for strings that must be UTF-8.
func (p Parser) Texts(list []string, b []byte, i int, tag uint64) ([]string, int) {
	return listWithLengths(p, list, b, i, tag, Parser.Text)
}

// Strings is [List] for strings.
func (p Parser) Strings(list []string, b []byte, i int, tag uint64) ([]string, int) {
	return listWithLengths(p, list, b, i, tag, Parser.String)
}

// BytesList is [List] for bytes.
func (p Parser) BytesList(list [][]byte, b []byte, i int, tag uint64) ([][]byte, int) {
	return listWithLengths(p, list, b, i, tag, Parser.Bytes)
}

// listWithLengths is List for values that have their lengths before them, so that
// they can be counted first.
func listWithLengths[T any](p Parser, list []T, b []byte, i int, tag uint64, parse func(Parser, []byte, int) (T, int)) ([]T, int) {
	list = grow(list, count(b, i, tag))
	for {
		v, n := parse(p, b, i)
		if n < 0 {
			return list, n
		}
		list = append(list, v)
		after, more := next(b, n, tag)
		if !more {
			return list, n
		}
		i = after
	}
}

// Message returns the bytes of a message that begins with its length at b[i], the
// parser for it, and the index behind it. If that is negative, there are no bytes.
func (p Parser) Message(b []byte, i int) (c []byte, inner Parser, end int) {
	if uint(i) < uint(len(b)) && !p.deepest() {
		i++
		if n := int(b[i-1]); n < 0x80 && n <= len(b)-i {
			return b[i : i+n], p.inner(0), i + n
		}
		i--
	}
	return p.messageSlow(b, i)
}

// messageSlow is Message for all messages.
func (p Parser) messageSlow(b []byte, i int) (c []byte, inner Parser, end int) {
	c, i = chunk(b, i)
	if i >= 0 && p.deepest() {
		return nil, p, tooDeep
	}
	return c, p.inner(0), i
}

// After returns end, the index behind a message, unless its parsing went wrong.
func After(parsed, end int) int {
	if parsed < 0 {
		return parsed
	}
	return end
}

// ParseMessage parses a message with its length and merges it into m, or into a new
// one if m is nil. parse is the ParseRPCX of *T, or a function like it.
func ParseMessage[T any](m *T, b []byte, i int, p Parser, parse func(*T, []byte, Parser) int) (*T, int) {
	c, inner, end := p.Message(b, i)
	if end < 0 {
		return m, end
	}
	if m == nil {
		m = new(T)
	}
	return m, After(parse(m, c, inner), end)
}

// ParseMessages parses a message of a repeated field with its length, and those that
// follow directly, and appends them to list. They are allocated together, as far
// as they do not keep each other alive beyond maxPiece.
func ParseMessages[T any](list []*T, b []byte, i int, p Parser, tag uint64, parse func(*T, []byte, Parser) int) ([]*T, int) {
	s := slab{size: unsafe.Sizeof(*new(T)), left: count(b, i, tag)}
	for more := true; more; {
		s.first = unsafe.Pointer(unsafe.SliceData(make([]T, s.room())))
		i, more = s.parse((*[]unsafe.Pointer)(unsafe.Pointer(&list)), b, i, p, tag, *(*parseFunc)(unsafe.Pointer(&parse)))
	}
	return list, i
}

// ParseGroup is [ParseMessage] for a group, whose end tag is that of its beginning + 1.
func ParseGroup[T any](m *T, b []byte, i int, p Parser, tag uint64, parse func(*T, []byte, Parser) int) (*T, int) {
	if p.deepest() {
		return m, tooDeep
	}
	if m == nil {
		m = new(T)
	}
	n := parse(m, b[i:], p.inner(tag+1))
	if n < 0 {
		return m, n
	}
	return m, i + n
}

// ParseGroups parses a group of a repeated field and appends it to list.
func ParseGroups[T any](list []*T, b []byte, i int, p Parser, tag uint64, parse func(*T, []byte, Parser) int) ([]*T, int) {
	m, i := ParseGroup(nil, b, i, p, tag, parse)
	if i < 0 {
		return list, i
	}
	return append(list, m), i
}
