package wire

// asciiBlocks reports whether the n bytes at p, at least 64, are ASCII.
//
//go:noescape
func asciiBlocks(p *byte, n int) bool
