package frame

// Lengths inside a payload are uvarints (base 128, low group first, top bit =
// more) in their shortest form and of at most maxUvarintLen bytes.
const maxUvarintLen = 4

// uvarint decodes a length at b[0]. It returns the number of bytes read, and
// 0 if they are cut short, too many or not the shortest form.
func uvarint(b []byte) (v uint32, n int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint32(b[0]), 1
	}
	for i := 0; i < len(b) && i < maxUvarintLen; i++ {
		c := b[i]
		v |= uint32(c&0x7f) << (7 * i)
		if c < 0x80 {
			if c == 0 {
				return 0, 0
			}
			return v, i + 1
		}
	}
	return 0, 0
}

// appendUvarint appends v, which must be below 1<<28.
func appendUvarint(b []byte, v int) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

// sizeUvarint is the number of bytes that appendUvarint appends.
func sizeUvarint(v int) int {
	n := 1
	for v >= 0x80 {
		n++
		v >>= 7
	}
	return n
}

// cut takes a length and as many bytes off the front of b. It reports false
// if the length is malformed or exceeds what is there.
func cut(b []byte) (head, rest []byte, ok bool) {
	v, n := uvarint(b)
	if n == 0 || uint64(v) > uint64(len(b)-n) {
		return nil, nil, false
	}
	end := n + int(v)
	return b[n:end:end], b[end:], true
}
