//go:build !amd64

package wire

import "unsafe"

// asciiBlocks reports whether the n bytes at p, at least 32, are ASCII.
func asciiBlocks(p *byte, n int) bool {
	b := unsafe.Slice(p, n)
	var seen uint64
	for at := 0; at < n; at += 32 {
		// The last round overlaps the one before.
		from := b[min(at, n-32):][:32]
		seen |= load64(from) | load64(from[8:]) | load64(from[16:]) | load64(from[24:])
	}
	return seen&msbs == 0
}

// copyASCII copies n bytes, at least 32, from src to dst, which do not overlap, and
// reports whether they are ASCII.
func copyASCII(dst, src *byte, n int) bool {
	copy(unsafe.Slice(dst, n), unsafe.Slice(src, n))
	return asciiBlocks(src, n)
}
