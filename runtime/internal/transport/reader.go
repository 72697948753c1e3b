package transport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/internal/pool"
)

// Sizes of the read buffer.
const (
	// smallBuffer is what a connection begins with that cannot tell when there
	// is something to read; it grows while reads fill it.
	smallBuffer = 4 << 10
	// fullBuffer is the size of the buffers that connections share which can.
	fullBuffer = 128 << 10
)

var readBuffers = sync.Pool{New: func() any { return (*[fullBuffer]byte)(make([]byte, fullBuffer)) }}

func takeReadBuffer() []byte {
	pool.Took()
	return readBuffers.Get().(*[fullBuffer]byte)[:]
}

// giveReadBuffer gives b back if it is one of those that are shared.
func giveReadBuffer(b []byte) {
	if len(b) == fullBuffer {
		pool.Gave()
		readBuffers.Put((*[fullBuffer]byte)(b))
	}
}

// reader cuts what a connection receives into frames. One goroutine uses it.
//
// 0 ≤ r ≤ w ≤ len(buf); buf[r:w] has been received and not been returned. On a
// plain socket buf holds nothing else while nothing is there to be read.
type reader struct {
	nc         net.Conn
	buf        []byte
	r, w       int
	maxPayload uint32
	now        time.Time // when the last read returned
	sums       bool      // frames may carry checksums

	lazy     bool // receiver reads
	receiver receiver
	ahead    int // how much is read beyond what is needed; of use only if lazy
	missing  int // bytes of the frame that next returned last which have not been received

	restAfter time.Duration // how long to wait for input before errRest; 0: for ever
	limited   bool          // reads have a deadline because of that

	// lent has next return errRelieved instead of a frame whose handling may wait where
	// that cannot be interrupted: a caller reads.
	lent bool
	// interrupted has a read that waits return errRelieved once its deadline has passed.
	// The goroutine that stands by sets both.
	interrupted atomic.Bool

	header   frame.Header   // of the frame that is being handled
	sections frame.Sections // and what it consists of
}

// readers are those of links that do not read.
var readers = sync.Pool{New: func() any { return new(reader) }}

// init prepares to read from nc. raw is nc's socket if it is nothing else.
func (d *reader) init(nc net.Conn, raw syscall.RawConn, maxPayload uint32) {
	d.nc, d.maxPayload = nc, maxPayload
	d.lazy, d.ahead = raw != nil, fullBuffer
	if !d.lazy {
		raw = restsOn(nc)
	}
	d.receiver.init(raw, d.lazy)
}

// reset makes a reader that init prepares again.
func (d *reader) reset() {
	d.receiver.reset()
	*d = reader{receiver: d.receiver}
}

// fill receives until at least n bytes are buffered.
func (d *reader) fill(n int) error {
	for d.w-d.r < n {
		d.makeRoom(n)
		again, err := d.came(d.read(n - (d.w - d.r)))
		if again {
			continue
		}
		if err != nil && d.w-d.r < n {
			if err == io.EOF && d.w > d.r {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// came notes that a read has returned, with err. It says whether to read again
// because that has only waited for long, or what is wrong.
func (d *reader) came(err error) (again bool, wrong error) {
	if err != nil {
		if err = d.waitedLong(err); err == nil {
			return true, nil
		}
	}
	d.now = time.Now()
	if d.restAfter > 0 && !d.limited && err == nil {
		err = d.limit(d.restAfter) // there was none before the first read after a rest
	}
	return false, err
}

// read reads once into the free end of the buffer, where n bytes are needed.
func (d *reader) read(n int) (err error) {
	if d.lazy {
		if d.r == d.w { // nothing is kept: while it waits, the connection needs no buffer
			d.r, d.w = 0, 0
		}
		buf, had := d.buf, d.w-d.r
		d.buf = nil // it may be given back while the read waits
		d.receiver.most = max(n, d.ahead)
		d.buf, d.r, d.w, err = d.receiver.read(buf, d.r, d.w)
		if d.w-d.r-had >= d.ahead { // it was less than there is
			d.ahead = min(2*d.ahead, fullBuffer)
		}
		return err
	}
	n, err = d.nc.Read(d.buf[d.w:])
	d.w += n
	return err
}

// makeRoom sees to it that there is room for a read, and in the end for n bytes
// from r on. The buffer grows with what has been received of them: n is only what
// the peer declares.
func (d *reader) makeRoom(n int) {
	size := len(d.buf)
	switch {
	case d.lazy && d.r == d.w && n <= fullBuffer:
		if size > 0 && size != fullBuffer {
			d.buf = nil // it was made for one large frame
		}
		return
	case d.lazy:
		size = max(size, fullBuffer)
	case size == 0:
		size = smallBuffer
	case d.w-d.r == size && size < fullBuffer:
		size *= 2 // the last read filled it
	}
	for size < min(n, 2*(d.w-d.r)) {
		size *= 2
	}
	switch {
	case size != len(d.buf):
		var bigger []byte
		if size == fullBuffer {
			bigger = takeReadBuffer()
		} else {
			bigger = make([]byte, size)
		}
		d.w = copy(bigger, d.buf[d.r:d.w])
		giveReadBuffer(d.buf)
		d.buf, d.r = bigger, 0
	case d.r > 0 && (d.r+n > size || d.w == size):
		d.w = copy(d.buf, d.buf[d.r:d.w])
		d.r = 0
	}
}

// next returns the next frame. The payload is valid until the next call. Of a
// large fragment that is not the last it may be the beginning only, with all
// sections and some of the message: what is missing can be had with into.
func (d *reader) next(h *frame.Header) (payload []byte, err error) {
	if d.missing > 0 {
		if err := d.skip(); err != nil {
			return nil, err
		}
	}
	if d.w-d.r < frame.HeaderSize {
		if err := d.fill(frame.HeaderSize); err != nil {
			return nil, err
		}
	}
	*h, err = frame.ParseHeader(d.buf[d.r:])
	if err != nil {
		return nil, err
	}
	if err := h.Validate(d.maxPayload); err != nil {
		return nil, err
	}
	size := frame.HeaderSize + int(h.Length)
	whole := size
	if h.Flags.Has(frame.FlagChecksum) {
		whole += frame.ChecksumSize
	}
	if d.lent && (h.Type == frame.TypePing || size > bulkSize && h.Flags.Has(frame.FlagMore)) {
		return nil, errRelieved
	}
	if d.lazy && whole == size && size > bulkSize && h.Flags.Has(frame.FlagMore) {
		if payload, err := d.begun(h, size); payload != nil || err != nil {
			return payload, err
		}
	}
	if d.w-d.r < whole {
		if err := d.fill(whole); err != nil {
			return nil, noEOF(err)
		}
	}
	if whole != size {
		if !d.sums {
			return nil, protocolErrorf("CHECKSUM on a %v, which was not agreed on", h.Type)
		}
		if err := frame.VerifyChecksum(d.buf[d.r:d.r+frame.HeaderSize], d.buf[d.r+frame.HeaderSize:d.r+whole]); err != nil {
			return nil, err
		}
	}
	payload = d.buf[d.r+frame.HeaderSize : d.r+size : d.r+size]
	d.r += whole
	if p := d.receiver.poller; p != nil {
		p.frame(h.ID)
	}
	return payload, nil
}

// buffered reports whether the next frame has been received as a whole.
func (d *reader) buffered() bool {
	return d.w-d.r >= frame.HeaderSize && d.w-d.r >= frameSize(d.buf[d.r:])
}

// frameSize returns the size of the frame that b begins with: its header, whose
// length is not checked, its payload, and its checksum if it has one.
func frameSize(b []byte) int {
	n := frame.HeaderSize + int(uint32(b[0])|uint32(b[1])<<8|uint32(b[2])<<16)
	if frame.Flags(uint16(b[4]) | uint16(b[5])<<8).Has(frame.FlagChecksum) {
		n += frame.ChecksumSize
	}
	return n
}

// preface reads the peer's preface.
func (d *reader) preface() error {
	for {
		if err := d.fill(d.w - d.r + 1); err != nil {
			if err == io.ErrUnexpectedEOF && frame.Sniff(d.buf[d.r:d.w]) != frame.NeedMore {
				return notRPCX(d.buf[d.r:d.w])
			}
			return err
		}
		got := d.buf[d.r:d.w]
		switch frame.Sniff(got) {
		case frame.Native:
			d.r += frame.PrefaceSize
			return nil
		case frame.NativeOtherVersion:
			return &versionError{frame.Error{Code: frame.VersionError, Reason: fmt.Sprintf("the peer's layout version is %d, ours %d", got[7], frame.Version)}}
		case frame.NotNative:
			return notRPCX(got)
		}
	}
}

// errNotRPCX is wrapped by the errors of peers that do not speak our protocol;
// errRefused by those of peers that do and would not have this connection.
var (
	errNotRPCX = errors.New("the peer does not speak this protocol")
	errRefused = errors.New("the peer refused the connection")
)

type versionError struct{ breach frame.Error }

func (e *versionError) Error() string   { return e.breach.Error() }
func (e *versionError) Unwrap() []error { return []error{&e.breach, errNotRPCX} }

func notRPCX(got []byte) error {
	hint := ""
	switch {
	case len(got) >= 4 && string(got[:4]) == "HTTP":
		hint = " (that is HTTP)"
	case got[0] == 0x15 || got[0] == 0x16:
		hint = " (that is TLS)"
	}
	return fmt.Errorf("%w: its first bytes are %q%s", errNotRPCX, got[:min(len(got), 24)], hint)
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
