package transport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// Client is the dialing side of a connection. Its methods may be called
// concurrently.
type Client struct {
	link
	calls    table[pending]
	inFlight atomic.Int64
	draining atomic.Bool // the peer wants no new calls
	ending   atomic.Bool // the connection is on its end
	leaving  sync.Once   // guards the half-close of a drained connection
	peerInfo call.Peer

	// Guarded by w.mu.
	nextID  frame.StreamID
	methods []uint16 // ids on this connection, by call.Method.Index; 0 if not defined
	defined uint16   // the last id given
	slots   waitlist // calls that wait until the peer lets another one in

	// slotWaiters counts slots, for a look without the lock.
	slotWaiters atomic.Int32
	// strange is set if the peer turned out not to speak our protocol, so that
	// nothing sent to it was ever run.
	strange bool
	goneTo  frame.StreamID // the id of the last GOAWAY

	freeMu sync.Mutex
	free   *pending
}

// NewClient speaks the native protocol on nc, which it owns from then on. It
// returns at once; what the peer accepts is known when its settings have
// arrived.
func NewClient(nc net.Conn, cfg *Config, peer call.Peer) *Client {
	c := &Client{nextID: 1, peerInfo: peer, goneTo: frame.Undecided}
	c.peerRole = "server"
	c.init(nc, cfg)
	c.greet()
	c.tasks.Add(1)
	go c.run()
	return c
}

func (c *Client) run() {
	defer c.tasks.Done()
	err := c.handshake()
	if err == nil {
		err = c.serve(c)
	}
	switch over := c.over(); {
	case over != nil: // something else came first, and had the reading end
		err = over
	case err == io.EOF:
		err = errClosedByPeer
	}
	c.ending.Store(true)
	c.seal(err)
	c.failAll(&ConnError{Addr: c.addr(), Err: err})
	c.hangUp(err)
}

func (c *Client) handshake() error {
	if t := c.cfg.HandshakeTimeout; t > 0 {
		c.nc.SetReadDeadline(time.Now().Add(t))
	}
	if err := c.r.preface(); err != nil {
		c.strange = errors.Is(err, errNotRPCX)
		return err
	}
	if err := c.settle(); err != nil {
		c.strange = errors.Is(err, errRefused)
		return err
	}
	c.wakeSlots()
	return c.nc.SetReadDeadline(time.Time{})
}

// Peer returns the other end.
func (c *Client) Peer() call.Peer { return c.peerInfo }

// Usable reports whether new calls may be started.
func (c *Client) Usable() bool {
	select {
	case <-c.dead:
		return false
	default:
		return !c.draining.Load() && !c.ending.Load()
	}
}

// InFlight returns how many calls have started and not ended.
func (c *Client) InFlight() int { return int(c.inFlight.Load()) }

// Settled is closed when the peer's settings have arrived.
func (c *Client) Settled() <-chan struct{} { return c.settled }

// Dead is closed when the connection is over.
func (c *Client) Dead() <-chan struct{} { return c.dead }

// Err returns why the connection is over. It may be called once Dead is closed.
func (c *Client) Err() error { return &ConnError{Addr: c.addr(), Err: c.err} }

// Close ends the connection. Calls in flight fail with UNAVAILABLE. It returns
// when all goroutines of the connection have ended.
func (c *Client) Close() error {
	c.end(ErrClosed)
	c.tasks.Wait()
	return nil
}

// pending is a call in flight.
type pending struct {
	id    frame.StreamID
	epoch uint64 // value of w.batches when the call was appended

	// done receives once the reader has filled in the result of a unary call.
	done   chan struct{}
	timer  *time.Timer
	result result
	asm    assembly

	head   bool          // headers have arrived, or can no more
	stream *ClientStream // not nil for calls that stream
	next   *pending      // in the free list
}

// result is how a call ended, as the peer's CLOSE says. The reader copies it
// out of its buffer.
type result struct {
	err         *status.Error // the call's error
	headers     metadata.MD
	trailers    metadata.MD
	msg         []byte
	compression uint8
}

// keepMessage is the largest message buffer that is kept for the next call.
const keepMessage = 16 << 10

func (c *Client) newPending() *pending {
	c.freeMu.Lock()
	p := c.free
	if p != nil {
		c.free = p.next
	}
	c.freeMu.Unlock()
	if p == nil {
		p = &pending{done: make(chan struct{}, 1)}
	}
	return p
}

// recycle keeps p for another call. Nobody else may hold it.
func (c *Client) recycle(p *pending) {
	buf := p.result.msg
	if cap(buf) > keepMessage || c.cfg.Codec.Retains() {
		buf = nil
	}
	p.result = result{msg: buf[:0]}
	p.asm, p.stream, p.head = assembly{}, nil, false
	c.freeMu.Lock()
	p.next = c.free
	c.free = p
	c.freeMu.Unlock()
}

// frame handles a frame of a stream, or GOAWAY.
func (c *Client) frame(h *frame.Header, payload []byte) error {
	switch h.Type {
	case frame.TypeGoAway:
		return c.goAway(frame.ParseGoAway(h, payload))
	case frame.TypeData, frame.TypeClose:
		if c.calls.get(h.ID) == nil { // nothing of it is looked at
			return c.stray(h)
		}
	default:
		return protocolErrorf("%v from a server", h.Type)
	}
	if h.Flags.Has(frame.FlagHalfClose) {
		return protocolErrorf("HALF_CLOSE from a server on stream %d", h.ID)
	}
	var sec frame.Sections
	if err := frame.ParseSections(h, payload, &sec); err != nil {
		return err
	}
	if h.Type == frame.TypeData {
		return c.data(h, &sec)
	}
	p := c.calls.take(h.ID)
	if p == nil {
		return c.stray(h)
	}
	if err := c.closed(p, h, &sec); err != nil {
		c.calls.put(h.ID, p) // it ends with the connection
		return err
	}
	return nil
}

// stray drops a frame of a stream that has ended. One of a stream that was
// never opened is a breach.
func (c *Client) stray(h *frame.Header) error {
	c.w.mu.Lock()
	next := c.nextID
	c.w.mu.Unlock()
	if h.ID&1 == 0 || h.ID >= next {
		return protocolErrorf("%v for stream %d, which was not opened", h.Type, h.ID)
	}
	return c.late(h)
}

func (c *Client) streamCredit(h *frame.Header) error {
	p := c.calls.get(h.ID)
	if p == nil {
		return c.stray(h)
	}
	if s := p.stream; s != nil && s.method.Kind().CallerStreams() {
		return s.granted(int64(h.Arg))
	}
	return nil
}

func (c *Client) batchEnd() {}

// data takes in a DATA frame: headers, a stream's message or a part of a unary
// call's answer. The table's lock keeps a call that is given up meanwhile from
// being used for another one.
func (c *Client) data(h *frame.Header, sec *frame.Sections) error {
	var s *ClientStream
	var err error
	found := c.calls.with(h.ID, func(p *pending) {
		if s = p.stream; s == nil {
			err = c.unaryPart(p, h, sec)
		}
	})
	switch {
	case !found:
		return c.stray(h)
	case s != nil:
		return s.data(h, sec)
	}
	if over := breachOf(err); over != nil {
		if p := c.calls.take(h.ID); p != nil {
			c.cancelFrame(h.ID, over.Code())
			p.result.err = over
			c.signal(p)
		}
		return nil
	}
	return err
}

// headers takes in the response headers that h carries, if any.
func (c *Client) headers(p *pending, h *frame.Header, sec *frame.Sections) error {
	if h.Flags.Has(frame.FlagHeaders) {
		if p.head {
			return protocolErrorf("stream %d: HEADERS twice or after a message", h.ID)
		}
		p.head = true
		var err error
		p.result.headers, err = c.responseMetadata(sec.Headers)
		return err
	}
	p.head = p.head || h.Flags.Has(frame.FlagMessage)
	return nil
}

// unaryPart takes in a DATA frame of a unary call.
func (c *Client) unaryPart(p *pending, h *frame.Header, sec *frame.Sections) error {
	if h.Flags.Has(frame.FlagCredited) {
		return protocolErrorf("stream %d: CREDITED on a single message", h.ID)
	}
	if err := c.headers(p, h, sec); err != nil {
		return err
	}
	if !h.Flags.Has(frame.FlagMessage) {
		return c.idle()
	}
	if !h.Flags.Has(frame.FlagMore) {
		return protocolErrorf("stream %d: the single answer ends in DATA, not in CLOSE", h.ID)
	}
	c.flood.progressed()
	if err := c.checkFormat(h, p.asm.active(), status.Internal); err != nil {
		return err
	}
	if err := c.tooLarge(h, sec); err != nil && !p.asm.active() {
		return err
	}
	_, err := p.asm.add(h, sec)
	return err
}

// callBreach is a breach that costs only its call, such as a message or
// metadata above this side's limit.
type callBreach struct{ err *status.Error }

func (e *callBreach) Error() string { return e.err.Error() }

// breachOf returns what a breach costs the call, nil if err is none that only
// the call pays for.
func breachOf(err error) *status.Error {
	if b, ok := err.(*callBreach); ok {
		return b.err
	}
	return nil
}

// connectionBreach returns err unless only the call pays for it.
func connectionBreach(err error) error {
	if breachOf(err) != nil {
		return nil
	}
	return err
}

// tooLarge checks the message that h begins against this side's limit.
func (l *link) tooLarge(h *frame.Header, sec *frame.Sections) error {
	size := len(sec.Message)
	if h.Flags.Has(frame.FlagTotal) {
		size = int(sec.Total)
	}
	if limit := int(l.cfg.Settings.MaxMessage); size > limit {
		return &callBreach{status.New(status.ResourceExhausted,
			fmt.Sprintf("received message of %d bytes is above the limit of %d (option WithMaxMessageSize)", size, limit))}
	}
	return nil
}

// closed handles CLOSE for p, which has been taken out of the table.
func (c *Client) closed(p *pending, h *frame.Header, sec *frame.Sections) error {
	c.flood.progressed()
	r := &p.result
	err := c.headers(p, h, sec)
	if err == nil && h.Flags.Has(frame.FlagTrailers) {
		r.trailers, err = c.responseMetadata(sec.Trailers)
	}
	if over := breachOf(err); over != nil {
		r.err = over
	} else if err != nil {
		return err
	}
	if h.Code != 0 { // then that stands, whatever the metadata
		if r.err, err = closeError(h, sec); err != nil {
			return err
		}
	}
	if p.stream != nil {
		if err := p.stream.closed(h, sec, r); err != nil {
			return err
		}
		c.ended()
		return nil
	}
	if h.Flags.Has(frame.FlagMessage) {
		if err := c.answer(p, h, sec); err != nil {
			return err
		}
	} else if r.err == nil {
		return protocolErrorf("CLOSE of unary stream %d is OK and has no message", h.ID)
	}
	c.signal(p)
	return nil
}

// answer copies the message of a unary call, or its last part, out of the read buffer.
func (c *Client) answer(p *pending, h *frame.Header, sec *frame.Sections) error {
	r := &p.result
	if err := c.checkFormat(h, p.asm.active(), status.Internal); err != nil {
		r.err = breachOf(err)
		return connectionBreach(err)
	}
	if p.asm.active() {
		if _, err := p.asm.add(h, sec); err != nil {
			return err
		}
		r.msg, r.compression = p.asm.take()
		return nil
	}
	if err := c.tooLarge(h, sec); err != nil {
		r.err = breachOf(err)
		return nil
	}
	if c.cfg.Codec.Retains() {
		r.msg = make([]byte, 0, len(sec.Message))
	}
	r.msg, r.compression = append(r.msg[:0], sec.Message...), h.Compression
	return nil
}

// signal wakes the caller of a unary call that has been taken out of the table.
func (c *Client) signal(p *pending) {
	p.done <- struct{}{}
}

// ended counts a call that is over and lets one in that waits for a slot.
func (c *Client) ended() {
	if c.inFlight.Add(-1) == 0 && c.draining.Load() {
		c.leave()
	}
	if c.slotWaiters.Load() > 0 {
		c.w.mu.Lock()
		c.slots.wake(1)
		c.w.mu.Unlock()
	}
}

// leave half-closes a drained connection that no call uses any more. The server
// closes it then.
func (c *Client) leave() {
	c.leaving.Do(func() {
		c.w.mu.Lock()
		defer c.w.mu.Unlock()
		if c.w.overLocked() != nil {
			return
		}
		c.w.sealed = &ConnError{c.addr(), ErrDraining}
		c.tasks.Add(1)
		go func() {
			defer c.tasks.Done()
			c.closeWrite()
		}()
	})
}

// wakeSlots has all calls that wait for a slot look again.
func (c *Client) wakeSlots() {
	c.w.mu.Lock()
	c.slots.wakeAll()
	c.w.mu.Unlock()
}

func (c *Client) goAway(g frame.GoAway) error {
	if g.LastAccepted > c.goneTo {
		return protocolErrorf("GOAWAY of stream %d after one of %d", g.LastAccepted, c.goneTo)
	}
	c.goneTo = g.LastAccepted
	c.draining.Store(true)
	c.wakeSlots()
	refused := c.calls.takeIf(func(id frame.StreamID) bool { return id > g.LastAccepted })
	for _, p := range refused {
		c.fail(p, unavailable(&ConnError{c.addr(), ErrDraining}, true))
	}
	if g.Code != frame.NoError {
		return goAwayError(g)
	}
	if c.inFlight.Load() == 0 {
		c.leave()
	}
	return c.idle()
}

// failAll ends every call that is left when the connection is over.
func (c *Client) failAll(why error) {
	c.w.mu.Lock()
	batches := c.w.batches
	c.slots.wakeAll()
	c.w.mu.Unlock()
	for _, p := range c.calls.takeIf(func(frame.StreamID) bool { return true }) {
		c.fail(p, unavailable(why, c.strange || p.epoch == batches))
	}
}

func (c *Client) fail(p *pending, err *status.Error) {
	if p.stream != nil {
		c.ended()
		p.stream.fail(err)
		return
	}
	p.result.err = err
	c.signal(p)
}

// cancelFrame tells the peer that this side gives a call up.
func (c *Client) cancelFrame(id frame.StreamID, code status.Code) {
	if c.w.lock() == nil {
		c.w.buf = frame.AppendCancel(c.w.buf, id, code)
		c.w.unlockAsync()
	}
}

// responseMetadata decodes a block of the response. One that breaks the rules
// ends its call, one that cannot be taken apart the connection.
func (c *Client) responseMetadata(block []byte) (metadata.MD, error) {
	err := frame.CheckMetadata(block, int(c.cfg.Settings.MaxMetadata))
	if err == nil {
		return frame.ParseMetadata(block)
	}
	own, ok := err.(*frame.CallError)
	if !ok {
		return nil, err
	}
	code := own.Code
	if code != status.ResourceExhausted {
		code = status.Internal
	}
	return nil, &callBreach{status.New(code, "response metadata: "+own.Reason)}
}

// closeError returns the error that a CLOSE carries.
func closeError(h *frame.Header, sec *frame.Sections) (*status.Error, error) {
	msg, details := "", []status.Detail(nil)
	if h.Flags.Has(frame.FlagDetail) {
		var err error
		if msg, details, err = frame.ParseDetail(sec.Detail); err != nil {
			return nil, err
		}
	}
	e := status.New(status.Code(h.Code), msg)
	if len(details) > 0 {
		e = e.WithRawDetails(details...)
	}
	if h.Flags.Has(frame.FlagNotRun) {
		e = e.WithNotRun()
	}
	switch wait, never := frame.ArgPushBack(h.Arg); {
	case never:
		e = e.WithDoNotRetry()
	case wait > 0:
		e = e.WithRetryAfter(wait)
	}
	return e, nil
}
