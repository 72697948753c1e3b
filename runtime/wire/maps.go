package wire

import (
	"cmp"
	"sort"
	"unsafe"
)

// Kind is how the keys or the values of a map are put and parsed.
type Kind[T any] struct {
	tag     uint64 // the wire type
	size    func(T) int
	put     func(b Buffer, v T) Buffer
	parse   func(p Parser, b []byte, i int) (T, int)
	compare func(a, b T) int // keys only
}

func fixedSize[T any](n int) func(T) int { return func(T) int { return n } }

func of[T cmp.Ordered](wireType uint64, size func(T) int, put func(Buffer, T) Buffer, parse func([]byte, int) (T, int)) *Kind[T] {
	return &Kind[T]{tag: wireType, size: size, put: put, compare: cmp.Compare[T],
		parse: func(_ Parser, b []byte, i int) (T, int) { return parse(b, i) }}
}

func sizeInt[T Integer](v T) int                      { return SizeVarint(uint64(v)) }
func putInt[T Integer](b Buffer, v T) Buffer          { return b.varint(uint64(v)) }
func sizeSint[T ~int32 | ~int64](v T) int             { return SizeSint(int64(v)) }
func putSint[T ~int32 | ~int64](b Buffer, v T) Buffer { return b.varint(zigzag(int64(v))) }
func sizeText[T ~string | ~[]byte](s T) int           { return SizeLen(len(s)) }

func putFixed32[T ~int32 | ~uint32](b Buffer, v T) Buffer { return b.Fixed32(uint32(v)) }
func putFixed64[T ~int64 | ~uint64](b Buffer, v T) Buffer { return b.Fixed64(uint64(v)) }

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// The kinds of keys and values of maps.
var (
	Int32Kind    = of(typeVarint, sizeInt[int32], putInt[int32], Int[int32])
	Int64Kind    = of(typeVarint, sizeInt[int64], putInt[int64], Int[int64])
	Uint32Kind   = of(typeVarint, sizeInt[uint32], putInt[uint32], Int[uint32])
	Uint64Kind   = of(typeVarint, sizeInt[uint64], putInt[uint64], Int[uint64])
	Sint32Kind   = of(typeVarint, sizeSint[int32], putSint[int32], Sint32)
	Sint64Kind   = of(typeVarint, sizeSint[int64], putSint[int64], Sint64)
	Fixed32Kind  = of(typeFixed32, fixedSize[uint32](4), putFixed32[uint32], Fixed32[uint32])
	Fixed64Kind  = of(typeFixed64, fixedSize[uint64](8), putFixed64[uint64], Fixed64[uint64])
	Sfixed32Kind = of(typeFixed32, fixedSize[int32](4), putFixed32[int32], Fixed32[int32])
	Sfixed64Kind = of(typeFixed64, fixedSize[int64](8), putFixed64[int64], Fixed64[int64])
	FloatKind    = of(typeFixed32, fixedSize[float32](4), Buffer.Float, Float)
	DoubleKind   = of(typeFixed64, fixedSize[float64](8), Buffer.Double, Double)
	BoolKind     = &Kind[bool]{tag: typeVarint, size: fixedSize[bool](1), put: Buffer.Bool, compare: compareBool,
		parse: func(_ Parser, b []byte, i int) (bool, int) { return Bool(b, i) }}
	TextKind   = &Kind[string]{tag: typeBytes, size: sizeText[string], put: Buffer.Text, compare: cmp.Compare[string], parse: Parser.Text}
	StringKind = &Kind[string]{tag: typeBytes, size: sizeText[string], put: Buffer.String, compare: cmp.Compare[string], parse: Parser.String}
	BytesKind  = &Kind[[]byte]{tag: typeBytes, size: sizeText[[]byte], put: Buffer.Bytes, parse: Parser.Bytes}
)

// EnumKind returns the kind of an enum's values.
func EnumKind[T ~int32]() *Kind[T] { return of(typeVarint, sizeInt[T], putInt[T], Int[T]) }

// SizeMap returns the bytes of a map's entries. tagSize is that of the map's tag.
func SizeMap[K comparable, V any](m map[K]V, tagSize int, key *Kind[K], value *Kind[V]) int {
	n := 0
	for k, v := range m {
		n += tagSize + SizeLen(2+key.size(k)+value.size(v))
	}
	return n
}

// PutMap puts the entries of a map with their tags.
func PutMap[K comparable, V any](b Buffer, m map[K]V, tag uint64, key *Kind[K], value *Kind[V]) Buffer {
	if b.mode&Deterministic != 0 {
		for _, k := range sorted(m, key) {
			b = putEntry(value.put(b, m[k]).Tag(2<<3|byte(value.tag)), b, tag, key, k)
		}
		return b
	}
	for k, v := range m {
		b = putEntry(value.put(b, v).Tag(2<<3|byte(value.tag)), b, tag, key, k)
	}
	return b
}

// putEntry puts what belongs before an entry's value. end is the buffer before
// the value.
func putEntry[K comparable](b, end Buffer, tag uint64, key *Kind[K], k K) Buffer {
	return key.put(b, k).Tag(1<<3 | byte(key.tag)).since(end).LongTag(tag)
}

// sorted returns the keys of m from the last to the first, as they are put.
func sorted[K comparable, V any](m map[K]V, key *Kind[K]) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	// There is less to compile for each type of keys than with package slices.
	sort.Slice(keys, func(i, j int) bool { return key.compare(keys[j], keys[i]) < 0 })
	return keys
}

// ParseMap parses an entry of a map, and those that follow directly, into m, which is
// made if it is nil.
func ParseMap[K comparable, V any](m map[K]V, b []byte, i int, p Parser, tag uint64, key *Kind[K], value *Kind[V]) (map[K]V, int) {
	if m == nil {
		m = make(map[K]V, count(b, i, tag))
	}
	for {
		c, n := chunk(b, i)
		if n < 0 {
			return m, n
		}
		var k K
		var v V
		for j := 0; j < len(c); {
			start := j
			t, j2 := Varint(c, start)
			switch j = j2; t {
			case 1<<3 | key.tag:
				k, j = key.parse(p, c, j)
			case 2<<3 | value.tag:
				v, j = value.parse(p, c, j)
			default:
				j = skip(c, j, t, p.Depth())
			}
			if j < 0 {
				return m, j
			}
		}
		m[k] = v
		after, more := next(b, n, tag)
		if !more {
			return m, n
		}
		i = after
	}
}

// SizeMessageMap is [SizeMap] for pointers to messages. size is their SizeRPCX, or a
// function like it.
func SizeMessageMap[K comparable, M any](m map[K]M, tagSize int, key *Kind[K], size func(M) int) int {
	n := 0
	for k, v := range m {
		n += tagSize + SizeLen(2+key.size(k)+SizeLen(size(v)))
	}
	return n
}

// PutMessageMap is [PutMap] for pointers to messages. put is their PutRPCX, or a
// function like it.
func PutMessageMap[K comparable, M any](b Buffer, m map[K]M, tag uint64, key *Kind[K], put func(M, Buffer) Buffer) Buffer {
	if b.mode&Deterministic != 0 {
		for _, k := range sorted(m, key) {
			b = putEntry(put(m[k], b).since(b).Tag(2<<3|typeBytes), b, tag, key, k)
		}
		return b
	}
	for k, v := range m {
		b = putEntry(put(v, b).since(b).Tag(2<<3|typeBytes), b, tag, key, k)
	}
	return b
}

// ParseMessageMap is [ParseMap] for messages. parse is their ParseRPCX, or a function like
// it.
func ParseMessageMap[K comparable, V any](m map[K]*V, b []byte, i int, p Parser, tag uint64, key *Kind[K], parse func(*V, []byte, Parser) int) (map[K]*V, int) {
	if m == nil {
		m = make(map[K]*V, count(b, i, tag))
	}
	for more := true; more; {
		v := new(V)
		i, more = parseEntry(*(*map[K]unsafe.Pointer)(unsafe.Pointer(&m)), unsafe.Pointer(v), b, i, p, tag, key, *(*parseFunc)(unsafe.Pointer(&parse)))
	}
	return m, i
}
