package frame

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// MaxMetadata is the largest metadata block that any setting permits, in bytes.
const MaxMetadata = 16 << 10

// AppendMetadata appends md as a HEADERS or TRAILERS section, which begins
// with its length. It checks nothing: see [metadata.Validate], whose size is
// that of the block.
func AppendMetadata(b []byte, md metadata.MD) []byte {
	b = appendUvarint(b, md.Size())
	for i := range md {
		b = appendUvarint(b, len(md[i].Key))
		b = append(b, md[i].Key...)
		b = appendUvarint(b, len(md[i].Value))
		b = append(b, md[i].Value...)
	}
	return b
}

// CheckMetadata checks a metadata block from the peer against the rules and
// maxBytes. A block that cannot be taken apart is an *[Error]. Of a block that
// can, *[CallError] says what is wrong: RESOURCE_EXHAUSTED for its size,
// INVALID_ARGUMENT for a key or a value. Errors name keys, never values. It does
// not allocate unless it fails.
func CheckMetadata(block []byte, maxBytes int) error {
	if len(block) > maxBytes {
		return &CallError{status.ResourceExhausted,
			fmt.Sprintf("metadata of %d bytes, the limit is %d (option WithMaxMetadataSize)", len(block), maxBytes)}
	}
	var breach error
	entries := 0
	for rest := block; len(rest) > 0; entries++ {
		at := len(block) - len(rest)
		key, behind, ok := cut(rest)
		if !ok {
			return errorf(ProtocolError, "metadata: bad key length at byte %d of %d", at, len(block))
		}
		var value []byte
		if value, rest, ok = cut(behind); !ok {
			return errorf(ProtocolError, "metadata: bad value length at byte %d of %d", len(block)-len(behind), len(block))
		}
		if breach == nil {
			breach = checkPair(key, value)
		}
	}
	if entries > metadata.MaxEntries {
		return &CallError{status.ResourceExhausted,
			fmt.Sprintf("%d metadata entries, the limit is %d (fixed)", entries, metadata.MaxEntries)}
	}
	return breach
}

func checkPair(key, value []byte) error {
	if len(key) == 0 {
		return &CallError{status.InvalidArgument, "metadata: empty key"}
	}
	for _, c := range key {
		if !keyBytes[c] {
			return &CallError{status.InvalidArgument, fmt.Sprintf("metadata: key %.64q has a byte other than a-z 0-9 - _ .", key)}
		}
	}
	if bytes.HasSuffix(key, []byte(metadata.BinarySuffix)) {
		return nil
	}
	for _, c := range value {
		if c <= '\r' && (c == '\r' || c == '\n' || c == 0) {
			return &CallError{status.InvalidArgument, fmt.Sprintf("metadata: value of key %.64q has byte 0x%02x", key, c)}
		}
	}
	return nil
}

var keyBytes = func() (t [256]bool) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyz0123456789-_.") {
		t[c] = true
	}
	return t
}()

// ParseMetadata decodes a block that CheckMetadata has passed, without the
// entries that are reserved for the runtime. All strings share one copy of the
// block. A block that cannot be taken apart, or has too many entries, is an
// *[Error]. An empty block gives nil.
func ParseMetadata(block []byte) (metadata.MD, error) {
	entries, err := countEntries(block)
	if err != nil || entries == 0 {
		return nil, err
	}
	all := string(block)
	md := make(metadata.MD, 0, entries)
	for rest := block; len(rest) > 0; {
		var pair metadata.Pair
		pair.Key, rest = cutString(all, rest)
		pair.Value, rest = cutString(all, rest)
		if !strings.HasPrefix(pair.Key, metadata.ReservedPrefix) {
			md = append(md, pair)
		}
	}
	return md, nil
}

// countEntries counts the entries that ParseMetadata keeps.
func countEntries(block []byte) (int, error) {
	kept, all := 0, 0
	for rest := block; len(rest) > 0; all++ {
		if all == metadata.MaxEntries {
			return 0, errorf(ProtocolError, "metadata: more than %d entries", metadata.MaxEntries)
		}
		key, behind, ok := cut(rest)
		if ok {
			_, behind, ok = cut(behind)
		}
		if !ok {
			return 0, errorf(ProtocolError, "metadata: bad length in the entry at byte %d of %d", len(block)-len(rest), len(block))
		}
		if !bytes.HasPrefix(key, []byte(metadata.ReservedPrefix)) {
			kept++
		}
		rest = behind
	}
	return kept, nil
}

// cutString takes a length and as many bytes off rest, the end of a well-formed
// block whose copy is all, and returns those bytes as a part of all.
func cutString(all string, rest []byte) (string, []byte) {
	head, behind, _ := cut(rest)
	end := len(all) - len(behind)
	return all[end-len(head) : end], behind
}
