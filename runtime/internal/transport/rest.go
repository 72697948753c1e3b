package transport

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// errRest ends a stretch of reading because nothing came for restAfter.
var errRest = errors.New("the connection rests")

// attend reads until the connection ends, and tells r, or until it rests: then
// other goroutines go on, one at a time. It begins with the handshake if begins
// is set. While it waits for input it must use less than 1 KiB of stack: new stacks
// are as large as the average of those in use asks for, and those of connections
// at rest would be 4 KiB, not 2.
func (l *link) attend(r role, begins bool) {
	why, rests := errGoexit, false
	defer func() {
		if !rests {
			l.giveReader()
			r.over(why)
		}
	}()
	if begins {
		err := r.handshake()
		if err == nil {
			err = l.r.watch(l.cfg.RestAfter)
		}
		if err != nil {
			why = err
			return
		}
	}
	err := r.serve()
	if err != errRest {
		why = err
		return
	}
	rests = true
	raw := l.r.receiver.raw
	l.giveReader()
	r.rest()
	go l.rest(r, raw)
}

// rest waits until something comes. A stack that has grown never becomes as
// small as a new one: the waiting is done by a new goroutine, which calls little.
func (l *link) rest(r role, raw syscall.RawConn) {
	if err := await(raw); err != nil {
		r.over(err)
		return
	}
	l.takeReader()
	l.r.sums, l.r.restAfter = l.sums, l.cfg.RestAfter
	l.attend(r, false)
}

// takeReader prepares to read.
func (l *link) takeReader() {
	l.r = readers.Get().(*reader)
	l.r.init(l.nc, l.w.raw, l.cfg.Settings.MaxFrame)
	l.sections = &l.r.sections
	if l.cfg.BusyPoll > 0 && l.r.lazy {
		l.r.receiver.poller = newPoller(l.cfg.BusyPoll, &l.dead)
	}
}

// giveReader gives the reader back: nothing is read for a while, or any more.
func (l *link) giveReader() {
	d := l.r
	l.r, l.sections = nil, nil
	d.giveBack()
	d.reset()
	readers.Put(d)
}

// errGoexit ends a connection whose reading goroutine was ended by a handler
// that runs on it.
var errGoexit = errors.New("a handler ended the goroutine that reads the connection")

// restsOn returns what tells when there is something to be read from nc, or nil
// if that cannot be had. A TLS connection reads from its socket only when it
// has nothing more to give, so that one whose Read has waited in vain has
// something to read when its socket has.
func restsOn(nc net.Conn) syscall.RawConn {
	if secured, ok := nc.(interface {
		ConnectionState() tls.ConnectionState
		NetConn() net.Conn
	}); ok {
		nc = secured.NetConn()
	}
	return rawConn(nc)
}

// watch has the connection rest from now on when nothing has come for the given
// time, if it can.
func (d *reader) watch(restAfter time.Duration) error {
	if d.receiver.raw == nil || restAfter <= 0 {
		return nil
	}
	d.restAfter, d.now = restAfter, time.Now()
	return d.limit(restAfter)
}

// limit has reads fail after the given time.
func (d *reader) limit(left time.Duration) error {
	d.limited = true
	return d.nc.SetReadDeadline(time.Now().Add(left))
}

// waitedLong is called when a read has failed with err. It returns nil if that
// should be tried again, because it has only waited for long, errRest if the
// connection is to rest, and errRelieved if somebody else is to read on.
func (d *reader) waitedLong(err error) error {
	if d.interrupted.Load() && errors.Is(err, os.ErrDeadlineExceeded) {
		return errRelieved
	}
	if !d.limited || !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	// The deadline is set once in a while, not before each read.
	left := d.restAfter - time.Since(d.now)
	if d.lent {
		left = d.restAfter // a caller does not rest
	}
	if left > 0 {
		return d.limit(left)
	}
	d.limited = false
	if err := d.nc.SetReadDeadline(time.Time{}); err != nil || d.r < d.w || d.missing > 0 {
		return err
	}
	d.giveBack()
	return errRest
}

// giveBack gives back the buffer and what is in it.
func (d *reader) giveBack() {
	giveReadBuffer(d.buf)
	d.buf, d.r, d.w = nil, 0, 0
}

// resume has reads wait for as long as before they were interrupted.
func (d *reader) resume() error {
	d.interrupted.Store(false)
	if d.restAfter > 0 {
		return d.limit(d.restAfter)
	}
	d.limited = false
	return d.nc.SetReadDeadline(time.Time{})
}
