package transport

import "sync/atomic"

// dryWindow is how far windows grow for receivers that run dry. They do so at once, as
// even streams of many small messages are over soon.
const dryWindow = 1 << 20

// dryness finds out whether a stream is held up by its window where the round trip is
// too short to be measured: its peer has used up the window, and still the receiver
// has taken everything and waits. Both wait for one another then, again and again,
// and a larger window lets both go on for longer. A receiver that does not keep up
// never waits, so its window stays as it is.
//
// The streams of a connection are often alike: once one has run dry, the windows of
// those behind it grow as soon as a quarter of them has been drawn, which is also when
// credit is granted otherwise, until a stream gets along without that.
type dryness struct {
	used  bool        // the peer has used up the window since the receiver waited last
	grow  atomic.Bool // the receiver has waited since
	some  bool        // a quarter of the window of the beginning was drawn at once
	seen  bool        // that has been looked at; of the reading goroutine
	worth bool        // most of the window of the beginning was drawn at once
}

// usedLocked looks at the window after something has drawn on it. A quarter of it
// may be credit that has been granted and that the peer does not have yet.
func (s *stream) usedLocked() {
	limit, least := s.limit.Load(), int64(s.l.cfg.Settings.StreamCredit)
	if s.window <= limit/4 {
		s.dry.used = true
	}
	drawn := limit - s.window
	if drawn >= least/4 {
		s.dry.some = true
	}
	if drawn >= least*3/4 {
		s.dry.worth = true
	}
}

// endedLocked says that nothing more comes. Of a stream that was shorter than the
// window of the beginning nothing can be learned.
func (d *dryness) endedLocked(s *stream) {
	if d.some && !d.worth && s.arrived >= int(s.l.cfg.Settings.StreamCredit) {
		s.l.dry.Store(false)
	}
}

// driedUpLocked says that the receiver has taken everything and waits.
func (s *stream) driedUpLocked() {
	if s.dry.used {
		s.dry.used = false
		s.dry.grow.Store(true)
	}
}

// growIfDry has the stream's window grow if that has held it up, but not while unary
// calls are made on the connection, as they and their answers may have to wait behind
// what the peer may send. It is called on the reading goroutine.
func (s *stream) growIfDry() {
	early := s.dry.some && !s.dry.seen
	s.dry.seen = s.dry.some
	switch {
	case s.dry.grow.Load():
		s.dry.grow.Store(false)
		s.l.dry.Store(true)
	case early && s.l.dry.Load():
	default:
		return
	}
	if !s.l.unary.comesOften(s.l.received.Load()) {
		s.growTo(dryWindow)
	}
}

// lately remembers when something came, in reads of the connection. Of the reading
// goroutine.
type lately struct {
	soon  uint64 // before which it is often if it comes once more
	often uint64 // before which it is held to come often
}

// oftenReads is within how many reads something comes twice that comes often.
const oftenReads = 16

func (t *lately) came(read uint64) {
	if read < t.soon {
		t.often = read + oftenReads
	}
	t.soon = read + oftenReads
}

func (t *lately) comesOften(read uint64) bool { return read < t.often }
