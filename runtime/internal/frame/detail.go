package frame

import (
	"strings"
	"unicode/utf8"

	"github.com/rpcx-go/rpcx/runtime/status"
)

const (
	// MaxDetail bounds the block of a DETAIL section, in bytes.
	MaxDetail = 16 << 10
	// MaxStatusMessage is where AppendDetail cuts a status message, in bytes,
	// so that a long one leaves room for the details.
	MaxStatusMessage = 8 << 10
	// MaxDetails is the most details that a DETAIL section may have.
	MaxDetails = 64
)

// AppendDetail appends message and details of e as a DETAIL section, which
// begins with its length. A message longer than MaxStatusMessage is cut at a
// rune boundary, invalid UTF-8 in it is replaced. Details that do not fit into
// MaxDetail, are one too many or have no type are left out, and omitted counts
// them.
func AppendDetail(b []byte, e *status.Error) (out []byte, omitted int) {
	msg := e.Message()
	if !utf8.ValidString(msg) {
		msg = strings.ToValidUTF8(truncate(msg, MaxStatusMessage), "\ufffd")
	}
	msg = truncate(msg, MaxStatusMessage)

	size := sizeUvarint(len(msg)) + len(msg)
	details := e.Details()
	var fits [MaxDetails]bool
	for i := range details {
		n := sizeDetail(&details[i])
		if i >= MaxDetails || size+n > MaxDetail || details[i].Type == "" {
			omitted++
			continue
		}
		fits[i], size = true, size+n
	}

	b = appendUvarint(b, size)
	b = append(appendUvarint(b, len(msg)), msg...)
	for i := range details {
		if i < MaxDetails && fits[i] {
			d := &details[i]
			b = append(appendUvarint(b, len(d.Type)), d.Type...)
			b = append(appendUvarint(b, len(d.Value)), d.Value...)
		}
	}
	return b, omitted
}

// sizeDetail is the size of d on the wire. Only its comparison with MaxDetail
// counts, so the lengths need not be below the largest uvarint.
func sizeDetail(d *status.Detail) int {
	return sizeUvarint(len(d.Type)) + len(d.Type) + sizeUvarint(len(d.Value)) + len(d.Value)
}

// truncate returns the longest prefix of s that is at most limit bytes and
// does not end within a rune.
func truncate(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for i := limit; i > limit-utf8.UTFMax; i-- {
		if utf8.RuneStart(s[i]) {
			return s[:i]
		}
	}
	return s[:limit]
}

// ParseDetail decodes the block of a DETAIL section. Nothing aliases the block.
// Invalid UTF-8 in the message is replaced. The error is an *[Error].
func ParseDetail(block []byte) (msg string, details []status.Detail, err error) {
	text, rest, ok := cut(block)
	if !ok {
		return "", nil, errorf(ProtocolError, "DETAIL: bad message length in a block of %d bytes", len(block))
	}
	n, err := countDetails(block, rest)
	if err != nil {
		return "", nil, err
	}
	msg = strings.ToValidUTF8(string(text), "\ufffd")
	if n == 0 {
		return msg, nil, nil
	}
	details = make([]status.Detail, n)
	values := make([]byte, 0, len(rest))
	for i := range details {
		var typ, value []byte
		typ, rest, _ = cut(rest)
		value, rest, _ = cut(rest)
		start := len(values)
		values = append(values, value...)
		details[i] = status.Detail{Type: string(typ), Value: values[start:len(values):len(values)]}
	}
	return msg, details, nil
}

// countDetails counts the details in rest, the end of block.
func countDetails(block, rest []byte) (n int, err error) {
	for ; len(rest) > 0; n++ {
		at := len(block) - len(rest)
		if n == MaxDetails {
			return 0, errorf(ProtocolError, "DETAIL: more than %d details", MaxDetails)
		}
		typ, behind, ok := cut(rest)
		if ok {
			_, rest, ok = cut(behind)
		}
		if !ok || len(typ) == 0 {
			return 0, errorf(ProtocolError, "DETAIL: bad length in the detail at byte %d of %d", at, len(block))
		}
	}
	return n, nil
}
