package transport

import (
	"context"
	"io"
	"net"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/status"
)

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
	case <-s.settled.done():
	case <-s.dead.done():
		return
	case <-grace.Done(): // the peer has not said what it speaks
		s.end(ErrClosed)
		return
	}
	s.goAway(frame.Undecided)
	// The answer comes after everything that the peer sent before it read that.
	_ = s.Ping(grace) // a peer that does not answer has had its time
	s.goAway(s.acceptNoMore())
	allDone := make(chan struct{}, 1)
	if !s.allDone.CompareAndSwap(nil, &allDone) {
		allDone = *s.allDone.Load() // that of another drain, which goes on, too
	}
	for s.unfinished.Load() > 0 {
		select {
		case <-allDone:
			continue
		case <-ctx.Done():
			s.evict()
		case <-s.dead.done():
		}
		break
	}
	s.closeWrite()
	late := time.NewTimer(linger)
	defer late.Stop()
	select {
	case <-s.dead.done(): // the peer has closed, too
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

// TurnAway ends a connection that came to a server which is about to go: the
// peer is told as by Drain, and knows that no call of its has run. The peer has
// a second to begin as the native protocol does, and to close; other beginnings
// end without a word.
func TurnAway(nc net.Conn, settings frame.Settings) {
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(linger))
	var first [frame.PrefaceSize]byte
	if _, err := io.ReadFull(nc, first[:]); err != nil || frame.Sniff(first[:]) != frame.Native {
		return
	}
	b := frame.AppendSettings([]byte(frame.Preface), settings)
	b = frame.AppendGoAway(b, 0, frame.NoError, ErrDraining.Error())
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
