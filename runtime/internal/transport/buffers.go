package transport

import (
	"sync"

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
)

// takeBuffer returns an empty buffer.
func takeBuffer() []byte {
	pool.Took()
	p := buffers.Get().(*[]byte)
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
	buffers.Put(p)
}
