package transport

import (
	"errors"
	"sync/atomic"
	"time"
)

// A client's connection is read by a goroutine of its own, which wakes the callers.
// For a caller that is alone this is a detour: two goroutines are woken for one
// answer. So where one call follows the other and each is soon answered, the goroutine
// that reads stands by, and callers read their answers themselves.
//
// Whoever reads is on duty, and nobody else touches what is of the reading goroutine.
// The goroutine that stands by looks in once in a while. It takes the duty back if no
// more calls come, and from a caller that waits for long, since one that reads cannot
// see that its call is canceled. A caller that is done gives it back if others wait for
// answers.

const (
	// loneCalls is after how many calls, each of them alone and soon behind the one
	// before, the goroutine that reads stands by.
	loneCalls = 16
	// soon is how far apart their answers are at most.
	soon = 500 * time.Microsecond
	// lookIn is how often the goroutine that stands by looks in. So a caller notices
	// within twice that time that its call is canceled.
	lookIn = time.Millisecond
)

// Who is on duty.
const (
	dutyReader int32 = iota // the goroutine that reads
	dutyFree                // nobody, until a call is sent
	dutyCaller              // a caller
	dutyWanted              // a caller, which is to give it back
)

// duty tells who reads a client's connection.
type duty struct {
	of    atomic.Int32
	turns atomic.Uint32 // how often callers have taken it
	// back receives when the goroutine that stands by is on duty again; nil before
	// it has first stood by.
	back  chan struct{}
	timer *time.Timer // of that goroutine

	// What follows is of whoever is on duty.

	caller *pending  // whose caller it is; nil: the goroutine that reads
	streak int       // lone calls
	latest time.Time // when the last of them was answered
	err    error     // what ended the reading of the last caller, if that is for good
}

// errRelieved ends a stretch of reading because somebody else goes on.
var errRelieved = errors.New("somebody else reads")

// errDropped ends a connection whose reading was broken off with its caller's goroutine.
var errDropped = errors.New("a panic, or Goexit, ended the caller that read the connection")

// longPast is a deadline that interrupts a read.
var longPast = time.Unix(1, 0)

// serve implements role.
func (c *Client) serve() error {
	for {
		err := c.link.serve(c)
		if err == errRelieved {
			err = c.standBy()
		}
		if err != nil {
			return err
		}
	}
}

// relieved reports whether somebody else is to read on, when all frames received so
// far have been handled and those whose answers these were have been woken. lone says
// that this was one call, and no other was in flight.
func (c *Client) relieved(lone bool) bool {
	d := &c.duty
	if p := d.caller; p != nil {
		return len(p.done) > 0 || d.of.Load() == dutyWanted
	}
	if !lone || c.r.receiver.raw == nil { // a read without it cannot be interrupted
		d.streak = 0
		return false
	}
	if d.streak++; c.r.now.Sub(d.latest) > soon {
		d.streak = 1
	}
	d.latest = c.r.now
	return d.streak >= loneCalls
}

// standBy has callers read until the goroutine that reads, which calls it, is on duty
// again. It returns what the reading has ended with meanwhile.
func (c *Client) standBy() error {
	d := &c.duty
	if d.back == nil {
		d.back, d.timer = make(chan struct{}, 1), time.NewTimer(lookIn)
	} else {
		d.timer.Reset(lookIn)
	}
	defer d.timer.Stop()
	seen := d.turns.Load()
	d.of.Store(dutyFree)
	if c.calls.len() > 0 { // a call was sent while nobody could take the duty
		c.callBack()
	}
	for {
		select {
		case <-d.back:
			return c.takeBack()
		case <-d.timer.C:
			seen = c.lookIn(seen)
			d.timer.Reset(lookIn)
		}
	}
}

// lookIn looks whether the duty has been taken since that had happened seen times,
// which it returns anew. If not, it calls it back.
func (c *Client) lookIn(seen uint32) uint32 {
	d := &c.duty
	if turns := d.turns.Load(); turns != seen {
		return turns
	}
	c.callBack()
	if d.of.CompareAndSwap(dutyCaller, dutyWanted) {
		c.r.interrupted.Store(true)
	}
	if d.of.Load() == dutyWanted {
		c.nc.SetReadDeadline(longPast) // again and again, as the reader sets it, too
	}
	return seen
}

// callBack has the goroutine that stands by read again, unless a caller does.
func (c *Client) callBack() {
	if d := &c.duty; d.of.CompareAndSwap(dutyFree, dutyReader) {
		d.back <- struct{}{}
	}
}

// takeBack goes on with what a caller has left, or nobody had to begin with.
func (c *Client) takeBack() error {
	c.duty.streak = 0
	if err := c.duty.err; err != nil || !c.r.interrupted.Load() {
		return err
	}
	return c.r.resume()
}

// readAlone has p's caller read until p is answered, or the duty is wanted back, if
// nobody has it. The deadline is p's; those that are near are better waited for.
func (c *Client) readAlone(p *pending, deadline time.Time) {
	d := &c.duty
	if d.of.Load() != dutyFree {
		return
	}
	if !deadline.IsZero() && time.Until(deadline) < 2*lookIn {
		c.callBack()
		return
	}
	if !d.of.CompareAndSwap(dutyFree, dutyCaller) {
		return
	}
	d.turns.Add(1)
	d.caller, c.r.lent = p, true
	err := errDropped
	defer func() { c.readEnough(err) }()
	err = c.link.serve(c)
}

// readEnough ends a caller's reading, which has ended with err.
func (c *Client) readEnough(err error) {
	d := &c.duty
	c.signalAnswered()
	d.caller, c.r.lent = nil, false
	switch {
	case err != errRelieved:
		d.err = err
	case !c.r.buffered() && d.of.CompareAndSwap(dutyCaller, dutyFree):
		if c.calls.len() > 0 {
			c.callBack()
		}
		return
	}
	d.of.Store(dutyReader)
	d.back <- struct{}{}
}
