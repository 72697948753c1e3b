// Package metadata holds the key/values that travel with a call beside its
// messages: who calls, which trace it belongs to, what a proxy should know.
//
// Keys are lower case, made of a-z, 0-9, '-', '_' and '.'. Values are text
// without CR, LF and NUL; values of keys that end in "-bin" may be any bytes.
// A call carries at most MaxEntries entries and a bounded number of bytes in
// each direction. Keys that begin with "rpcx-" belong to the runtime.
package metadata

import (
	"math/bits"
	"slices"
	"strings"
)

// Limits and names that every protocol keeps to.
const (
	// MaxEntries is how many entries a call may carry in each direction.
	MaxEntries = 64
	// DefaultMaxBytes is how large, by Size, the entries may be in all.
	DefaultMaxBytes = 8 << 10
	// ReservedPrefix begins the keys that belong to the runtime.
	ReservedPrefix = "rpcx-"
	// BinarySuffix ends the keys whose values may be any bytes.
	BinarySuffix = "-bin"
)

// Pair is one entry. A key may occur in several.
type Pair struct {
	// Key is in lower case.
	Key string
	// Value is bytes if Key ends in BinarySuffix, otherwise text.
	Value string
}

// MD is the metadata of a call in one direction, in the order in which it is
// sent; nil is empty. It is not safe for concurrent use while it is changed.
//
// Set, Add and Del leave the entries of other MDs alone that share its memory,
// provided that those come from Clone, Join or a context.
type MD []Pair

// Pairs returns an MD of alternating keys and values. It panics if a value is
// missing.
func Pairs(kv ...string) MD {
	return appendPairs(make(MD, 0, len(kv)/2), kv)
}

// Join returns the entries of all mds in order, in memory of their own.
func Join(mds ...MD) MD { return slices.Clip(slices.Concat(mds...)) }

// Get returns the first value of key, or "" if there is none. The key may be
// in any case.
func (md MD) Get(key string) string {
	key = strings.ToLower(key)
	for i := range md {
		if md[i].Key == key {
			return md[i].Value
		}
	}
	return ""
}

// Values returns the values of key in order, in a slice of the caller's own,
// or nil if there are none. The key may be in any case.
func (md MD) Values(key string) []string {
	key = strings.ToLower(key)
	var values []string
	for i := range md {
		if md[i].Key == key {
			values = append(values, md[i].Value)
		}
	}
	return values
}

// Has reports whether there is an entry with the key, which may be in any case.
func (md MD) Has(key string) bool {
	key = strings.ToLower(key)
	return slices.ContainsFunc(md, func(p Pair) bool { return p.Key == key })
}

// Set makes values the only ones of key, at the end; without values it deletes
// the key. The key is stored in lower case.
func (md *MD) Set(key string, values ...string) {
	md.Del(key)
	for _, v := range values {
		md.Add(key, v)
	}
}

// Add adds an entry at the end. The key is stored in lower case.
func (md *MD) Add(key, value string) {
	*md = append(*md, Pair{strings.ToLower(key), value})
}

// Del deletes the entries of key, which may be in any case.
func (md *MD) Del(key string) {
	key = strings.ToLower(key)
	*md = without(*md, func(k string) bool { return k == key })
}

// Clone returns a copy that shares no memory with md; that of nil is nil.
func (md MD) Clone() MD { return slices.Clip(slices.Clone(md)) }

// Size returns the bytes that the entries take in a native frame: for each the
// lengths of key and value as varints, and both themselves.
func (md MD) Size() int {
	n := 0
	for i := range md {
		n += sizeString(md[i].Key) + sizeString(md[i].Value)
	}
	return n
}

// StripReserved returns md without the entries whose keys belong to the
// runtime: md itself if there are none, otherwise a copy.
func StripReserved(md MD) MD { return without(md, reserved) }

func reserved(key string) bool { return strings.HasPrefix(key, ReservedPrefix) }

// without returns md itself if no key is to be dropped, otherwise a copy
// without those: whoever shares md's memory must not see it change.
func without(md MD, drop func(key string) bool) MD {
	first := slices.IndexFunc(md, func(p Pair) bool { return drop(p.Key) })
	if first < 0 {
		return md
	}
	kept := make(MD, first, len(md)-1)
	copy(kept, md)
	for _, p := range md[first+1:] {
		if !drop(p.Key) {
			kept = append(kept, p)
		}
	}
	return kept
}

func appendPairs(md MD, kv []string) MD {
	if len(kv)%2 != 0 {
		panic("metadata: key " + kv[len(kv)-1] + " has no value")
	}
	for i := 0; i < len(kv); i += 2 {
		md.Add(kv[i], kv[i+1])
	}
	return md
}

func sizeString(s string) int { return (bits.Len(uint(len(s))|1)+6)/7 + len(s) }
