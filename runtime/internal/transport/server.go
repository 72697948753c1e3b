package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
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
	remotePeer *call.Peer
	owner      Owner

	calls   table[serverCall]
	running atomic.Int64 // handlers that have not returned
	// unfinished counts calls whose end has not been sent.
	unfinished atomic.Int64

	// Owned by the reading goroutine.
	lastID  frame.StreamID
	goneTo  frame.StreamID     // the id of the last GOAWAY
	methods []*dispatch.Method // by id on this connection, 1 first; nil if not served
	inline  bool               // replies of inline handlers wait to be flushed
	greeted bool               // the greeting waits for the answers to early calls
	queue   *dispatch.Queue    // nil while no call has come since the connection rested
	origin  *dispatch.Origin   // of the next call; nil before the first and after a rest

	// allDone, once a drain has made it, receives when the last handler returns.
	allDone atomic.Pointer[chan struct{}]
}

// NewServer prepares to speak the native protocol on nc, which it owns from
// then on. base is the root of the handlers' contexts. peer does not change.
func NewServer(base context.Context, nc net.Conn, cfg *Config, d *dispatch.Dispatcher, peer *call.Peer) *Server {
	s := &Server{base: base, d: d, remotePeer: peer, goneTo: frame.Undecided}
	s.accepts = true
	s.init(nc, cfg)
	return s
}

// Serve speaks until the connection ends, and returns why: nil if the peer
// closed it. Its handlers' contexts are cancelled then; they may still run.
func (s *Server) Serve() error {
	ended := make(alone, 1)
	go s.Run(time.Now(), ended)
	return <-ended
}

// Owner is told how a connection goes. It is called on the goroutine that reads it.
type Owner interface {
	// Begun is called when the peer has begun as the native protocol does.
	Begun()
	// Divert is offered the connection if the peer begins otherwise, and what has
	// been received of it. If it returns true it owns the connection from then on,
	// and Ended is not called.
	Divert(first []byte) bool
	// Ended is called, once, with what Serve would return.
	Ended(err error)
}

// Run is Serve for many: it returns when the connection has ended or comes to
// rest, so that one at rest holds no goroutine but one that waits for input, with
// a small stack. accepted is when the connection was accepted, from where on the
// handshake is timed. A handler may end the goroutine that calls Run.
func (s *Server) Run(accepted time.Time, o Owner) {
	s.owner, s.r.now = o, accepted
	s.attend(s, true)
}

// alone is the owner of a connection that nobody else cares for.
type alone chan error

func (alone) Begun()             {}
func (alone) Divert([]byte) bool { return false }
func (a alone) Ended(err error)  { a <- err }

// over implements role.
func (s *Server) over(why error) {
	s.closeQueue()
	if other, ok := why.(*diversion); ok {
		s.detach(why)
		s.budget.close()
		s.tasks.Wait()
		if !s.owner.Divert(other.first) {
			s.nc.Close()
			s.owner.Ended(nil)
		}
		return
	}
	closed := s.reason() == ErrClosed
	s.seal(why, false)
	s.abandon()
	s.budget.close()
	s.hangUp(why)
	s.tasks.Wait()
	if errors.Is(why, errSilent) || why == io.EOF || closed {
		s.owner.Ended(nil)
		return
	}
	s.owner.Ended(&ConnError{Addr: s.addr(), Err: why})
}

// rest implements role.
func (s *Server) rest() {
	s.calls.trim()
	s.closeQueue()
	s.origin = nil
}

// closeQueue has runners end when no call is left. The next call makes another queue.
func (s *Server) closeQueue() {
	if s.queue != nil {
		s.queue.Close()
		s.queue = nil
	}
}

// abandon cancels the calls that are left when the connection is over.
func (s *Server) abandon() {
	for _, c := range s.calls.takeIf(func(frame.StreamID) bool { return true }) {
		c.gone(context.Canceled)
	}
}

// errSilent ends connections that end before they have begun like ours, without a word.
var errSilent = errors.New("not the native protocol")

// diversion ends what this package does for a connection that does not begin
// like ours; first is how it does.
type diversion struct{ first []byte }

func (*diversion) Error() string { return errSilent.Error() }

// handshake implements role.
func (s *Server) handshake() error {
	if t := s.cfg.HandshakeTimeout; t > 0 {
		s.nc.SetReadDeadline(s.r.now.Add(t))
	}
	if err := s.r.preface(); err != nil {
		var version *frame.Error
		switch {
		case errors.As(err, &version):
		case errors.Is(err, errNotRPCX):
			return &diversion{slices.Clone(s.r.buf[s.r.r:s.r.w])}
		default:
			return fmt.Errorf("%w: %w", errSilent, err)
		}
		if s.w.lock() == nil {
			s.w.buf = append(s.w.buf, frame.Preface...)
			s.w.unlockAsync()
		}
		return err
	}
	s.owner.Begun()
	s.greet()
	if !s.r.buffered() {
		s.w.flush(false)
	}
	if err := s.settle(); err != nil {
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
			err = &frame.Error{Code: frame.TimeoutError, Reason: fmt.Sprintf("no SETTINGS within %v (option WithHandshakeTimeout)", s.cfg.HandshakeTimeout)}
		}
		return err
	}
	if s.greeted = s.r.buffered(); !s.greeted {
		s.w.flush(false)
	}
	return s.nc.SetReadDeadline(time.Time{})
}

// Close ends the connection at once.
func (s *Server) Close() { s.end(ErrClosed) }

// frame handles a frame of a stream, or GOAWAY.
func (s *Server) frame(h *frame.Header, payload []byte) error {
	sec := s.sections
	switch h.Type {
	case frame.TypeOpen:
		if err := frame.ParseSections(h, payload, sec); err != nil {
			return err
		}
		return s.open(h, sec)
	case frame.TypeData:
		c := s.calls.get(h.ID)
		if c == nil { // nothing of it is looked at
			return s.stray(h)
		}
		if h.Flags == small && !c.closed && c.stream != nil && c.Method().Kind().CallerStreams() {
			if ok, err := c.stream.pushRun(h, payload); ok {
				if over := breachOf(err); over != nil {
					return c.stop(over)
				}
				return err
			}
		}
		if err := frame.ParseSections(h, payload, sec); err != nil {
			return err
		}
		return s.data(c, h, sec)
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
	if c.stream != nil && c.Method().Kind().CalleeStreams() {
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

// batchEnd sends the replies of handlers that ran on this goroutine, and the greeting
// unless that is done.
func (s *Server) batchEnd() bool {
	*s.sections = frame.Sections{}
	if s.inline || s.greeted {
		s.w.flush(s.greeted && s.running.Load() > 0)
		s.inline, s.greeted = false, false
	}
	return false
}

// serve implements role.
func (s *Server) serve() error { return s.link.serve(s) }

// data takes in a DATA frame.
func (s *Server) data(c *serverCall, h *frame.Header, sec *frame.Sections) error {
	if h.Flags.Has(frame.FlagHeaders) {
		return protocolErrorf("HEADERS from a client on stream %d", h.ID)
	}
	if c.closed {
		return protocolErrorf("DATA on stream %d after HALF_CLOSE", h.ID)
	}
	c.closed = h.Flags.Has(frame.FlagHalfClose)
	streams := c.Method().Kind().CallerStreams()
	if h.Flags.Has(frame.FlagMessage) {
		if h.Flags.Has(frame.FlagCredited) != streams {
			return protocolErrorf("stream %d: CREDITED is %v on a message of a %v method", h.ID, !streams, c.Method().Kind())
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
