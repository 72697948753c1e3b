package memnet

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Pipe returns the two ends of a connection that belongs to no network, with
// DefaultBuffer bytes of buffer in each direction.
func Pipe() (*Conn, *Conn) { return newLink(DefaultBuffer, false, "pipe-a", "pipe-b") }

// Conn is one end of a connection in memory: a reliable, buffered, full-duplex
// byte stream that behaves as TCP does. Its methods may be called concurrently.
type Conn struct {
	link          *link
	side          int // the index of the stream that this end writes
	local, remote Addr
}

// link is what both ends of a connection share.
type link struct {
	mu       sync.Mutex
	streams  [2]stream // by the end that writes them
	closed   [2]bool   // by end
	reset    bool
	graceful bool
	onClose  func() // called once, without mu, when both ends are closed; may be nil
}

// stream is one direction of a link: buf[off:] is written and not read yet.
type stream struct {
	buf      []byte
	off      int
	limit    int
	finished bool // the writer sends no more
	writing  bool // a Write is under way; others wait, so that they do not mix
	changed  signal

	readDeadline, writeDeadline deadline
}

func newLink(buffer int, graceful bool, a, b Addr) (*Conn, *Conn) {
	lk := &link{graceful: graceful}
	lk.streams[0].limit, lk.streams[1].limit = buffer, buffer
	return &Conn{lk, 0, a, b}, &Conn{lk, 1, b, a}
}

// Read reads what has arrived, or waits for something to arrive.
func (c *Conn) Read(p []byte) (int, error) {
	for {
		n, changed, err := c.tryRead(p)
		if changed == nil {
			return n, err
		}
		<-changed
	}
}

// tryRead reads, or returns what to wait for.
func (c *Conn) tryRead(p []byte) (int, <-chan struct{}, error) {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	s := c.incoming()
	switch {
	case c.link.closed[c.side]:
		return 0, nil, c.opError("read", net.ErrClosed)
	case s.readDeadline.passed:
		return 0, nil, c.opError("read", os.ErrDeadlineExceeded)
	case c.link.reset:
		return 0, nil, c.opError("read", syscall.ECONNRESET)
	case len(p) == 0:
		return 0, nil, nil
	case s.unread() > 0:
		n := copy(p, s.buf[s.off:])
		s.off += n
		if s.unread() == 0 {
			s.buf, s.off = s.buf[:0], 0
		}
		s.changed.wake()
		return n, nil, nil
	case s.finished:
		return 0, nil, io.EOF
	}
	return 0, s.changed.wait(), nil
}

// Write writes all of p, waiting while the buffer is full. Concurrent writes do
// not mix. A write to a peer that has closed succeeds, as with TCP, and resets
// the connection, unless the network closes gracefully.
func (c *Conn) Write(p []byte) (int, error) {
	written, mine := 0, false
	for {
		n, changed, err := c.tryWrite(p[written:], &mine)
		written += n
		if changed == nil {
			return written, err
		}
		<-changed
	}
}

// tryWrite writes what there is room for. It returns what to wait for if that
// was not all. mine says whether this Write has its turn.
func (c *Conn) tryWrite(p []byte, mine *bool) (n int, changed <-chan struct{}, err error) {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	s := c.outgoing()
	defer func() {
		if changed == nil && *mine {
			s.writing = false
			s.changed.wake()
		}
	}()
	switch {
	case c.link.closed[c.side]:
		return 0, nil, c.opError("write", net.ErrClosed)
	case s.writeDeadline.passed:
		return 0, nil, c.opError("write", os.ErrDeadlineExceeded)
	case c.link.reset:
		return 0, nil, c.opError("write", syscall.ECONNRESET)
	case s.finished:
		return 0, nil, c.opError("write", syscall.EPIPE)
	case c.link.closed[1-c.side] && c.link.graceful:
		return 0, nil, c.opError("write", syscall.EPIPE)
	case c.link.closed[1-c.side]:
		c.link.resetLocked()
		return len(p), nil, nil
	case s.writing && !*mine:
		return 0, s.changed.wait(), nil
	}
	s.writing, *mine = true, true
	if n = min(len(p), s.limit-s.unread()); n > 0 {
		s.append(p[:n])
		s.changed.wake()
	}
	if n < len(p) {
		return n, s.changed.wait(), nil
	}
	return n, nil, nil
}

// CloseWrite half-closes: the peer reads EOF after what was written. Reading
// goes on.
func (c *Conn) CloseWrite() error {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	switch {
	case c.link.closed[c.side]:
		return c.opError("close", net.ErrClosed)
	case c.link.reset:
		return c.opError("close", syscall.ECONNRESET)
	}
	s := c.outgoing()
	s.finished = true
	s.changed.wake()
	return nil
}

// Close closes this end. The peer reads what was written, then EOF, with the
// exception that TCP makes too: if this end has unread input, or if the peer
// writes afterwards, the connection is reset and the peer loses what it has not
// read. A network with GracefulClose makes no exception.
func (c *Conn) Close() error { return c.close(false) }

// Reset closes this end and resets the connection: the peer's operations fail
// with ECONNRESET, and what was written and not read is lost.
func (c *Conn) Reset() error { return c.close(true) }

func (c *Conn) close(reset bool) error {
	lk := c.link
	lk.mu.Lock()
	if lk.closed[c.side] {
		lk.mu.Unlock()
		return c.opError("close", net.ErrClosed)
	}
	last := lk.closed[1-c.side]
	lk.closed[c.side] = true
	in, out := c.incoming(), c.outgoing()
	in.readDeadline.stop()
	out.writeDeadline.stop()
	out.finished = true
	if reset || in.unread() > 0 && !lk.graceful {
		lk.resetLocked()
	}
	in.buf, in.off = nil, 0
	in.changed.wake()
	out.changed.wake()
	lk.mu.Unlock()
	if last && lk.onClose != nil {
		lk.onClose()
	}
	return nil
}

// LocalAddr returns the name of this end.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the name of the other end.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline makes reads fail from t on with os.ErrDeadlineExceeded, also
// those that wait already; zero means never.
func (c *Conn) SetReadDeadline(t time.Time) error {
	s := c.incoming()
	return c.setDeadline(&s.readDeadline, s, t)
}

// SetWriteDeadline does for writes what SetReadDeadline does for reads.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	s := c.outgoing()
	return c.setDeadline(&s.writeDeadline, s, t)
}

func (c *Conn) setDeadline(d *deadline, s *stream, t time.Time) error {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	if c.link.closed[c.side] {
		return c.opError("set", net.ErrClosed)
	}
	d.set(t, &c.link.mu, &s.changed)
	return nil
}

func (c *Conn) outgoing() *stream { return &c.link.streams[c.side] }
func (c *Conn) incoming() *stream { return &c.link.streams[1-c.side] }

func (c *Conn) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: "mem", Source: c.local, Addr: c.remote, Err: err}
}

// resetLocked resets the link: what is under way is lost.
func (lk *link) resetLocked() {
	lk.reset = true
	for i := range lk.streams {
		s := &lk.streams[i]
		s.buf, s.off = nil, 0
		s.changed.wake()
	}
}

func (s *stream) unread() int { return len(s.buf) - s.off }

// append adds p, which fits the limit, moving what is unread to the front
// before the buffer grows.
func (s *stream) append(p []byte) {
	if s.off > 0 && len(s.buf)+len(p) > cap(s.buf) {
		s.buf = s.buf[:copy(s.buf, s.buf[s.off:])]
		s.off = 0
	}
	s.buf = append(s.buf, p...)
}
