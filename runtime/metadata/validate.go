package metadata

import (
	"errors"
	"fmt"
	"strings"
)

// What Validate's errors wrap.
var (
	// ErrTooLarge says that there are too many entries or bytes.
	ErrTooLarge = errors.New("metadata is too large")
	// ErrInvalid says that a key or a value is malformed, or a key reserved.
	ErrInvalid = errors.New("metadata is invalid")
)

// Validate reports whether md may be sent: at most MaxEntries entries, at most
// maxBytes by Size, keys and values well formed, no reserved key. Its errors
// wrap ErrTooLarge or ErrInvalid, name the key and the limit, and never show a
// value, which may be a secret. It does not allocate unless it fails.
func Validate(md MD, maxBytes int) error {
	if len(md) > MaxEntries {
		return fmt.Errorf("%w: %d entries, key %s is over the limit of %d",
			ErrTooLarge, len(md), quoteKey(md[MaxEntries].Key), MaxEntries)
	}
	size := 0
	for i := range md {
		key, value := md[i].Key, md[i].Value
		// The size comes first: it bounds what the other checks and their errors look at.
		if size += sizeString(key) + sizeString(value); size > maxBytes {
			return fmt.Errorf("%w: key %s exceeds the limit of %d bytes in all",
				ErrTooLarge, quoteKey(key), maxBytes)
		}
		switch {
		case !ValidKey(key):
			return fmt.Errorf("%w: key %s: want one or more of a-z, 0-9, '-', '_' and '.'",
				ErrInvalid, quoteKey(key))
		case reserved(key):
			return fmt.Errorf("%w: key %s: the prefix %q is reserved for the runtime",
				ErrInvalid, quoteKey(key), ReservedPrefix)
		case !ValidValue(key, value):
			return fmt.Errorf("%w: key %s: value contains CR, LF or NUL; a key ending in %q takes any bytes",
				ErrInvalid, quoteKey(key), BinarySuffix)
		}
	}
	return nil
}

// ValidKey reports whether key is well formed: one or more of a-z, 0-9, '-',
// '_' and '.'. Reserved keys are well formed.
func ValidKey(key string) bool {
	for i := range len(key) {
		if !keyBytes[key[i]] {
			return false
		}
	}
	return key != ""
}

// ValidValue reports whether an entry with the given key may have the value.
func ValidValue(key, value string) bool {
	if strings.HasSuffix(key, BinarySuffix) {
		return true
	}
	// IndexByte runs over long values far faster than a loop of ours, and most
	// values have none of the three.
	return strings.IndexByte(value, '\n') < 0 &&
		strings.IndexByte(value, '\r') < 0 &&
		strings.IndexByte(value, 0) < 0
}

var keyBytes = func() (t [256]bool) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyz0123456789-_.") {
		t[c] = true
	}
	return t
}()

// quoteKey quotes key for an error, shortened so that the error stays readable.
func quoteKey(key string) string {
	const longest = 64
	if len(key) > longest {
		return fmt.Sprintf("%q…", key[:longest])
	}
	return fmt.Sprintf("%q", key)
}
