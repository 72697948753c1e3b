package transport

import (
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/rpcx-go/rpcx/runtime/internal/pool"
)

// keepBuffer is the largest buffer that is kept for another use.
const keepBuffer = 1 << 20

var (
	buffers = sync.Pool{New: func() any {
		b := make([]byte, 0, 4<<10)
		return &b
	}}
	// emptied are the pointers that buffers had in the pool, so that putting
	// one there allocates nothing.
	emptied = sync.Pool{New: func() any { return new([]byte) }}
	// grown are a few buffers of at least grownBuffer bytes, nil where there is
	// none. A pool would give most of them to the garbage collector, and those who
	// send much would grow others, time and again.
	grown [4]atomic.Pointer[[]byte]
)

const grownBuffer = 32 << 10

// takeBuffer returns an empty buffer.
func takeBuffer() []byte {
	pool.Took()
	return emptiedBuffer(buffers.Get().(*[]byte))
}

func emptiedBuffer(p *[]byte) []byte {
	b := *p
	*p = nil
	emptied.Put(p)
	return b
}

// giveBuffer takes back a buffer that nobody uses any more.
func giveBuffer(b []byte) {
	if cap(b) == 0 {
		return
	}
	pool.Gave()
	if cap(b) > keepBuffer {
		return
	}
	p := emptied.Get().(*[]byte)
	*p = b[:0]
	if cap(b) >= grownBuffer {
		for i := range grown {
			if grown[i].CompareAndSwap(nil, p) {
				return
			}
		}
	}
	buffers.Put(p)
}

// roomFor returns b, from takeBuffer, or a larger buffer with what is in b, if b
// has no room for n more bytes and there is one. Else an append makes it.
func roomFor(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	for i := range grown {
		p := grown[i].Swap(nil)
		if p == nil {
			continue
		}
		pool.Took()
		bigger := emptiedBuffer(p)
		if cap(bigger)-len(b) < n {
			giveBuffer(bigger)
			continue
		}
		bigger = append(bigger, b...)
		giveBuffer(b)
		return bigger
	}
	return b
}

// uncleared returns an empty buffer for n bytes, n > 0, that holds whatever was in its
// memory before: only strings.Builder has such memory to give. Nobody else has its
// string.
func uncleared(n int) []byte {
	var b strings.Builder
	b.Grow(n)
	b.WriteByte(0) // the address of an empty string is not specified
	return unsafe.Slice(unsafe.StringData(b.String()), n)[:0]
}
