package transport

import (
	"sync"
	"sync/atomic"

	"github.com/rpcx-go/rpcx/runtime/internal/pool"
)

// leastReferred is from where a part of a message is worth a reference.
const leastReferred = bulkSize

// batch is whole frames that are written together: bytes of its own, and between
// them parts of large messages, which are not copied.
type batch struct {
	buf  []byte      // nil if there is no batch
	refs *references // nil if there are none
	sent int         // how many bytes, from the front, have been written
}

// references are the parts of messages that belong between the bytes of a batch. They
// are used again for other batches.
type references struct {
	parts  []part // in the order of at
	size   int    // bytes of all parts
	gather gather
}

// part is bytes that a batch refers to.
type part struct {
	at   int // how many bytes of the batch's own stand before it
	data []byte
	of   *encoding // holds data; nil if the garbage collector does
}

// total returns how many bytes the parts are. r may be nil.
func (r *references) total() int {
	if r == nil {
		return 0
	}
	return r.size
}

// release has r, which may be nil, refer to nothing any more.
func (r *references) release() {
	if r == nil {
		return
	}
	for i := range r.parts {
		r.parts[i].of.release()
	}
	clear(r.parts)
	r.parts, r.size = r.parts[:0], 0
}

// rest returns how many bytes have not been written.
func (b *batch) rest() int { return len(b.buf) + b.refs.total() - b.sent }

// appendRest appends what has not been written to v, in pieces that are not empty.
func (b *batch) appendRest(v [][]byte) [][]byte {
	from, skip := 0, b.sent
	add := func(piece []byte) {
		n := min(len(piece), skip)
		if skip -= n; n < len(piece) {
			v = append(v, piece[n:])
		}
	}
	if b.refs != nil {
		for _, p := range b.refs.parts {
			add(b.buf[from:p.at])
			add(p.data)
			from = p.at
		}
	}
	add(b.buf[from:])
	return v
}

// free gives back what the batch holds, once nobody writes it any more.
func (b *batch) free() {
	giveBuffer(b.buf)
	b.refs.release()
	*b = batch{}
}

// encoding is a buffer with a message in it. Its sender shares it with the
// batches that refer to it; whoever is the last gives it back.
type encoding struct {
	b    []byte
	refs atomic.Int32
}

// keepEncoded is the largest buffer that is kept to marshal another message into, and
// keepAlive the largest of those that garbage collections leave alone.
const (
	keepEncoded = 8 << 20
	keepAlive   = 128 << 10
)

// encodings are buffers that large messages are marshalled into. Those up to
// keepAlive are in encoded, as long as there is room.
var (
	encodings = sync.Pool{New: func() any { return new(encoding) }}
	encoded   kept[encoding]
)

// takeEncoding returns an empty buffer for size bytes, which the caller releases.
func takeEncoding(size int) *encoding {
	pool.Took()
	var e *encoding
	if size <= keepAlive {
		if e = encoded.take(func(e *encoding) bool { return cap(e.b) >= size }); e == nil {
			e = encoded.take(func(*encoding) bool { return true }) // it will be larger from now on
		}
	}
	if e == nil {
		e = encodings.Get().(*encoding)
	}
	if cap(e.b) < size {
		e.b = make([]byte, 0, size)
	}
	e.refs.Store(1)
	return e
}

// release takes back one reference. e may be nil.
func (e *encoding) release() {
	if e == nil || e.refs.Add(-1) > 0 {
		return
	}
	pool.Gave()
	if cap(e.b) > keepEncoded {
		return
	}
	e.b = e.b[:0]
	if cap(e.b) > keepAlive || !encoded.give(e) {
		encodings.Put(e)
	}
}
