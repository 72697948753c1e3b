//go:build unix

package transport

import (
	"net"
	"syscall"
)

// rawConn returns what is needed to write to nc without blocking, or nil if
// that cannot be had. Only plain sockets qualify: a type that wraps one, as TLS
// does, must see the bytes itself.
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
