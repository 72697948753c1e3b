package transport

import (
	"runtime"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/frame"
)

// Figures of polling. A wait is a read that found nothing at once.
const (
	// densePoll is how many frames in one read are so many that more will come
	// without polling for them.
	densePoll = 3
	// triesPerYield is how often is read before the processor is yielded again.
	// Yielding costs more than reading, and may wake a thread.
	triesPerYield = 4
	// pollSpell is for how many waits a connection is polled until the effect is
	// looked at, pollMisses how many polls in a row may find nothing.
	pollSpell, pollMisses = 64, 16
	// shortestRest and longestRest are for how many waits is not polled in between.
	shortestRest, longestRest = 16, 4096
	// pollRenewal is after how many spells the waits without polling are measured again.
	pollRenewal = 64
	// longestWait is as how long a wait counts at most. Traffic whose waits are more
	// than half as long is too slow to poll for.
	longestWait = time.Millisecond
)

// poller decides when a connection is polled: whether the goroutine that reads it,
// having found nothing, tries again for a moment before it parks. That saves what
// waking it takes, as long as a processor is free for it.
//
// It measures what that brings. Spells of polling and rests take turns: a spell is
// followed by another one if its waits were shorter than those of the last rest.
// Otherwise, as on processors that others fill, the next rest is twice as long.
//
// Polling saves the most if both ends do it: a peer that has to be woken may answer
// too late. So rests end when a call is reached whose number is divisible by their
// length, a power of two, which is the same call at both ends.
//
// The goroutine that reads the connection uses it.
type poller struct {
	most  time.Duration // how long to poll
	over  *event        // that of the connection
	now   func() time.Time
	yield func()

	polls  bool   // this is a spell of polling, not a rest
	until  uint64 // the rest ends at this position
	rest   uint64 // how long the rest is that follows on polling in vain
	spells int    // how many spells polling was of use for since then
	misses int    // polls in a row that found nothing

	waits  int           // in this spell or rest
	waited time.Duration // in all of them
	parked time.Duration // the mean wait without polling

	frames   int            // of the last read
	latest   frame.StreamID // the highest that has been seen
	arrivals uint64         // since that was first seen
	began    time.Time      // when the wait began; zero if there is none, or it does not count
}

func newPoller(most time.Duration, over *event) *poller {
	return &poller{most: most, over: over, now: time.Now, yield: runtime.Gosched, until: shortestRest, rest: shortestRest}
}

// wait is called when a read has found nothing, and may be called again before
// something has arrived. It polls if that is worth it: it calls try until that
// returns true, and reports whether it did.
func (p *poller) wait(try func() bool) bool {
	if p.frames >= densePoll || !p.began.IsZero() {
		return false
	}
	p.began = p.now()
	if !p.polls {
		return false
	}
	for {
		p.yield() // to those who handle what was read before
		for range triesPerYield {
			if try() {
				p.misses = 0
				return true
			}
			if p.now().Sub(p.began) >= p.most || p.over.happened() {
				p.misses++
				return false
			}
		}
	}
}

// frame is called for each frame that has arrived.
func (p *poller) frame(id frame.StreamID) {
	p.frames++
	if id > p.latest {
		p.latest, p.arrivals = id, 0
	}
}

// position returns how far the connection has come: the number of the latest call
// and how often something has come since. With one call or stream at a time it is
// the same at both ends.
func (p *poller) position() uint64 { return uint64(p.latest)/2 + p.arrivals }

// arrived is called when a read has brought something, whether it waited or not.
func (p *poller) arrived() {
	p.frames = 0
	p.arrivals++
	if p.began.IsZero() {
		return
	}
	p.waits++
	p.waited += min(p.now().Sub(p.began), longestWait)
	p.began = time.Time{}
	if p.polls {
		p.judge()
	} else if p.waits >= shortestRest && p.position() >= p.until {
		p.resume()
	}
}

// judge decides whether a spell goes on, and what follows it.
func (p *poller) judge() {
	switch {
	case p.misses >= pollMisses || p.waited > pollSpell*(p.parked-p.parked/8):
		p.spells = 0
		p.pause(p.rest)
		p.rest = min(2*p.rest, longestRest)
	case p.waits < pollSpell:
	default:
		p.rest = shortestRest
		if p.spells++; p.spells%pollRenewal == 0 {
			p.pause(shortestRest)
		} else {
			p.begin(true)
		}
	}
}

// resume ends a rest, unless the traffic is too slow.
func (p *poller) resume() {
	mean := p.waited / time.Duration(p.waits)
	if mean > longestWait/2 {
		p.pause(p.rest)
		return
	}
	if p.spells > 0 { // one short rest says little
		mean = (mean + p.parked) / 2
	}
	p.parked = mean
	p.begin(true)
}

// pause begins a rest of about n waits.
func (p *poller) pause(n uint64) {
	p.until = (p.position() + n/2 + n - 1) &^ (n - 1)
	p.begin(false)
}

func (p *poller) begin(polls bool) {
	p.polls, p.misses, p.waits, p.waited = polls, 0, 0, 0
}
