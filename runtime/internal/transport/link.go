package transport

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rpcx-go/rpcx/runtime/codec"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
)

// Config is what both roles of a connection are made from.
type Config struct {
	// Settings are what this side accepts from the peer.
	Settings frame.Settings
	// Codec encodes and decodes messages of calls that this side makes. Calls of
	// the peer may use it, too, and those in Codecs. The settings offer them all.
	Codec  codec.Codec
	Codecs []codec.Codec
	// Compressors decompress what the settings accept; it may be nil if they
	// accept nothing.
	Compressors *codec.Compressors
	// Compressor compresses messages of at least CompressFrom bytes for peers
	// that accept it; nil compresses none.
	Compressor   codec.Compressor
	CompressFrom int
	// HandshakeTimeout bounds the time until the peer's preface and settings
	// have arrived; zero means for ever.
	HandshakeTimeout time.Duration
	// WriteStall is how long the peer may take nothing before the connection
	// ends; zero means for ever.
	WriteStall time.Duration
	// MaxStreamCredit and MaxConnCredit are how far the credits grow that the
	// settings begin with; what is not above those does not grow.
	MaxStreamCredit, MaxConnCredit uint32
	// Budget bounds what is being received; nil is one of DefaultBudget bytes for
	// the whole process.
	Budget *Budget
	// RestAfter is how long nothing must come before a connection gives back
	// what it can do without until something comes; zero means never.
	RestAfter time.Duration
	// BusyPoll is for how long the goroutine that reads a plain socket tries again
	// before it waits, as long as that is of use; zero means never.
	BusyPoll time.Duration
	// Log receives why connections end.
	Log *slog.Logger
}

// linger is how long a closing side reads on, so that its last frames are not
// destroyed by a reset.
const linger = time.Second

// link is one native connection, as far as both roles are alike: frames in,
// frames out, settings, pings and the connection's credit.
type link struct {
	nc  net.Conn
	cfg *Config
	w   writer
	r   *reader // nil while the link rests, and when it is over; of the reading goroutine
	// remote is what the other side accepts: the minimum until its SETTINGS
	// arrive, which settled tells.
	remote  atomic.Pointer[frame.Settings]
	settled event

	// tasks counts the goroutines that read and write for this link.
	tasks sync.WaitGroup
	// dead tells that the link is over; err says why. Only end writes err.
	dead    event
	endOnce sync.Once
	accepts bool // this is the accepting side
	sums    bool // frames may carry checksums; set with settled
	// dry says that the streams of this connection run dry; see dryness.
	dry atomic.Bool
	err error

	// credit is what this side may send of credited frames; it, waiting and
	// turn are guarded by w.mu.
	credit  int64
	waiting waitlist
	turn    *turn // of those that have waited; nil before the first
	// window is what the peer may still send, owed what was consumed and has
	// not been granted again.
	window atomic.Int64
	owed   atomic.Int64
	// limit is the connection's window: what the peer may have outstanding at
	// most. It grows.
	limit      atomic.Int64
	unmeasured unmeasured
	probe      atomic.Pointer[probe] // nil before the first
	// budget is what this connection holds of the receive budget, charged what
	// of that is for unread messages of streams.
	budget  account
	charged atomic.Int64

	// sections are those of the frame that is being handled, of the reading
	// goroutine; nil while the link rests.
	sections *frame.Sections

	// received counts reads, for those who want to know whether the peer lives.
	received atomic.Uint64
	// unary tells when unary calls, or their answers, have come.
	unary lately
	flood flood
	// accepted is the id of the last stream of the peer that was accepted, for GOAWAY.
	accepted atomic.Uint64
	// progress counts stream messages sent.
	progress atomic.Uint64
	pings    pings
	// lateFrames counts frames that were dropped because their stream had ended.
	lateFrames atomic.Uint64
	// excused is the credit that the peer still had on streams that this side
	// gave up: frames that draw on it were on their way and are no flood.
	excused atomic.Int64
}

func (l *link) init(nc net.Conn, cfg *Config) {
	l.nc, l.cfg = nc, cfg
	if l.budget.budget = cfg.Budget; cfg.Budget == nil {
		l.budget.budget = processBudget
	}
	l.w.init(nc, rawConn(nc), cfg.WriteStall, &l.tasks, l.end)
	l.takeReader()
	l.remote.Store(&leastSettings)
	l.credit = int64(leastSettings.ConnCredit)
	l.window.Store(int64(cfg.Settings.ConnCredit))
	l.limit.Store(int64(cfg.Settings.ConnCredit))
}

// leastSettings are what every peer accepts. Nobody changes them.
var leastSettings = frame.MinimumSettings()

// peer returns what the other side accepts.
func (l *link) peer() *frame.Settings { return l.remote.Load() }

// peerRole says what the other side is, for messages to people.
func (l *link) peerRole() string {
	if l.accepts {
		return "client"
	}
	return "server"
}

// greet appends the preface and this side's settings. The caller promises to call
// w.flush soon.
func (l *link) greet() {
	if l.w.lock() != nil {
		return
	}
	l.w.buf = append(l.w.buf, frame.Preface...)
	l.w.buf = frame.AppendSettings(l.w.buf, l.cfg.Settings)
	l.w.unlockLater()
}

// settle reads the peer's SETTINGS, which must come first.
func (l *link) settle() error {
	var h frame.Header
	payload, err := l.r.next(&h)
	if err != nil {
		return err
	}
	switch h.Type {
	case frame.TypeSettings:
	case frame.TypeGoAway:
		g := frame.ParseGoAway(&h, payload)
		if g.Code == frame.NoError {
			return protocolErrorf("the first frame is a GOAWAY without an error")
		}
		return fmt.Errorf("%w: %w", errRefused, goAwayError(g))
	default:
		return protocolErrorf("the first frame is %v, not SETTINGS", h.Type)
	}
	s, err := frame.ParseSettings(payload)
	if err != nil {
		return err
	}
	accepted := &l.cfg.Settings // which most peers share
	if s != *accepted {
		own := s
		accepted = &own
	}
	l.w.mu.Lock()
	l.credit += int64(s.ConnCredit) - int64(l.peer().ConnCredit)
	l.remote.Store(accepted)
	l.w.mu.Unlock()
	l.sums = s.Checksum == 1 && l.cfg.Settings.Checksum == 1
	if l.r.sums = l.sums; l.sums {
		l.w.sum()
	} else {
		l.w.refer()
	}
	l.settled.happen()
	return nil
}

// role is what differs between client and server.
type role interface {
	// handshake reads what the connection begins with.
	handshake() error
	// frame handles a frame of a stream, or GOAWAY. The payload is valid until it returns.
	frame(h *frame.Header, payload []byte) error
	// streamCredit handles CREDIT for a stream.
	streamCredit(h *frame.Header) error
	// batchEnd is called when all frames received so far have been handled, and
	// before one whose handling may wait. It reports whether somebody else is to
	// read on.
	batchEnd() (relieved bool)
	// serve reads until the connection ends or rests, and returns why.
	serve() error
	// rest is called when nothing has come for a while, to give back memory.
	rest()
	// over is called last, once, when the reading has ended because of err.
	over(err error)
}

// serve reads frames until the connection ends, it rests, or somebody else is to read
// on, and returns which.
func (l *link) serve(r role) error {
	h := &l.r.header
	for {
		payload, err := l.r.next(h)
		if err != nil {
			return err
		}
		switch h.Type {
		case frame.TypePing:
			r.batchEnd() // the answer may have to wait
			err = l.ping(h, payload)
		case frame.TypeCredit:
			if err = l.idle(); err == nil {
				err = l.granted(r, h)
			}
		case frame.TypeSettings:
			err = protocolErrorf("SETTINGS twice")
		case frame.TypeGoAway, frame.TypeOpen, frame.TypeData, frame.TypeClose, frame.TypeCancel:
			err = r.frame(h, payload)
		default:
			err = l.idle() // it may be ignored
		}
		if err != nil {
			return err
		}
		if !l.r.buffered() {
			l.received.Add(1)
			if r.batchEnd() {
				return errRelieved
			}
		}
	}
}

func (l *link) granted(r role, h *frame.Header) error {
	n := int64(h.Arg)
	if h.ID != 0 {
		return r.streamCredit(h)
	}
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	l.credit += n
	if l.credit > frame.MaxCredit {
		return &frame.Error{Code: frame.FlowControlError, Reason: fmt.Sprintf("connection credit of %d is above the limit of %d (fixed)", l.credit, int64(frame.MaxCredit))}
	}
	l.waiting.wake(1)
	return nil
}

// drawn accounts for a credited frame that arrived.
func (l *link) drawn(n int64) error {
	if left := l.window.Add(-n); left < 0 {
		return &frame.Error{Code: frame.FlowControlError, Reason: fmt.Sprintf("connection credit overdrawn by %d bytes, the window is %d (option WithConnWindow)", -left, l.limit.Load())}
	}
	return nil
}

// release gives back n bytes of the connection's credit that the peer drew.
func (l *link) release(n int64) { l.appendCredit(0, l.owe(n)) }

// owe is release, except that it returns what is to be granted to the peer now.
func (l *link) owe(n int64) (grant int64) {
	if n == 0 {
		return 0
	}
	owed := l.owed.Add(n)
	if p := l.probe.Load(); p != nil && p.active.Load() {
		p.conn.Add(n)
	}
	// If the swap fails, somebody else adds: the last one grants.
	if owed >= l.limit.Load()/4 && l.owed.CompareAndSwap(owed, 0) {
		l.window.Add(owed)
		grant = owed
	}
	if l.charged.Load() > 0 {
		l.uncountUnread()
	}
	return grant
}

// late drops a frame of a stream that has ended.
func (l *link) late(h *frame.Header) error {
	l.lateFrames.Add(1)
	if h.Type == frame.TypeCredit { // counted as one without progress already
		return nil
	}
	if !h.Flags.Has(frame.FlagCredited) || h.Type != frame.TypeData {
		return l.idle()
	}
	n := int64(h.Cost())
	if err := l.drawn(n); err != nil {
		return err
	}
	l.release(n)
	return l.excuse(n)
}

// excuse takes a late frame of n bytes for one that was on its way when its
// stream was given up, if that can be, and else for one without progress.
func (l *link) excuse(n int64) error {
	for {
		left := l.excused.Load()
		if left < n {
			return l.idle()
		}
		if l.excused.CompareAndSwap(left, left-n) {
			return nil
		}
	}
}

// idle counts a frame that brings no call forward. Too many of them are a flood.
func (l *link) idle() error { return l.flood.count(l.r.now, l.progress.Load()) }

// end ends the link: nothing is sent or received any more. The first reason stays.
func (l *link) end(err error) {
	l.detach(err)
	l.nc.Close()
}

// detach is end, except that somebody else goes on with the connection.
func (l *link) detach(err error) {
	l.endOnce.Do(func() {
		l.err = err
		l.dead.happen()
	})
	if _, ok := err.(*ConnError); !ok {
		err = &ConnError{l.addr(), err}
	}
	l.w.close(err)
}

// seal has nothing more be sent but what waits to be written and, if err is a
// breach of the peer's, a GOAWAY that says so. With drop, what waits is not sent
// either: none of it has left. It is called on the reading goroutine when that
// has ended because of err; hangUp follows.
func (l *link) seal(err error, drop bool) {
	if l.w.lock() != nil {
		return
	}
	if drop {
		l.w.dropLocked()
	}
	if breach, ok := errors.AsType[*frame.Error](err); ok {
		l.w.buf = frame.AppendGoAway(l.w.buf, frame.StreamID(l.accepted.Load()&^noMore), breach.Code, breach.Reason)
	}
	l.w.sealed = &ConnError{l.addr(), err}
	l.w.unlockAsync()
}

// hangUp ends the link because of err, gently if the peer is to be told.
func (l *link) hangUp(err error) {
	if _, breach := errors.AsType[*frame.Error](err); breach {
		l.closeGently()
	}
	l.end(err)
}

// closeGently half-closes once everything has been written and reads on for a
// moment: a close with unread input would reset the connection and could
// destroy the last frames on their way. It is called on the reading goroutine.
func (l *link) closeGently() {
	l.nc.SetReadDeadline(time.Now().Add(linger))
	if l.closeWrite() {
		io.Copy(io.Discard, l.nc)
	}
}

// closeWrite half-closes once everything has been written, or after linger. It
// reports whether the connection can be half-closed.
func (l *link) closeWrite() bool {
	late := time.NewTimer(linger)
	defer late.Stop()
	l.w.drain(late.C)
	cw, ok := l.nc.(interface{ CloseWrite() error })
	return ok && cw.CloseWrite() == nil
}

// reason returns why the link is over, or nil if it is not.
func (l *link) reason() error {
	if l.dead.happened() {
		return l.err
	}
	return nil
}

func (l *link) addr() net.Addr { return l.nc.RemoteAddr() }

// goAwayError is the reason of a connection that the peer ended.
func goAwayError(g frame.GoAway) error {
	return fmt.Errorf("the peer closed the connection: %v: %s", g.Code, g.Text)
}
