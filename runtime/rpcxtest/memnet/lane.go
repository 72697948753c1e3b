package memnet

import (
	"bytes"
	"slices"
)

// lane is the state of one direction of a Fault, guarded by the Fault's mutex.
type lane struct {
	steps    []Step // in the order in which they are to happen, without flips
	flips    []Step // FlipBit steps, in no order
	offset   int64  // bytes that have passed
	split    int    // longest piece, zero for any
	held     []byte // read from the wrapped connection and not handed over yet
	finished bool
	stalled  bool
	deadline deadline
	changed  signal
}

// insert puts s behind the steps that happen before it or at the same place.
func (l *lane) insert(s Step) {
	if s.Do.kind == kindFlipBit {
		l.flips = append(l.flips, s)
		return
	}
	i := slices.IndexFunc(l.steps, func(other Step) bool { return other.After > s.After })
	if i < 0 {
		i = len(l.steps)
	}
	l.steps = slices.Insert(l.steps, i, s)
}

// next takes the next step if it is due at the current offset.
func (l *lane) next() (Step, bool) {
	if len(l.steps) == 0 || l.steps[0].After > l.offset {
		return Step{}, false
	}
	s := l.steps[0]
	l.steps = slices.Delete(l.steps, 0, 1)
	if s.Every > 0 {
		again := s
		again.After += ((l.offset-s.After)/s.Every + 1) * s.Every
		l.insert(again)
	}
	return s, true
}

// upTo returns how many of n bytes may move at once: up to the next step, and
// not more than a piece.
func (l *lane) upTo(n int) int {
	if l.split > 0 {
		n = min(n, l.split)
	}
	if len(l.steps) > 0 {
		n = int(min(int64(n), l.steps[0].After-l.offset))
	}
	return n
}

// flipped returns p, the bytes at the current offset, with the bits inverted
// that the script names: p itself if there are none, otherwise a copy.
func (l *lane) flipped(p []byte) []byte {
	out, end := p, l.offset+int64(len(p))
	for _, s := range l.flips {
		at := s.After
		if at < l.offset && s.Every > 0 {
			at += (l.offset - at + s.Every - 1) / s.Every * s.Every
		}
		for ; at >= l.offset && at < end; at += s.Every {
			if &out[0] == &p[0] {
				out = bytes.Clone(p)
			}
			out[at-l.offset] ^= 1 << s.Do.n
			if s.Every <= 0 {
				break
			}
		}
	}
	return out
}
