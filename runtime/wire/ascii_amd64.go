package wire

// asciiBlocks reports whether the n bytes at p, at least 32, are ASCII.
//
//go:noescape
func asciiBlocks(p *byte, n int) bool

// copyASCII copies n bytes, at least 32, from src to dst, which do not overlap, and
// reports whether they are ASCII.
//
//go:noescape
func copyASCII(dst, src *byte, n int) bool
