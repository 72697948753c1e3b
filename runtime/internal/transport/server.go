package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/dispatch"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// Server is the accepting side of a connection.
type Server struct {
	link
	base       context.Context
	d          *dispatch.Dispatcher
	queue      *dispatch.Queue
	remotePeer call.Peer
	acceptedAt time.Time

	calls   table[serverCall]
	running atomic.Int64 // handlers that have not returned
	// unfinished counts calls whose end has not been sent.
	unfinished atomic.Int64

	// Owned by the reading goroutine.
	lastID  frame.StreamID
	goneTo  frame.StreamID     // the id of the last GOAWAY
	methods []*dispatch.Method // by id on this connection, 1 first; nil if not served
	inline  bool               // replies of inline handlers wait to be flushed

	allDone chan struct{} // receives when the last handler returns while draining
}

// NewServer prepares to speak the native protocol on nc, which it owns from
// then on. base is the root of the handlers' contexts.
func NewServer(base context.Context, nc net.Conn, cfg *Config, d *dispatch.Dispatcher, peer call.Peer) *Server {
	s := &Server{base: base, d: d, queue: d.NewQueue(), remotePeer: peer, goneTo: frame.Undecided, acceptedAt: time.Now(), allDone: make(chan struct{}, 1)}
	s.peerRole = "client"
	s.init(nc, cfg)
	return s
}

// Accepted sets when the connection was accepted, from where on the handshake is
// timed. The default is when NewServer was called.
func (s *Server) Accepted(at time.Time) { s.acceptedAt = at }

// Serve speaks until the connection ends, and returns why: nil if the peer
// closed it. Its handlers' contexts are cancelled then; they may still run.
func (s *Server) Serve() error {
	defer s.tasks.Wait()
	why := errGoexit
	defer func() {
		s.seal(why)
		s.abandon()
		s.hangUp(why)
	}()
	if err := s.handshake(); err != nil {
		why = err
	} else {
		why = s.serve(s)
	}
	if errors.Is(why, errSilent) || why == io.EOF || s.over() == ErrClosed {
		return nil
	}
	return &ConnError{Addr: s.addr(), Err: why}
}

// errGoexit ends a connection whose reading goroutine was ended by a handler
// that runs on it.
var errGoexit = errors.New("a handler ended the goroutine that reads the connection")

// abandon cancels the calls that are left when the connection is over.
func (s *Server) abandon() {
	for _, c := range s.calls.takeIf(func(frame.StreamID) bool { return true }) {
		c.gone(context.Canceled)
	}
}

// errSilent ends connections that do not begin like ours without a word.
var errSilent = errors.New("not the native protocol")

func (s *Server) handshake() error {
	if t := s.cfg.HandshakeTimeout; t > 0 {
		s.nc.SetReadDeadline(s.acceptedAt.Add(t))
	}
	if err := s.r.preface(); err != nil {
		var version *frame.Error
		if !errors.As(err, &version) {
			return fmt.Errorf("%w: %w", errSilent, err)
		}
		if s.w.lock() == nil {
			s.w.buf = append(s.w.buf, frame.Preface...)
			s.w.unlockAsync()
		}
		return err
	}
	s.greet()
	if err := s.settle(); err != nil {
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
			err = &frame.Error{Code: frame.TimeoutError, Reason: fmt.Sprintf("no SETTINGS within %v (option WithHandshakeTimeout)", s.cfg.HandshakeTimeout)}
		}
		return err
	}
	return s.nc.SetReadDeadline(time.Time{})
}

// Close ends the connection at once.
func (s *Server) Close() { s.end(ErrClosed) }

// drainGrace is how long calls on their way are accepted after the peer has
// been asked for no more.
const drainGrace = 5 * time.Second

// Drain asks the peer for no more calls, accepts those on their way, and closes
// the connection when all have ended. Calls that are left when ctx is done end
// with UNAVAILABLE; their handlers' contexts are cancelled, and they may still run.
func (s *Server) Drain(ctx context.Context) {
	grace, cancel := context.WithTimeout(ctx, drainGrace)
	defer cancel()
	select {
	case <-s.settled:
	case <-s.dead:
		return
	case <-grace.Done(): // the peer has not said what it speaks
		s.end(ErrClosed)
		return
	}
	s.goAway(frame.Undecided)
	// The answer comes after everything that the peer sent before it read that.
	_ = s.Ping(grace) // a peer that does not answer has had its time
	s.goAway(s.acceptNoMore())
	for s.unfinished.Load() > 0 {
		select {
		case <-s.allDone:
			continue
		case <-ctx.Done():
			s.evict()
		case <-s.dead:
		}
		break
	}
	s.closeWrite()
	late := time.NewTimer(linger)
	defer late.Stop()
	select {
	case <-s.dead: // the peer has closed, too
	case <-late.C:
	}
	s.end(ErrClosed)
}

// evict ends the calls that are left, from this side.
func (s *Server) evict() {
	why := status.New(status.Unavailable, ErrDraining.Error())
	for _, c := range s.calls.takeIf(func(frame.StreamID) bool { return true }) {
		if s.w.lock() == nil {
			s.w.buf = appendClose(s.w.buf, c.id, c.TakeHeader(), nil, why)
			s.w.unlockAsync()
		}
		c.gone(context.Canceled)
	}
}

// Refuse ends a connection that there is no room for, and says why.
func Refuse(nc net.Conn, reason string) {
	defer nc.Close()
	b := frame.AppendGoAway([]byte(frame.Preface), 0, frame.LimitError, reason)
	nc.SetDeadline(time.Now().Add(linger))
	if _, err := nc.Write(b); err != nil {
		return
	}
	if cw, ok := nc.(interface{ CloseWrite() error }); ok && cw.CloseWrite() == nil {
		io.Copy(io.Discard, io.LimitReader(nc, 64<<10))
	}
}

// noMore is set in accepted once calls are no longer accepted. It is above
// every stream id.
const noMore = 1 << 63

// acceptNoMore has later calls dropped and returns the id of the last one that
// was accepted.
func (s *Server) acceptNoMore() frame.StreamID {
	return frame.StreamID(s.accepted.Or(noMore) &^ noMore)
}

// accept reports whether the call of the given id is accepted, and if so makes
// it the last one that was.
func (s *Server) accept(id frame.StreamID) bool {
	for {
		last := s.accepted.Load()
		if last&noMore != 0 {
			return false
		}
		if s.accepted.CompareAndSwap(last, uint64(id)) {
			return true
		}
	}
}

func (s *Server) goAway(last frame.StreamID) {
	if s.w.lock() == nil {
		s.w.buf = frame.AppendGoAway(s.w.buf, last, frame.NoError, ErrDraining.Error())
		s.w.unlockAsync()
	}
}

// frame handles a frame of a stream, or GOAWAY.
func (s *Server) frame(h *frame.Header, payload []byte) error {
	var sec frame.Sections
	switch h.Type {
	case frame.TypeOpen:
		if err := frame.ParseSections(h, payload, &sec); err != nil {
			return err
		}
		return s.open(h, &sec)
	case frame.TypeData:
		c := s.calls.get(h.ID)
		if c == nil { // nothing of it is looked at
			return s.stray(h)
		}
		if err := frame.ParseSections(h, payload, &sec); err != nil {
			return err
		}
		return s.data(c, h, &sec)
	case frame.TypeCancel:
		c := s.calls.take(h.ID)
		if c == nil {
			return s.stray(h)
		}
		c.canceled(status.Code(h.Code))
		return s.idle()
	case frame.TypeGoAway:
		g := frame.ParseGoAway(h, payload)
		if g.LastAccepted > s.goneTo {
			return protocolErrorf("GOAWAY of stream %d after one of %d", g.LastAccepted, s.goneTo)
		}
		s.goneTo = g.LastAccepted
		if g.Code != frame.NoError {
			return goAwayError(g)
		}
		return s.idle()
	}
	return protocolErrorf("%v from a client", h.Type)
}

func (s *Server) streamCredit(h *frame.Header) error {
	c := s.calls.get(h.ID)
	if c == nil {
		return s.stray(h)
	}
	if c.stream != nil && c.method.Kind().CalleeStreams() {
		return c.stream.granted(int64(h.Arg))
	}
	return nil
}

// stray drops a frame of a stream that has ended. One of a stream that was
// never opened is a breach.
func (s *Server) stray(h *frame.Header) error {
	if h.ID&1 == 0 || h.ID > s.lastID {
		return protocolErrorf("%v for stream %d, which was not opened", h.Type, h.ID)
	}
	return s.late(h)
}

// batchEnd sends the replies of handlers that ran on this goroutine.
func (s *Server) batchEnd() {
	if s.inline {
		s.inline = false
		s.w.flush()
	}
}

// data takes in a DATA frame.
func (s *Server) data(c *serverCall, h *frame.Header, sec *frame.Sections) error {
	if h.Flags.Has(frame.FlagHeaders) {
		return protocolErrorf("HEADERS from a client on stream %d", h.ID)
	}
	if c.closed {
		return protocolErrorf("DATA on stream %d after HALF_CLOSE", h.ID)
	}
	c.closed = h.Flags.Has(frame.FlagHalfClose)
	streams := c.method.Kind().CallerStreams()
	if h.Flags.Has(frame.FlagMessage) {
		if h.Flags.Has(frame.FlagCredited) != streams {
			return protocolErrorf("stream %d: CREDITED is %v on a message of a %v method", h.ID, !streams, c.method.Kind())
		}
		s.flood.progressed()
	} else if err := s.idle(); err != nil {
		return err
	}
	if !streams {
		return c.part(h, sec)
	}
	return c.message(h, sec)
}

// open handles OPEN: it finds the method, checks the call against the rules
// and has it dispatched.
func (s *Server) open(h *frame.Header, sec *frame.Sections) error {
	if h.ID&1 == 0 || h.ID <= s.lastID {
		return protocolErrorf("OPEN of stream %d after stream %d", h.ID, s.lastID)
	}
	s.lastID = h.ID
	if !s.accept(h.ID) {
		return s.late(h)
	}
	m, err := s.method(h, sec)
	if err != nil {
		return err
	}
	refusal, err := s.refusal(h, sec, m)
	if err != nil {
		return err
	}
	if refusal != nil {
		return s.refuse(h.ID, refusal)
	}
	timeout, _ := frame.ArgDeadline(h.Arg)
	c := s.newCall(h, sec, m, timeout)
	return c.start(h, sec)
}

// method returns the method that an OPEN names, or nil if it is not served. It
// keeps the names that are served, so that a flood of others costs nothing.
func (s *Server) method(h *frame.Header, sec *frame.Sections) (*dispatch.Method, error) {
	if !h.Flags.Has(frame.FlagName) {
		if i := int(h.Code); i > 0 && i <= len(s.methods) {
			return s.methods[i-1], nil
		}
		return nil, nil
	}
	m := s.d.Lookup(string(sec.Name))
	if h.Code == 0 {
		return m, nil
	}
	if int(h.Code) != len(s.methods)+1 || uint32(h.Code) > s.cfg.Settings.MaxMethods {
		return nil, protocolErrorf("method id %d defined after %d of at most %d", h.Code, len(s.methods), s.cfg.Settings.MaxMethods)
	}
	s.methods = append(s.methods, m)
	return m, nil
}

// refusal says why the call is not let in, if it is not.
func (s *Server) refusal(h *frame.Header, sec *frame.Sections, m *dispatch.Method) (*status.Error, error) {
	var rules *frame.CallError
	if h.Flags.Has(frame.FlagHeaders) {
		if err := frame.CheckMetadata(sec.Headers, int(s.cfg.Settings.MaxMetadata)); err != nil {
			var ok bool
			if rules, ok = err.(*frame.CallError); !ok {
				return nil, err
			}
		}
	}
	if m == nil {
		name := fmt.Sprintf("with id %d", h.Code)
		if len(sec.Name) > 0 {
			name = "/" + string(sec.Name)
		}
		return status.New(status.Unimplemented, fmt.Sprintf("method %s is not served here", name)), nil
	}
	want := m.Kind()
	if caller, callee := h.Flags.Has(frame.FlagCallerStreams), h.Flags.Has(frame.FlagCalleeStreams); caller != want.CallerStreams() || callee != want.CalleeStreams() {
		return status.New(status.Unimplemented, fmt.Sprintf("method %s is %v; it was called as another kind", m.FullName(), want)), nil
	}
	if h.Codec != uint8(s.cfg.Codec.ID()) {
		return status.New(status.Unimplemented, fmt.Sprintf("codec %d is not supported", h.Codec)), nil
	}
	if !s.cfg.Settings.AcceptsCompression(h.Compression) {
		return status.New(status.Unimplemented, notAccepted(h.Compression)), nil
	}
	if rules != nil {
		e := status.New(rules.Code, rules.Reason)
		if rules.Code == status.ResourceExhausted {
			e = e.WithDoNotRetry()
		}
		return e, nil
	}
	if large := breachOf(s.tooLarge(h, sec)); large != nil {
		return large.WithDoNotRetry(), nil
	}
	if n := s.running.Load(); n >= int64(s.cfg.Settings.MaxStreams) {
		return status.New(status.ResourceExhausted, fmt.Sprintf("%d calls run on this connection, as many as may (option WithMaxStreams)", n)), nil
	}
	return nil, nil
}

// refuse answers a call that was not let in. It is a reply that the peer
// caused, and so one of those of which only a few may wait.
func (s *Server) refuse(id frame.StreamID, e *status.Error) error {
	if err := s.w.lockControl(); err != nil {
		return err
	}
	s.w.buf = appendClose(s.w.buf, id, nil, nil, e.WithNotRun())
	s.w.unlockAsync()
	return nil
}
