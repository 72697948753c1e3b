//go:build !unix

package transport

import (
	"errors"
	"net"
	"syscall"
)

// rawConn returns nil: batches are written by a goroutine, and idle connections
// keep a small buffer.
func rawConn(net.Conn) syscall.RawConn { return nil }

func writeSome(syscall.RawConn, *batch) (int, error) { return 0, errors.ErrUnsupported }

type receiver struct {
	raw    syscall.RawConn
	most   int
	poller *poller
}

func (*receiver) init(syscall.RawConn, bool) {}

func (*receiver) reset() {}

func await(syscall.RawConn) error { return errors.ErrUnsupported }

func (*receiver) read(buf []byte, from, to int) ([]byte, int, int, error) {
	return buf, from, to, errors.ErrUnsupported
}

func (*receiver) readInto(_ *assembly, _ int, buf []byte) (int, []byte, error) {
	return 0, buf, errors.ErrUnsupported
}
