package call

import (
	"math"
	"strconv"
	"unsafe"

	"github.com/cespare/xxhash/v2"
)

// Key is what a call is routed by, such as the id of the user that it is about:
// a text or a whole number. A number and the text of its decimal digits route
// alike, so that a field may change its type. The zero Key is absent.
type Key struct {
	text string
	// number is the number's bits if kind is keyInt or keyUint.
	number uint64
	kind   keyKind
}

type keyKind uint8

const (
	keyAbsent keyKind = iota
	keyText
	keyInt
	keyUint
)

// TextKey returns the key that is s, also if s is empty.
func TextKey(s string) Key { return Key{text: s, kind: keyText} }

// BytesKey returns the key that is b, which must not change as long as the key is used.
func BytesKey(b []byte) Key { return TextKey(unsafe.String(unsafe.SliceData(b), len(b))) }

// IntKey returns the key that is n.
func IntKey(n int64) Key { return Key{number: uint64(n), kind: keyInt} }

// UintKey returns the key that is n.
func UintKey(n uint64) Key { return Key{number: n, kind: keyUint} }

// Present reports whether there is a key.
func (k Key) Present() bool { return k.kind != keyAbsent }

// Number returns the key as a number, if it is one that is not negative, or a
// text of decimal digits that stands for one.
func (k Key) Number() (n uint64, ok bool) {
	switch k.kind {
	case keyUint:
		return k.number, true
	case keyInt:
		return k.number, int64(k.number) >= 0
	case keyText:
		return parseDigits(k.text)
	}
	return 0, false
}

// parseDigits is strconv.ParseUint without an error, which would be allocated for each
// text that is no number.
func parseDigits(s string) (n uint64, ok bool) {
	for i := range len(s) {
		digit := uint64(s[i]) - '0'
		if digit > 9 || n > (math.MaxUint64-digit)/10 {
			return 0, false
		}
		n = 10*n + digit
	}
	return n, s != ""
}

// Text returns the key if it is a text, also if that is of digits.
func (k Key) Text() (text string, ok bool) { return k.text, k.kind == keyText }

// AppendText appends the key's text, which for numbers is decimal.
func (k Key) AppendText(b []byte) []byte {
	switch k.kind {
	case keyInt:
		return strconv.AppendInt(b, int64(k.number), 10)
	case keyUint:
		return strconv.AppendUint(b, k.number, 10)
	}
	return append(b, k.text...)
}

// String returns the key's text.
func (k Key) String() string {
	if k.kind == keyText {
		return k.text
	}
	return string(k.AppendText(nil))
}

// Hash returns the xxHash64 of the key's text with seed 0, which is what frames
// carry, the same in every process and language.
func (k Key) Hash() uint64 {
	if k.kind == keyText {
		return xxhash.Sum64String(k.text)
	}
	var digits [20]byte
	return xxhash.Sum64(k.AppendText(digits[:0]))
}
