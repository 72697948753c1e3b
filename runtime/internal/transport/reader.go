package transport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/frame"
)

// Sizes of the read buffer. It grows while reads fill it.
const (
	firstBuffer = 4 << 10
	fullBuffer  = 128 << 10
)

// reader cuts what a connection receives into frames. One goroutine uses it.
//
// 0 ≤ r ≤ w ≤ len(buf); buf[r:w] has been received and not been returned.
type reader struct {
	nc         net.Conn
	buf        []byte
	r, w       int
	maxPayload uint32
	now        time.Time // when the last read returned
}

// fill receives at least until n bytes are buffered.
func (d *reader) fill(n int) error {
	for d.w-d.r < n {
		if d.r == d.w {
			d.r, d.w = 0, 0
		}
		if len(d.buf) < n || d.w == len(d.buf) && d.r == 0 {
			d.grow(n)
		} else if d.r+n > len(d.buf) || d.w == len(d.buf) {
			d.w = copy(d.buf, d.buf[d.r:d.w])
			d.r = 0
		}
		got, err := d.nc.Read(d.buf[d.w:])
		if got > 0 && d.w+got == len(d.buf) && d.r == 0 && len(d.buf) < fullBuffer {
			d.w += got
			d.grow(2 * len(d.buf))
			got = 0
		}
		d.w += got
		d.now = time.Now()
		if d.w-d.r >= n {
			return nil
		}
		if err != nil {
			if err == io.EOF && d.w > d.r {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

func (d *reader) grow(n int) {
	size := max(len(d.buf), firstBuffer)
	for size < n {
		size *= 2
	}
	if size <= len(d.buf) {
		size = 2 * len(d.buf)
	}
	bigger := make([]byte, size)
	d.w = copy(bigger, d.buf[d.r:d.w])
	d.r = 0
	d.buf = bigger
}

// next returns the next frame. The payload is valid until the next call.
func (d *reader) next(h *frame.Header) (payload []byte, err error) {
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
	if d.w-d.r < whole {
		if err := d.fill(whole); err != nil {
			return nil, noEOF(err)
		}
	}
	if whole != size {
		if err := frame.VerifyChecksum(d.buf[d.r:d.r+frame.HeaderSize], d.buf[d.r+frame.HeaderSize:d.r+whole]); err != nil {
			return nil, err
		}
	}
	payload = d.buf[d.r+frame.HeaderSize : d.r+size : d.r+size]
	d.r += whole
	return payload, nil
}

// buffered reports whether the next frame has been received as a whole.
func (d *reader) buffered() bool {
	n := d.w - d.r
	if n < frame.HeaderSize {
		return false
	}
	b := d.buf[d.r:]
	return n >= frame.HeaderSize+int(uint32(b[0])|uint32(b[1])<<8|uint32(b[2])<<16)
}

// preface reads the peer's preface.
func (d *reader) preface() error {
	for {
		if err := d.fill(d.w - d.r + 1); err != nil {
			if err == io.ErrUnexpectedEOF {
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
