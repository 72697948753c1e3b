package transport

import (
	"sync/atomic"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/frame"
)

// Windows, the credit that a peer may have outstanding, begin with the settings
// and grow with the product of bandwidth and delay, as the HTTP/2 implementations
// that estimate it do: a PING goes out with a grant of credit, and what is
// granted until its answer is what the peer sends, and this side takes, in a
// round trip. If that is most of the window, the peer waits for credit, and the
// window is doubled.
//
// A round trip also takes long because data queues somewhere, for instance
// before a slow reader; a larger window only lengthens that queue. So a window
// grows again only if the last growth made the peer faster.
//
// A probe is started by grants only: idle connections, unary calls and streams
// that nobody reads cause none.

const (
	// probePause is the least time between two probes, so that they add at most
	// 400 PINGs in 10 s to the CREDITs that cause them.
	probePause = 25 * time.Millisecond
	// leastTrip is the shortest round trip that makes windows grow: for shorter
	// ones those at the beginning are large enough.
	leastTrip = time.Millisecond
	// probeID begins the opaque bytes of probes, which other PINGs do not use.
	probeID = 1 << 63
)

// probe measures one round trip at a time. The writer's lock guards its fields,
// but for what is atomic.
type probe struct {
	active atomic.Bool  // set under the lock
	conn   atomic.Int64 // bytes that streams have taken since
	id     uint64
	begun  time.Time
	ended  time.Time
	s      *stream // whose credit was granted
	stream int64   // bytes that were granted to it since

	conns growth // of the connection's window; of the reading goroutine
}

// growth remembers how fast data came when a window last grew; 0: never.
type growth struct{ rate float64 }

// enough reports whether a window of which the peer used n bytes in a round trip
// should grow, and remembers it.
func (g *growth) enough(n, window int64, trip time.Duration) bool {
	rate := float64(n) / trip.Seconds()
	if n*3 < window*2 || rate < g.rate*5/4 {
		return false
	}
	g.rate = rate
	return true
}

// probeLocked counts n bytes of credit that are granted to s, and begins a probe
// with them if none is under way and it could lead to anything. l.w is locked.
func (l *link) probeLocked(s *stream, n int64) {
	p := l.probe.Load()
	if p != nil && p.active.Load() {
		if p.s == s {
			p.stream += n
		}
		return
	}
	if s.limit.Load() >= int64(l.cfg.MaxStreamCredit) && l.limit.Load() >= int64(l.cfg.MaxConnCredit) {
		return
	}
	if p == nil {
		p = new(probe)
		l.probe.Store(p)
	}
	now := time.Now()
	if now.Sub(p.ended) < probePause {
		return
	}
	p.id++
	p.begun, p.s, p.stream = now, s, n
	p.conn.Store(n) // it was taken just before
	p.active.Store(true)
	l.w.buf = frame.AppendPing(l.w.buf, probeID|p.id)
}

// probed handles the answer to a PING and reports whether it is that of the
// probe. It is called on the reading goroutine.
func (l *link) probed(opaque uint64) bool {
	if opaque&probeID == 0 {
		return false
	}
	p := l.probe.Load()
	if p == nil {
		return false
	}
	l.w.mu.Lock()
	if !p.active.Load() || opaque != probeID|p.id {
		l.w.mu.Unlock()
		return false
	}
	s, n, conn, trip := p.s, p.stream, p.conn.Load(), l.r.now.Sub(p.begun)
	p.s, p.ended = nil, l.r.now
	p.active.Store(false)
	l.w.mu.Unlock()
	if trip >= leastTrip && !l.budget.budget.tight() {
		s.grow(n, trip)
		l.grow(conn, trip)
	}
	return true
}

// grow lets the peer have more of the stream's credit if it used most of it in a
// round trip.
func (s *stream) grow(n int64, trip time.Duration) {
	s.mu.Lock()
	limit := s.limit.Load()
	more := min(limit, int64(s.l.cfg.MaxStreamCredit)-limit)
	if more <= 0 || s.end != nil || !s.growth.enough(n, limit, trip) {
		s.mu.Unlock()
		return
	}
	s.limit.Store(limit + more)
	s.window += more
	s.mu.Unlock()
	s.l.appendCredit(s.id, more)
}

// grow does the same for the connection.
func (l *link) grow(n int64, trip time.Duration) {
	limit := l.limit.Load()
	more := min(limit, int64(l.cfg.MaxConnCredit)-limit)
	if more <= 0 || !l.probe.Load().conns.enough(n, limit, trip) {
		return
	}
	l.window.Add(more)
	l.limit.Store(limit + more) // behind it, so that unread is never too high for good
	l.appendCredit(0, more)
}

// largeWindow is how far windows grow for the sake of large messages, whatever
// the round trip: beyond it there is little to gain.
const largeWindow = 2 << 20

// largeStreams is how many windows of largeWindow bytes streams may have grown by at a
// time.
const largeStreams = 4

// unmeasured is by how much windows have grown by growTo, for which no round trip is
// measured.
type unmeasured struct {
	streams atomic.Int32 // those of streams that go on
	conn    int32        // the connection's, which does not shrink; of the reading goroutine
}

// growFor lets the peer have as much of the stream's credit as it can use for
// messages of so many bytes: those it need not send piecemeal, as there is memory
// for them anyway. The connection's window has grown by as much as those of all
// its streams, so that others keep their share. While small frames are sent here
// windows stay as they are, since what the peer may send is what the answers to
// them may have to wait for. It is called on the reading goroutine.
func (s *stream) growFor(message int64) {
	if want := min(2*message, largeWindow); want > s.limit.Load() && s.l.w.quiet() {
		s.growTo(want)
	}
}

// growTo has the stream's window grow to want bytes, if it may, and the connection's
// along with it. It is called on the reading goroutine.
func (s *stream) growTo(want int64) {
	l := s.l
	want = min(want, int64(l.cfg.MaxStreamCredit))
	more := want - s.limit.Load()
	streams := int64(l.unmeasured.streams.Load()) + more
	conn := max(streams-int64(l.unmeasured.conn), 0)
	switch {
	case more <= 0, streams > largeStreams*largeWindow, l.budget.budget.tight():
		return
	case conn > 0 && l.limit.Load()+conn > int64(l.cfg.MaxConnCredit):
		return
	}
	s.mu.Lock()
	// Windows grow on the reading goroutine only.
	if s.end != nil {
		s.mu.Unlock()
		return
	}
	s.limit.Store(want)
	s.window += more
	s.grown += more
	l.unmeasured.streams.Add(int32(more))
	s.mu.Unlock()
	l.unmeasured.conn += int32(conn)
	l.window.Add(conn)
	l.limit.Add(conn)
	if l.w.lock() != nil {
		return
	}
	l.w.buf = frame.AppendCredit(l.w.buf, s.id, uint32(more))
	if conn > 0 {
		l.w.buf = frame.AppendCredit(l.w.buf, 0, uint32(conn))
	}
	l.w.unlockLead(false)
}

// appendCredit grants credit, if n is not 0, on a stream, or with id 0 on the
// connection.
func (l *link) appendCredit(id frame.StreamID, n int64) {
	if n != 0 && l.w.lock() == nil {
		l.w.buf = frame.AppendCredit(l.w.buf, id, uint32(n))
		l.w.unlockAsync()
	}
}
