package memnet

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Fault is a connection that fails on purpose, where a script says so. It wraps
// one end of any net.Conn; both directions are scripted independently. Its
// methods may be called concurrently.
//
// Offsets count the bytes that passed through the Fault, from 0, in each
// direction on its own.
type Fault struct {
	conn net.Conn
	// turn admits one operation of each direction at a time: channels, since
	// waiting for a mutex would not let the clock of testing/synctest go on.
	turn [2]chan struct{}

	mu     sync.Mutex // guards what follows
	lanes  [2]lane
	closed bool
	reset  bool
}

// NewFault wraps conn. Steps at the same place happen in the order given.
func NewFault(conn net.Conn, steps ...Step) *Fault {
	f := &Fault{conn: conn}
	for d := range f.turn {
		f.turn[d] = make(chan struct{}, 1)
	}
	f.Add(steps...)
	return f
}

// Add adds steps to the script. One that is due already, such as Step{Do:
// Stall()}, holds for every byte that has not been handed over yet, also for
// those that an operation under way is waiting for.
func (f *Fault) Add(steps ...Step) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range steps {
		l := &f.lanes[s.In&1]
		l.insert(s)
		l.changed.wake()
	}
}

// Heal ends Stall and Split in both directions and drops the rest of the
// script. What has been closed, reset or corrupted stays so.
func (f *Fault) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for d := range f.lanes {
		l := &f.lanes[d]
		l.steps, l.flips, l.split, l.stalled = nil, nil, 0, false
		l.changed.wake()
	}
}

// Offset returns how many bytes have passed in a direction; those that are being
// written have.
func (f *Fault) Offset(in Direction) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lanes[in&1].offset
}

// Write writes p, or as much of it as the script lets through.
func (f *Fault) Write(p []byte) (int, error) {
	f.turn[Outbound] <- struct{}{}
	defer func() { <-f.turn[Outbound] }()
	l := &f.lanes[Outbound]
	written := 0
	for {
		n, err := f.pass(l, "write", len(p)-written)
		if err != nil {
			return written, err
		}
		f.mu.Lock()
		piece := l.flipped(p[written : written+n])
		l.offset += int64(n) // before the other side can answer
		f.mu.Unlock()
		n, err = f.conn.Write(piece)
		written += n
		f.mu.Lock()
		l.offset -= int64(len(piece) - n)
		f.mu.Unlock()
		if err != nil || written == len(p) {
			return written, f.explain("write", err)
		}
	}
}

// Read reads into p what the script lets through.
func (f *Fault) Read(p []byte) (int, error) {
	f.turn[Inbound] <- struct{}{}
	defer func() { <-f.turn[Inbound] }()
	l := &f.lanes[Inbound]
	n, err := f.pass(l, "read", len(p))
	if err != nil {
		return 0, err
	}
	if len(l.held) == 0 {
		m, err := f.conn.Read(p[:n])
		if m == 0 {
			return 0, f.explain("read", err)
		}
		l.held = append(l.held, p[:m]...)
		// Steps that were added while Read waited hold for what it waited for.
		if _, err := f.pass(l, "read", m); err != nil {
			return 0, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n = copy(p[:n], l.flipped(l.held[:min(n, len(l.held))]))
	l.held = append(l.held[:0], l.held[n:]...)
	l.offset += int64(n)
	return n, nil
}

// pass runs the steps that are due in lane l, waiting where they say so,
// and returns how many of n bytes may move before the next one.
func (f *Fault) pass(l *lane, op string, n int) (int, error) {
	f.mu.Lock()
	for {
		if err := f.brokenLocked(l, op); err != nil {
			f.mu.Unlock()
			return 0, err
		}
		if l.stalled {
			changed := l.changed.wait()
			f.mu.Unlock()
			<-changed
			f.mu.Lock()
			continue
		}
		s, due := l.next()
		if !due {
			n = l.upTo(n)
			f.mu.Unlock()
			return n, nil
		}
		f.happenLocked(l, s)
	}
}

// happenLocked makes s happen in lane l. It unlocks mu while it waits or calls
// the wrapped connection.
func (f *Fault) happenLocked(l *lane, s Step) {
	switch s.Do.kind {
	case kindSplit:
		l.split = s.Do.n
	case kindStall:
		l.stalled = true
	case kindFIN:
		l.finished = true
		if s.In == Outbound {
			f.mu.Unlock()
			if closeWrite(f.conn) != nil {
				f.conn.Close()
			}
			f.mu.Lock()
		}
	case kindRST:
		f.mu.Unlock()
		f.Reset()
		f.mu.Lock()
	case kindDelay:
		f.delayLocked(l, s.Do.delay)
	}
}

// delayLocked waits for d, or until the lane breaks.
func (f *Fault) delayLocked(l *lane, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for f.brokenLocked(l, "") == nil {
		changed := l.changed.wait()
		f.mu.Unlock()
		select {
		case <-timer.C:
			f.mu.Lock()
			return
		case <-changed:
		}
		f.mu.Lock()
	}
}

// brokenLocked returns the error of an operation that cannot go on.
func (f *Fault) brokenLocked(l *lane, op string) error {
	switch {
	case f.reset:
		return f.opError(op, syscall.ECONNRESET)
	case f.closed:
		return f.opError(op, net.ErrClosed)
	case l.deadline.passed:
		return f.opError(op, os.ErrDeadlineExceeded)
	case l.finished && l == &f.lanes[Inbound]:
		return io.EOF
	case l.finished:
		return f.opError(op, syscall.EPIPE)
	}
	return nil
}

// explain turns the error that the wrapped connection gives after a reset of
// ours into the reset.
func (f *Fault) explain(op string, err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil && f.reset {
		return f.opError(op, syscall.ECONNRESET)
	}
	return err
}

// Reset resets the connection at once, as RST does.
func (f *Fault) Reset() {
	f.mu.Lock()
	f.reset = true
	f.wakeLocked()
	f.mu.Unlock()
	reset(f.conn)
}

// CloseWrite half-closes the connection, if it can be.
func (f *Fault) CloseWrite() error { return closeWrite(f.conn) }

// Close closes the connection and ends what waits in it.
func (f *Fault) Close() error {
	f.mu.Lock()
	f.closed = true
	f.wakeLocked()
	for d := range f.lanes {
		f.lanes[d].deadline.stop()
	}
	wasReset := f.reset
	f.mu.Unlock()
	err := f.conn.Close()
	if wasReset {
		return nil // it was closed then
	}
	return err
}

func (f *Fault) wakeLocked() {
	for d := range f.lanes {
		f.lanes[d].changed.wake()
	}
}

// LocalAddr returns the wrapped connection's.
func (f *Fault) LocalAddr() net.Addr { return f.conn.LocalAddr() }

// RemoteAddr returns the wrapped connection's.
func (f *Fault) RemoteAddr() net.Addr { return f.conn.RemoteAddr() }

// SetDeadline sets both deadlines.
func (f *Fault) SetDeadline(t time.Time) error {
	f.setDeadline(Inbound, t)
	f.setDeadline(Outbound, t)
	return f.conn.SetDeadline(t)
}

// SetReadDeadline sets when reads fail, scripted waits included.
func (f *Fault) SetReadDeadline(t time.Time) error {
	f.setDeadline(Inbound, t)
	return f.conn.SetReadDeadline(t)
}

// SetWriteDeadline sets when writes fail, scripted waits included.
func (f *Fault) SetWriteDeadline(t time.Time) error {
	f.setDeadline(Outbound, t)
	return f.conn.SetWriteDeadline(t)
}

func (f *Fault) setDeadline(in Direction, t time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		l := &f.lanes[in]
		l.deadline.set(t, &f.mu, &l.changed)
	}
}

func (f *Fault) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: "mem", Source: f.conn.LocalAddr(), Addr: f.conn.RemoteAddr(), Err: err}
}

// closeWrite closes the write side of conn, which all stream connections of the
// standard library can do.
func closeWrite(conn net.Conn) error {
	if c, ok := conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errors.ErrUnsupported
}

// reset resets conn if it can be, and otherwise closes it.
func reset(conn net.Conn) {
	switch c := conn.(type) {
	case *Conn:
		_ = c.Reset()
	case *Fault:
		c.Reset()
	case *net.TCPConn:
		_ = c.SetLinger(0)
		c.Close()
	default:
		conn.Close()
	}
}
