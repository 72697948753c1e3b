//go:build unix

package transport

import (
	"io"
	"net"
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

// attempt writes to a socket without ever blocking. It is made once per
// connection, so that an attempt allocates nothing.
type attempt struct {
	out []byte
	n   int
	err error
	try func(fd uintptr) bool
}

func (a *attempt) init() {
	a.try = func(fd uintptr) bool {
		for {
			a.n, a.err = syscall.Write(int(fd), a.out)
			if a.err != syscall.EINTR {
				return true
			}
		}
	}
}

// write writes as much of b as the socket takes at once, which may be nothing.
func (a *attempt) write(raw syscall.RawConn, b []byte) (int, error) {
	a.out = b
	err := raw.Write(a.try)
	a.out = nil
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
// to read: an idle connection has none.
type receiver struct {
	raw syscall.RawConn
	buf []byte // what was read into; owned by the caller until release
	n   int
	err error
	try func(fd uintptr) bool
}

// init prepares to wait for raw, which may be nil, and, if reads is set, to read.
func (r *receiver) init(raw syscall.RawConn, reads bool) {
	r.raw = raw
	if !reads {
		return
	}
	r.try = func(fd uintptr) bool {
		if r.buf == nil {
			r.buf = takeReadBuffer()
		}
		for {
			r.n, r.err = syscall.Read(int(fd), r.buf)
			if r.err != syscall.EINTR {
				break
			}
		}
		if r.err == syscall.EAGAIN {
			giveReadBuffer(r.buf)
			r.buf = nil
			return false
		}
		return true
	}
}

// await waits until something can be read, or the connection is over. It needs
// little stack.
func (r *receiver) await() error {
	if err := r.raw.Read(r.readable); err != nil {
		return err
	}
	return r.err
}

// readable reports whether a read would not have to wait. An error of the
// socket, which it tells only once, is left in r.err.
func (r *receiver) readable(fd uintptr) bool {
	var b [1]byte
	for {
		_, _, r.err = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		if r.err != syscall.EINTR {
			return r.err != syscall.EAGAIN
		}
	}
}

// read waits until something can be read. It returns the buffer that it read
// into, buf itself if that is not nil.
func (r *receiver) read(buf []byte) ([]byte, int, error) {
	r.buf = buf
	err := r.raw.Read(r.try)
	buf = r.buf
	r.buf = nil
	switch {
	case err != nil:
		return buf, 0, err
	case r.err != nil:
		return buf, 0, r.err
	case r.n == 0:
		return buf, 0, io.EOF
	}
	return buf, r.n, nil
}
