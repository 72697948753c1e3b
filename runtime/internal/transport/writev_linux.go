package transport

import (
	"syscall"
	"unsafe"
)

// vectored says that a socket can be written from several places at once.
const vectored = true

// mostVectors is how many of them a system call takes; what is more is left to the next.
const mostVectors = 1024

// gather is what a write from several places needs.
type gather struct {
	pieces [][]byte
	iov    []syscall.Iovec
}

// write writes as much of the rest of b as the socket takes at once.
func (g *gather) write(fd uintptr, b *batch) (int, error) {
	g.pieces = b.appendRest(g.pieces[:0])
	for _, p := range g.pieces[:min(len(g.pieces), mostVectors)] {
		at := syscall.Iovec{Base: unsafe.SliceData(p)}
		at.SetLen(len(p))
		g.iov = append(g.iov, at)
	}
	n, _, e := syscall.Syscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(unsafe.SliceData(g.iov))), uintptr(len(g.iov)))
	clear(g.pieces)
	clear(g.iov)
	g.iov = g.iov[:0]
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}
