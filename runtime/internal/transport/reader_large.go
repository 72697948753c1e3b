package transport

import "github.com/rpcx-go/rpcx/runtime/internal/frame"

// Large messages are not copied where that can be avoided: once the sections of
// a fragment have been received, what is missing of it is read from the socket
// straight into the memory of its message. So that little of the fragments behind
// it gets into the buffer instead, reads are short behind a large fragment: as
// much as readAhead, and twice as much each time that this has not been enough.
const (
	readAhead = 4 << 10
	// leastDirect is how much must be missing of a fragment to be worth a read.
	leastDirect = 8 << 10
)

// begun returns the beginning of the payload of the fragment that h begins, of
// size bytes with it, if the rest is to be read with into, and else nil.
func (d *reader) begun(h *frame.Header, size int) (payload []byte, err error) {
	d.ahead = readAhead
	for size-(d.w-d.r) >= leastDirect {
		payload = d.buf[d.r+frame.HeaderSize : d.w : d.w]
		if n, ok := frame.BeforeMessage(h, payload); ok && n < len(payload) {
			d.missing = size - (d.w - d.r)
			d.r = d.w
			return payload, nil
		}
		if err := d.fill(d.w - d.r + 1); err != nil {
			return nil, noEOF(err)
		}
	}
	return nil, nil
}

// into reads once, into a, as much as there is of what is missing. It may read
// nothing if a has no room. What next returned is not valid any more: a connection
// that waits holds no buffer.
func (d *reader) into(a *assembly) error {
	for {
		buf := d.buf
		d.buf, d.r, d.w = nil, 0, 0 // it may be given back while the read waits
		n, buf, err := d.receiver.readInto(a, d.missing, buf)
		d.buf = buf
		d.missing -= n
		if again, err := d.came(err); !again {
			return noEOF(err)
		}
	}
}

// skip drops what is missing of a frame that nobody wants.
func (d *reader) skip() error {
	for d.missing > 0 {
		if err := d.fill(1); err != nil {
			return noEOF(err)
		}
		n := min(d.missing, d.w-d.r)
		d.r += n
		d.missing -= n
	}
	return nil
}
