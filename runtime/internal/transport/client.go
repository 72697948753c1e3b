package transport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
)

// Client is the dialing side of a connection. Its methods may be called
// concurrently.
type Client struct {
	link
	calls    table[pending]
	inFlight atomic.Int64
	draining atomic.Bool // the peer, or this side, wants no new calls
	told     atomic.Bool // it was the peer that said so
	ending   atomic.Bool // the connection is on its end
	leaving  sync.Once   // guards the half-close of a drained connection
	left     chan struct{}
	peerInfo call.Peer
	holder   Holder
	reading  sync.WaitGroup // the reading goroutine, or what waits in its place

	// Guarded by w.mu.
	nextID  frame.StreamID
	methods []uint16 // ids on this connection, by call.Method.Index; 0 if not defined
	defined uint16   // the last id given
	slots   waitlist // calls that wait until the peer lets another one in

	// slotWaiters counts slots, for a look without the lock.
	slotWaiters atomic.Int32
	// strange is set if the peer turned out not to speak our protocol, so that
	// nothing sent to it was ever run.
	strange  bool
	goneTo   frame.StreamID // the id of the last GOAWAY
	answered atomic.Bool    // something has come from the peer
	served   atomic.Bool    // a call has been answered

	// answers are calls that have been answered, whose callers have not been woken yet; of
	// whoever is on duty.
	answers []*pending

	duty duty // who reads
}

// Holder is told how a client connection goes. It is called on the goroutine that
// reads it.
type Holder interface {
	// Begun is called when the peer's settings have arrived.
	Begun()
	// Ended is called last, once, when nothing of the connection runs any more.
	Ended()
}

// NewClient begins to speak the native protocol on nc, which it owns from then on.
// Whoever makes one calls Run. What the peer accepts is known when its settings
// have arrived; calls wait for them, but for those that may be sent before.
func NewClient(nc net.Conn, cfg *Config, peer call.Peer) *Client {
	c := &Client{nextID: 1, peerInfo: peer, goneTo: frame.Undecided, left: make(chan struct{})}
	c.init(nc, cfg)
	c.reading.Add(1)
	c.greet()
	return c
}

// Run reads. It returns when the connection has ended or comes to rest. Calls that
// are ready to be sent early go along with the greeting.
func (c *Client) Run(h Holder) {
	c.holder = h
	c.w.flush(true)
	c.attend(c, true)
}

// over implements role.
func (c *Client) over(err error) {
	defer c.reading.Done()
	switch over := c.reason(); {
	case over != nil: // something else came first, and had the reading end
		err = over
	case err == io.EOF:
		err = errClosedByPeer
	}
	c.signalAnswered()
	c.ending.Store(true)
	c.seal(err, true) // calls that wait in the buffer never ran, and are told so
	c.failAll(&ConnError{Addr: c.addr(), Err: err})
	c.budget.close()
	c.hangUp(err)
	c.tasks.Wait()
	c.holder.Ended()
}

// rest implements role.
func (c *Client) rest() {
	c.calls.trim()
	c.answers = nil
	c.duty.back, c.duty.timer = nil, nil
}

// handshake implements role.
func (c *Client) handshake() error {
	if t := c.cfg.HandshakeTimeout; t > 0 {
		c.nc.SetReadDeadline(time.Now().Add(t))
	}
	err := c.r.preface()
	c.answered.Store(c.r.w > 0)
	if err != nil {
		c.strange = errors.Is(err, errNotRPCX)
		return c.tooSlow(err)
	}
	if err := c.settle(); err != nil {
		c.strange = errors.Is(err, errRefused)
		return c.tooSlow(err)
	}
	c.wakeSlots()
	c.holder.Begun()
	return c.nc.SetReadDeadline(time.Time{})
}

// tooSlow names the limit if err says that it was exceeded.
func (c *Client) tooSlow(err error) error {
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		return fmt.Errorf("no preface and SETTINGS within %v (option WithHandshakeTimeout): %w", c.cfg.HandshakeTimeout, err)
	}
	return err
}

// Peer returns the other end.
func (c *Client) Peer() call.Peer { return c.peerInfo }

// Usable reports whether new calls may be started.
func (c *Client) Usable() bool {
	return !c.dead.happened() && !c.draining.Load() && !c.ending.Load()
}

// InFlight returns how many calls have started and not ended.
func (c *Client) InFlight() int { return int(c.inFlight.Load()) }

// Settled is closed when the peer's settings have arrived.
func (c *Client) Settled() <-chan struct{} { return c.settled.done() }

// Left is closed when the connection drains and the last call on it has ended.
// The peer closes the connection then; if it does not, this side does after a while.
func (c *Client) Left() <-chan struct{} { return c.left }

// Draining reports whether no calls may be started any more because one side
// wants to close the connection in good order.
func (c *Client) Draining() bool { return c.draining.Load() }

// Dismissed reports whether it was the peer that wants no new calls.
func (c *Client) Dismissed() bool { return c.told.Load() }

// Retire has no more calls start. Those in flight go on; Left is closed after the
// last one.
func (c *Client) Retire() {
	c.draining.Store(true)
	c.wakeSlots()
	if c.inFlight.Load() == 0 {
		c.leave()
	}
}

// Dead is closed when the connection is over.
func (c *Client) Dead() <-chan struct{} { return c.dead.done() }

// Unanswered reports whether the connection was lost before anything came from
// the peer, as one is that waits to be accepted by a server which stops
// listening. It may be called once Dead is closed.
func (c *Client) Unanswered() bool {
	return !c.answered.Load() && !errors.Is(c.err, os.ErrDeadlineExceeded)
}

// Served reports whether the peer has answered a call.
func (c *Client) Served() bool { return c.served.Load() }

// Err returns why the connection is over. It may be called once Dead is closed.
func (c *Client) Err() error { return &ConnError{Addr: c.addr(), Err: c.err} }

// End ends the connection. Calls in flight fail with UNAVAILABLE.
func (c *Client) End() { c.end(ErrClosed) }

// Close is End, and returns when all goroutines of the connection have ended.
func (c *Client) Close() error {
	c.End()
	c.reading.Wait()
	return nil
}
