//go:build unix

package transport

import (
	"io"
	"net"
	"sync"
	"syscall"
)

// rawConn returns what is needed to read and write nc without blocking, or nil
// if that cannot be had. Only plain sockets qualify: a type that wraps one, as
// TLS does, must see the bytes itself.
func rawConn(nc net.Conn) syscall.RawConn {
	switch nc := nc.(type) {
	case *net.TCPConn:
		raw, _ := nc.SyscallConn()
		return raw
	case *net.UnixConn:
		raw, _ := nc.SyscallConn()
		return raw
	}
	return nil
}

// attempt writes to a socket without ever blocking.
type attempt struct {
	out batch
	n   int
	err error
	try func(fd uintptr) bool
}

// attempts are used again, so that one allocates nothing, by all connections, so
// that one which is idle has none.
var attempts = sync.Pool{New: func() any {
	a := new(attempt)
	a.try = func(fd uintptr) bool {
		for {
			a.n, a.err = a.once(fd)
			if a.err != syscall.EINTR {
				return true
			}
		}
	}
	return a
}}

func (a *attempt) once(fd uintptr) (int, error) {
	if a.out.refs == nil {
		return syscall.Write(int(fd), a.out.buf[a.out.sent:])
	}
	return a.out.refs.gather.write(fd, &a.out)
}

// writeSome writes as much of the rest of b as the socket takes at once, which may be
// nothing.
func writeSome(raw syscall.RawConn, b *batch) (int, error) {
	a := attempts.Get().(*attempt)
	defer attempts.Put(a)
	a.out = *b
	err := raw.Write(a.try)
	a.out = batch{}
	switch {
	case err != nil:
		return 0, err
	case a.err == syscall.EAGAIN:
		return 0, nil
	case a.err != nil:
		return 0, a.err
	}
	return a.n, nil
}

// receiver reads from a socket and holds a buffer only once there is something
// to read: an idle connection has none, and one that waits for the rest of a
// frame what has arrived of it.
type receiver struct {
	raw      syscall.RawConn
	buf      []byte // buf[from:to] has been received before; owned by the caller until read
	from, to int
	most     int // how much is read at a time
	n        int
	err      error
	try      func(fd uintptr) bool
	poller   *poller // nil if the connection is never polled

	into    *assembly
	tryInto func(fd uintptr) bool
}

// init prepares to wait for raw, which may be nil, and, if reads is set, to read.
func (r *receiver) init(raw syscall.RawConn, reads bool) {
	r.raw = raw
	if !reads || r.try != nil {
		return
	}
	r.try = func(fd uintptr) bool {
		if r.to == len(r.buf) {
			r.move(takeReadBuffer())
		}
		if r.once(fd) {
			return true
		}
		if r.poller != nil && r.from == r.to && r.poller.wait(func() bool { return r.once(fd) }) {
			return true
		}
		if part := r.to - r.from; part < fullBuffer/2 && len(r.buf) >= fullBuffer {
			r.move(make([]byte, part))
		}
		return false
	}
	r.tryInto = func(fd uintptr) bool {
		if r.n, r.err = r.into.read(int(fd), r.most); r.err != syscall.EAGAIN {
			return true
		}
		giveReadBuffer(r.buf)
		r.buf = nil
		return false
	}
}

// readInto waits until something can be read, and reads at most n bytes of it
// into a, unless that has no room, or is given up meanwhile. It returns how many
// these are, and buf, in which nothing is of use, or nil if it was given back.
func (r *receiver) readInto(a *assembly, n int, buf []byte) (int, []byte, error) {
	r.into, r.most, r.buf, r.n = a, n, buf, 0
	err := r.raw.Read(r.tryInto)
	n, buf = max(r.n, 0), r.buf
	r.into, r.buf = nil, nil
	if err == nil {
		err = r.err
	}
	return n, buf, err
}

// once reads unless it would have to wait, and reports whether that is over.
func (r *receiver) once(fd uintptr) bool {
	for {
		r.n, r.err = syscall.Read(int(fd), r.buf[r.to:min(len(r.buf), r.to+r.most)])
		if r.err != syscall.EINTR {
			return r.err != syscall.EAGAIN
		}
	}
}

// move takes another buffer, which has room for what has been received.
func (r *receiver) move(buf []byte) {
	r.from, r.to = 0, copy(buf, r.buf[r.from:r.to])
	giveReadBuffer(r.buf)
	r.buf = buf
}

// reset makes a receiver that init prepares again. What it reads with stays.
func (r *receiver) reset() { *r = receiver{try: r.try, tryInto: r.tryInto} }

// await waits until something can be read from raw, or the connection is over. It
// needs little stack.
func await(raw syscall.RawConn) error {
	var failed error // of the socket, which tells it only once
	err := raw.Read(func(fd uintptr) bool {
		failed = peek(fd)
		return failed != syscall.EAGAIN
	})
	if err != nil {
		return err
	}
	return failed
}

// peek looks whether there is something to be read. It returns EAGAIN if not.
func peek(fd uintptr) error {
	var b [1]byte
	for {
		if _, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK); err != syscall.EINTR {
			return err
		}
	}
}

// read waits until something can be read, and reads it behind buf[from:to]. It
// returns the buffer that it read into, which may be another one, and what is
// in it.
func (r *receiver) read(buf []byte, from, to int) ([]byte, int, int, error) {
	r.buf, r.from, r.to = buf, from, to
	err := r.raw.Read(r.try)
	buf, from, to = r.buf, r.from, r.to
	r.buf = nil
	switch {
	case err != nil:
		return buf, from, to, err
	case r.err != nil:
		return buf, from, to, r.err
	case r.n == 0:
		return buf, from, to, io.EOF
	}
	if r.poller != nil {
		r.poller.arrived()
	}
	return buf, from, to + r.n, nil
}
