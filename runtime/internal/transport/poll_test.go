package transport

import (
	"testing"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/frame"
)

// tide is the input of a connection, on a clock of its own.
type tide struct {
	frames int // that each read brings
	// wait is how long input takes from the last on, with and without polling for it.
	wait, polled time.Duration
	wake         time.Duration // what being woken takes
}

// shore polls for what a tide brings.
type shore struct {
	*poller
	clock time.Time
	id    frame.StreamID
	polls int           // how often it was polled
	spent time.Duration // by polling
}

// newShore returns one that polls for 100 µs, each try taking one.
func newShore() *shore {
	s := &shore{poller: newPoller(100*time.Microsecond, new(event)), clock: time.Unix(0, 0)}
	s.now = func() time.Time { return s.clock }
	s.yield = func() {}
	return s
}

// read reads n times.
func (s *shore) read(w tide, n int) {
	for range n {
		start := s.clock
		arrival := start.Add(w.wait)
		if s.poller.polls {
			arrival = start.Add(w.polled)
		}
		tried := false
		found := s.wait(func() bool {
			tried = true
			s.clock = s.clock.Add(time.Microsecond)
			return !s.clock.Before(arrival)
		})
		if tried {
			s.polls++
			s.spent += s.clock.Sub(start)
		}
		if !found {
			if s.clock.Before(arrival) {
				s.clock = arrival
			}
			s.clock = s.clock.Add(w.wake)
		}
		s.arrived()
		for range w.frames {
			s.id += 2
			s.frame(s.id)
		}
	}
}

// Tides of which polling makes the best, and the worst.
var (
	fast    = tide{frames: 1, wait: 30_000, polled: 10_000, wake: 30_000}
	missed  = tide{frames: 1, wait: 200_000, polled: 200_000, wake: 30_000}
	hampers = tide{frames: 1, wait: 20_000, polled: 60_000, wake: 30_000}
	slow    = tide{frames: 1, wait: 20_000_000, polled: 20_000, wake: 30_000}
	dense   = tide{frames: densePoll, wait: 30_000, polled: 10_000, wake: 30_000}
)

// TestPollWhereItPays: connections are polled where that brings input sooner,
// and hardly ever or never where it does not.
func TestPollWhereItPays(t *testing.T) {
	for _, tc := range []struct {
		name        string
		tide        tide
		least, most float64 // share of reads that poll
	}{
		{"fast", fast, 0.99, 0.999},
		{"two frames at a time", tide{frames: 2, wait: fast.wait, polled: fast.polled, wake: fast.wake}, 0.99, 0.999},
		{"polls find nothing", missed, 0.0001, 0.006},
		{"polls find something, but later", hampers, 0.0001, 0.03},
		{"slow", slow, 0, 0},
		{"dense", dense, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newShore()
			s.read(tc.tide, 20_000)
			s.polls = 0
			const n = 30_000
			s.read(tc.tide, n)
			if share := float64(s.polls) / n; share < tc.least || share > tc.most {
				t.Errorf("%.5f of the reads poll, want %v to %v", share, tc.least, tc.most)
			}
		})
	}
}

// TestPollFollowsTraffic: polling ends when it is of no more use, and begins
// again when it is, however long that has not been so.
func TestPollFollowsTraffic(t *testing.T) {
	for name, bad := range map[string]tide{"missed": missed, "hampers": hampers, "dense": dense} {
		t.Run(name, func(t *testing.T) {
			s := newShore()
			s.read(fast, 1_000)
			s.polls = 0
			s.read(bad, 30_000)
			if s.polls > 1_000 {
				t.Errorf("%d of 30,000 reads polled where that is of no use", s.polls)
			}
			s.read(fast, 2*longestRest)
			s.polls = 0
			s.read(fast, 1_000)
			if s.polls < 900 {
				t.Errorf("%d of 1,000 reads polled where that is of use again", s.polls)
			}
		})
	}
}

// TestPollIdle: what comes once in a while is polled for a few times, and then
// not at all; where nothing comes there is one poll, however often the read is
// continued.
func TestPollIdle(t *testing.T) {
	s := newShore()
	s.read(fast, 1_000)
	s.polls, s.spent = 0, 0
	s.read(tide{frames: 1, wait: time.Second, polled: time.Second}, 10_000)
	if s.polls > pollMisses || s.spent > pollMisses*s.most {
		t.Errorf("polled %d times, %v in all", s.polls, s.spent)
	}

	s = newShore()
	s.read(fast, 1_000)
	tries := 0
	for range 3 {
		if s.wait(func() bool { s.clock = s.clock.Add(time.Microsecond); tries++; return false }) {
			t.Fatal("found something")
		}
	}
	if tries != 100 {
		t.Errorf("tried %d times, want 100, in the first poll", tries)
	}
}

// TestPollYields: whoever handles what was read before runs before input is
// looked for again, and often meanwhile.
func TestPollYields(t *testing.T) {
	s := newShore()
	s.read(fast, 1_000)
	var log []byte
	s.yield = func() { log = append(log, 'y') }
	s.wait(func() bool { log = append(log, 't'); return len(log) > 8 })
	if string(log) != "yttttyttt" {
		t.Errorf("got %s", log)
	}
}

// TestPollEndsWithConnection: a poll ends when the connection is over.
func TestPollEndsWithConnection(t *testing.T) {
	var over event
	p := newPoller(time.Hour, &over)
	p.begin(true)
	tries := 0
	if p.wait(func() bool { over.happen(); tries++; return false }) || tries != 1 {
		t.Errorf("tried %d times", tries)
	}
}

// TestPollRestsMeet: rests end at multiples of their lengths, which are powers of
// two, so that where one ends a shorter one may end, too, and they are about as
// long as they are to be.
func TestPollRestsMeet(t *testing.T) {
	for n := uint64(shortestRest); n <= longestRest; n *= 2 {
		for at := uint64(1); at < 10_000; at += 7 {
			p := newPoller(1, nil)
			p.arrivals = at
			p.pause(n)
			if p.until%n != 0 || p.until-at < n/2 || p.until-at >= n/2+n {
				t.Fatalf("a rest of %d from %d on ends at %d", n, at, p.until)
			}
		}
	}
	s := newShore()
	s.read(missed, 30_000)
	if s.rest != longestRest {
		t.Errorf("after many polls in vain, a rest is %d", s.rest)
	}
}

// TestPollPosition: the position is that of the latest call, and goes on where
// the frames are all of one stream, or of none.
func TestPollPosition(t *testing.T) {
	p := newPoller(1, nil)
	for _, step := range []struct {
		id   frame.StreamID
		want uint64
	}{{1, 0}, {3, 1}, {7, 3}, {5, 4}, {7, 5}, {0, 6}, {1001, 500}} {
		p.arrived()
		if p.frame(step.id); p.position() != step.want {
			t.Errorf("after a frame of %d: position %d, want %d", step.id, p.position(), step.want)
		}
	}
}
