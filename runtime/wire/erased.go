package wire

import "unsafe"

// The compiler makes a copy of a generic function for each type of message, in each
// package that calls it, and takes long for that. So what has loops is here, for
// messages of any type, and generic functions only allocate messages: lists, maps
// and functions of pointers to messages are the same in memory and in calls,
// whatever message it is.

// parseFunc is the ParseRPCX of a message, or a function like it.
type parseFunc func(unsafe.Pointer, []byte, Parser) int

// slab is memory for messages of a list.
type slab struct {
	first unsafe.Pointer // the first message
	size  uintptr        // of a message
	left  int            // how many messages are to come
}

// room returns how many messages s is to have: at least one, and no more than maxPiece
// holds.
func (s *slab) room() int { return max(1, min(s.left, maxPiece/max(1, int(s.size)))) }

// parse parses messages that follow each other until none is left in s, and reports
// whether there are more of them from the index that it returns.
func (s *slab) parse(list *[]unsafe.Pointer, b []byte, i int, p Parser, tag uint64, parse parseFunc) (end int, more bool) {
	if p.deepest() {
		return tooDeep, false
	}
	n := s.room()
	out := grow(*list, max(s.left, 0))
	s.left -= n
	m := s.first
	for {
		var c []byte
		if c, i = chunk(b, i); i < 0 {
			break
		}
		out = append(out, m)
		if bad := parse(m, c, p.inner(0)); bad < 0 {
			i = bad
			break
		}
		var after int
		if after, more = next(b, i, tag); !more {
			break
		}
		i = after
		if n--; n == 0 {
			break
		}
		m = unsafe.Add(m, s.size)
	}
	*list = out
	return i, more
}

// parseEntry parses an entry of a map of messages, whose value it parses into v, and
// reports whether another entry follows from the index that it returns.
func parseEntry[K comparable](m map[K]unsafe.Pointer, v unsafe.Pointer, b []byte, i int, p Parser, tag uint64, key *Kind[K], parse parseFunc) (end int, more bool) {
	c, i := chunk(b, i)
	if i < 0 {
		return i, false
	}
	var k K
	for j := 0; j < len(c); {
		t, j2 := Varint(c, j)
		switch j = j2; t {
		case 1<<3 | key.tag:
			k, j = key.parse(p, c, j)
		case 2<<3 | typeBytes:
			d, inner, end := p.Message(c, j)
			if j = end; end >= 0 {
				j = After(parse(v, d, inner), end)
			}
		default:
			j = skip(c, j, t, p.Depth())
		}
		if j < 0 {
			return j, false
		}
	}
	m[k] = v
	if after, more := next(b, i, tag); more {
		return after, true
	}
	return i, false
}
