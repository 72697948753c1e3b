package address

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/rpcx-go/rpcx/runtime/call"
)

// stream sends calls with keys at a steady rate to what finds hot keys.
type stream struct {
	hot *hotKeys
	now int64
	// perSecond is the rate.
	perSecond int
	// next returns the key of the next call.
	next func() uint64
}

func newStream(cfg HotKeys, perSecond int, next func() uint64) *stream {
	h := newHotKeys(cfg)
	h.rand = seeded(99)
	return &stream{h, 1, perSecond, next}
}

// run makes calls for so long and returns in how many of them each of the keys was hot.
func (s *stream) run(d time.Duration) map[uint64]int {
	hot := make(map[uint64]int)
	for end := s.now + int64(d); s.now < end; s.now += int64(time.Second) / int64(s.perSecond) {
		if key := s.next(); s.hot.is(key, s.now) {
			hot[key]++
		}
	}
	return hot
}

// isHot reports whether the key is hot, without counting a call.
func (s *stream) isHot(key uint64) bool { return s.hot.is(key, 0) }

// zipf returns keys of which the k-th, from 0, has a share in proportion to (1+k)^-exponent.
func zipf(seed uint64, exponent float64, keys uint64) (next func() uint64, share func(k uint64) float64) {
	z := rand.NewZipf(rand.New(rand.NewPCG(seed, 2)), exponent, 1, keys-1)
	sum := 0.0
	for k := range keys {
		sum += math.Pow(float64(1+k), -exponent)
	}
	return z.Uint64, func(k uint64) float64 { return math.Pow(float64(1+k), -exponent) / sum }
}

// TestHotKeysOfZipf: keys well above the share are hot and keys well below are not, at rates
// at which all calls are counted and at which few are.
func TestHotKeysOfZipf(t *testing.T) {
	const keys = 100_000
	const window = 2 * time.Second
	for _, rate := range []int{5000, 100_000} {
		for _, share := range []float64{0.002, 0.01, 0.05} {
			margin := 4 / math.Sqrt(min(hotSamples, share*float64(rate)*window.Seconds())) // four deviations
			if margin > 0.5 {
				continue // 20 calls in a window are no evidence
			}
			next, want := zipf(7, 1.1, keys)
			s := newStream(HotKeys{Lane: 1, Share: share, Window: window}, rate, next)
			s.hot.cfg.Cool = share // what has been hot by chance is no more
			s.run(3 * window)
			if shift := s.hot.shift.Load(); rate == 5000 && shift > 0 || rate == 100_000 && share > 0.005 && shift == 0 {
				t.Errorf("%d calls/s, hot from %v %%: one call in %d is sampled", rate, 100*share, 1<<shift)
			}
			for k := range uint64(keys) {
				w := want(k)
				if got := s.isHot(k); got && w < share*(1-margin) || !got && w > share*(1+margin) {
					t.Errorf("%d calls/s, hot from %v %%: key with %.3f %% of the calls: hot %v", rate, 100*share, 100*w, got)
				}
			}
		}
	}
}

// TestNoHotKeys: where all keys are called alike none is hot, however few or many there are.
func TestNoHotKeys(t *testing.T) {
	for _, keys := range []uint64{200, 1000, 1_000_000} { // up to half of the share
		rng := rand.New(rand.NewPCG(5, keys))
		s := newStream(HotKeys{Lane: 1, Share: 0.01, Window: 2 * time.Second}, 50_000, func() uint64 { return rng.Uint64N(keys) })
		if hot := s.run(8 * time.Second); len(hot) > 0 {
			t.Errorf("%d keys alike: %d of them were hot", keys, len(hot))
		}
	}
}

// TestHotKeyComesAndGoes: within a window each.
func TestHotKeyComesAndGoes(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	part := 0.0
	const heavy = uint64(1) << 60
	s := newStream(HotKeys{Lane: 1, Share: 0.05, Cool: 0.02, Window: 2 * time.Second}, 20_000, func() uint64 {
		if rng.Float64() < part {
			return heavy
		}
		return rng.Uint64N(10_000)
	})
	for _, step := range []struct {
		part float64
		want bool
	}{{0.01, false}, {0.2, true}, {0.03, true}, {0.005, false}, {0.03, false}, {0.3, true}, {0, false}} {
		part = step.part
		s.run(6 * time.Second)
		if s.isHot(heavy) != step.want {
			t.Errorf("with %v %% of the calls, hot from 5 %% and cool below 2 %%: hot %v", 100*part, !step.want)
		}
	}
	part = 0.5
	s.run(500 * time.Millisecond)
	if !s.isHot(heavy) {
		t.Error("a key with half of the calls is not hot after a quarter of the window")
	}
	s.now += int64(time.Hour) // nobody calls
	part = 0
	s.run(4 * time.Second)
	if s.isHot(heavy) {
		t.Error("hot an hour later")
	}
}

// TestHotKeysDoNotFlap: a key about the share changes seldom.
func TestHotKeysDoNotFlap(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	s := newStream(HotKeys{Lane: 1, Share: 0.01, Window: time.Second}, 10_000, func() uint64 {
		if rng.Float64() < 0.01 {
			return 7
		}
		return 1000 + rng.Uint64N(100_000)
	})
	changes, was := 0, false
	for range 600 {
		s.run(100 * time.Millisecond)
		if is := s.isHot(7); is != was {
			changes, was = changes+1, is
		}
	}
	if changes != 1 || !was {
		t.Errorf("a key with just the share changed %d times in a minute, hot in the end: %v; want once", changes, was)
	}
}

// TestHotKeysOfOneBucket: counters that are taken over do not make keys hot, and what they
// had of other keys is forgotten like all else.
func TestHotKeysOfOneBucket(t *testing.T) {
	var keys []uint64
	for key := uint64(0); len(keys) < 20; key++ {
		if mix(key)%16 == 0 {
			keys = append(keys, key)
		}
	}
	rng := rand.New(rand.NewPCG(5, 6))
	some := keys
	s := newStream(HotKeys{Lane: 1, Share: 0.1, Window: time.Second}, 20_000, func() uint64 { return some[rng.IntN(len(some))] })
	if len(s.hot.buckets) != 16 {
		t.Fatalf("%d buckets, want 16", len(s.hot.buckets))
	}
	if hot := s.run(3 * time.Second); len(hot) > 0 {
		t.Errorf("of 20 keys with 5 %% each in one bucket %d were hot", len(hot))
	}
	s.now += int64(time.Hour)
	some = nil
	for _, c := range s.hot.buckets[0].counters {
		for _, key := range keys {
			if mix(key) == c.key {
				some = append(some, key)
			}
		}
	}
	s.run(500 * time.Millisecond)
	for _, key := range some {
		if len(some) != hotWays || !s.isHot(key) {
			t.Errorf("one of %d keys that have all calls is not hot", len(some))
		}
	}
}

// TestHotKeysSeldom: a key of a process that is hardly called is not hot.
func TestHotKeysSeldom(t *testing.T) {
	s := newStream(HotKeys{Lane: 1, Share: 0.01}, 1, func() uint64 { return 7 })
	s.run(20 * time.Second)
	if s.isHot(7) {
		t.Error("hot with one call a second")
	}
	if l := mustLanes(t, LanesConfig{Hot: &HotKeys{Lane: 1, Share: 1}}); true {
		for range 100_000 {
			l.Lane(call.UintKey(1), 1, 0)
		}
		if n := l.hot.samples.Load(); n != 0 {
			t.Errorf("%d calls were counted though nobody knew the time", n)
		}
	}
}

// TestHotKeysAreBounded in memory and in what they count.
func TestHotKeysAreBounded(t *testing.T) {
	if size := unsafe.Sizeof(hotBucket{}); size != 2*lineSize {
		t.Errorf("a bucket has %d bytes, want two cache lines", size)
	}
	for share, limit := range map[float64]int{1: 16, 0.01: 32 << 10, MinHotShare: 256 << 10} {
		h := newHotKeys(HotKeys{Lane: 1, Share: share})
		if bytes := len(h.buckets) * 2 * lineSize; bytes > max(limit, 256) || float64(len(h.buckets)*hotWays) < 8/share {
			t.Errorf("share %v: %d buckets", share, len(h.buckets))
		}
	}
	key := uint64(0)
	s := newStream(HotKeys{Lane: 1, Share: 0.01, Window: time.Second}, 1_000_000, func() uint64 { key++; return key })
	s.run(500 * time.Millisecond)
	before := s.hot.samples.Load()
	s.hot.due.Store(math.MaxInt64)
	s.run(500 * time.Millisecond)
	if n := s.hot.samples.Load() - before; n > s.hot.limit*ticksPerWindow {
		t.Errorf("of a million calls a second %d were sampled in half a window", n)
	}
	s = newStream(HotKeys{Lane: 1, Share: 0.01}, 10, func() uint64 { key++; return key })
	s.hot.shift.Store(10)
	s.run(30 * time.Second)
	if shift := s.hot.shift.Load(); shift != 0 {
		t.Errorf("of ten calls a second one in %d is sampled", 1<<shift)
	}
}

func TestHotSet(t *testing.T) {
	var none *hotSet
	if none.has(1) {
		t.Error("nothing has a key")
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for n := 1; n < 300; n++ {
		keys := make([]uint64, n)
		for i := range keys {
			keys[i] = max(rng.Uint64(), 1)
		}
		s := newHotSet(keys)
		for _, key := range keys {
			if !s.has(key) || s.has(key+1) != slices.Contains(keys, key+1) {
				t.Fatalf("a set of %d has not what it is made of", n)
			}
		}
	}
}

func TestHotKeysDoNotAllocate(t *testing.T) {
	l := mustLanes(t, LanesConfig{Rules: []LaneKeys{{Lane: 2, Suffixes: []string{"77"}}}, Hot: &HotKeys{Lane: 1, Share: 0.01}})
	now, key := int64(1), uint64(0)
	if allocs := testing.AllocsPerRun(10_000, func() {
		now += 1000
		key += 1
		l.Lane(call.UintKey(key), key, now)
	}); allocs != 0 {
		t.Errorf("%v allocations a call", allocs)
	}
}

// TestHotKeysConcurrency has 64 goroutines, a fifth of whose calls have one key.
func TestHotKeysConcurrency(t *testing.T) {
	l := mustLanes(t, LanesConfig{Hot: &HotKeys{Lane: 3, Share: 0.05, Window: time.Second}})
	var tasks sync.WaitGroup
	for g := range uint64(64) {
		tasks.Go(func() {
			rng := rand.New(rand.NewPCG(g, 0))
			for i := range int64(4000) {
				key := rng.Uint64N(10_000)
				if key < 2000 {
					key = 42
				}
				if lane, ok := l.Lane(call.UintKey(key), key, 1+i*ms); ok && lane != 3 {
					t.Errorf("lane %d", lane)
				}
			}
		})
	}
	tasks.Wait()
	for key := range uint64(3000) {
		if _, ok := l.Lane(call.UintKey(key), key, 0); ok != (key == 42) {
			t.Errorf("key %d: hot %v", key, ok)
		}
	}
}

func BenchmarkLane(b *testing.B) {
	for _, goroutines := range []int{1, 64} {
		b.Run(fmt.Sprint(goroutines, " goroutines"), func(b *testing.B) {
			l := mustLanes(b, LanesConfig{Hot: &HotKeys{Lane: 1, Share: 0.01}})
			b.SetParallelism(max(1, goroutines/2))
			b.ReportAllocs()
			next, _ := zipf(1, 1.1, 100_000)
			keys := make([]uint64, 1<<12)
			for i := range keys {
				keys[i] = next()
			}
			var start atomic.Int64
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				now := int64(1)
				for i := int(start.Add(977)); pb.Next(); i++ {
					now += 1000
					key := keys[i%len(keys)]
					l.Lane(call.UintKey(key), key, now)
				}
			})
		})
	}
}
