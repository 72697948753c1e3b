package address

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// HotKeys is which keys are hot: those that have a large share of the calls.
//
// They are found by a sketch of bounded memory, 16 bytes for each of at least 8/Share
// counters: Space-Saving (Metwally, Agrawal, El Abbadi, "Efficient Computation of Frequent and
// Top-k Elements in Data Streams", ICDT 2005), of which each bucket of seven counters is
// one of its own for the keys that hash to it, and which forgets exponentially. Unlike a
// count-min sketch it knows the keys as well as their counts, and how much of a count may
// belong to other keys, so that no key is called hot by mistake of the sketch.
type HotKeys struct {
	// Lane is where calls of hot keys go, 1 to call.MaxLane.
	Lane uint8
	// Share is the share of the calls that makes a key hot, MinHotShare to 1.
	Share float64
	// Cool is the share below which a key is no longer hot, so that it does not flap; more
	// than 0, at most Share, and half of Share if it is zero.
	Cool float64
	// Window is how long calls count: those of a Window ago count for 1/e. It is
	// DefaultHotWindow if it is zero, otherwise 100 ms to an hour.
	Window time.Duration
}

const (
	// MinHotShare is the least share of calls that can make a key hot.
	MinHotShare = 0.001
	// DefaultHotWindow is how long calls count towards their key being hot.
	DefaultHotWindow = 10 * time.Second
)

func (c *HotKeys) validate() error {
	if err := validateLane(c.Lane); err != nil {
		return fmt.Errorf("lane: %w", err)
	}
	if !(c.Share >= MinHotShare && c.Share <= 1) {
		return fmt.Errorf("share: is %v, want %v to 1", c.Share, MinHotShare)
	}
	if !(c.Cool >= 0 && c.Cool <= c.Share) {
		return fmt.Errorf("cool: is %v, want 0 to share, %v", c.Cool, c.Share)
	}
	if c.Window != 0 && (c.Window < 100*time.Millisecond || c.Window > time.Hour) {
		return fmt.Errorf("window: is %v, want 100ms to 1h", c.Window)
	}
	return nil
}

const (
	// ticksPerWindow is how often in a Window hot keys are looked for.
	ticksPerWindow = 8
	// hotEvidence is how often a key must have been sampled to be hot.
	hotEvidence = 32
	// hotSamples is how many samples count, at Share or above, of a key that is just hot. As
	// many calls are sampled in a Window as that takes, so that a busy process counts few of its calls.
	hotSamples    = 256
	minHotSamples = 16384
	maxHotShift   = 20
	// hotWays is how many counters a bucket has: with its lock it is two cache lines.
	hotWays = 7
	// hotTries is how often a bucket's lock is tried before the sample is dropped.
	hotTries = 64
)

// hotKeys finds hot keys.
type hotKeys struct {
	cfg     HotKeys
	tick    int64   // nanoseconds
	decay   float64 // of a count in a tick
	limit   uint64  // of samples in a tick
	buckets []hotBucket
	rand    func() uint64 // nil means math/rand/v2
	_       [lineSize]byte

	// What every call reads, and ticks write.
	hot   atomic.Pointer[hotSet]
	due   atomic.Int64  // when the next tick is, 0 before the first call
	shift atomic.Uint32 // one call in 2^shift is sampled
	_     [lineSize]byte

	// What samples write, of the present tick.
	weight  atomic.Uint64 // the calls that they stand for
	samples atomic.Uint64
	_       [lineSize]byte

	mu    sync.Mutex
	calls float64 // as of the last tick, with those of long ago counting less
}

type hotBucket struct {
	lock     atomic.Uint32
	counters [hotWays]hotCounter
	_        [8]byte
}

// hotCounter says that key had at least count-over and at most count calls.
type hotCounter struct {
	key         uint64 // 0 if there is none
	count, over float32
}

func newHotKeys(cfg HotKeys) *hotKeys {
	if cfg.Cool == 0 {
		cfg.Cool = cfg.Share / 2
	}
	if cfg.Window == 0 {
		cfg.Window = DefaultHotWindow
	}
	buckets := 1
	for float64(buckets*hotWays) < 8/cfg.Share {
		buckets *= 2
	}
	return &hotKeys{
		cfg:     cfg,
		tick:    int64(cfg.Window) / ticksPerWindow,
		decay:   math.Exp(-1.0 / ticksPerWindow),
		limit:   uint64(max(minHotSamples, hotSamples/cfg.Share) / ticksPerWindow),
		buckets: make([]hotBucket, buckets),
	}
}

// is counts a call at now and reports whether the key of that hash is hot.
func (h *hotKeys) is(hash uint64, now int64) bool {
	key := max(mix(hash), 1)
	if now != 0 {
		if shift := h.shift.Load(); shift == 0 || h.random()&(1<<shift-1) == 0 {
			h.sample(key, shift)
		}
		if now >= h.due.Load() {
			h.ticked(now)
		}
	}
	return h.hot.Load().has(key)
}

func (h *hotKeys) random() uint64 {
	if h.rand != nil {
		return h.rand()
	}
	return rand.Uint64()
}

// sample counts a call that stands for 2^shift.
func (h *hotKeys) sample(key uint64, shift uint32) {
	b := &h.buckets[key&uint64(len(h.buckets)-1)]
	for tries := 0; !b.lock.CompareAndSwap(0, 1); tries++ {
		if tries == hotTries {
			return
		}
	}
	b.count(key, float32(uint32(1)<<shift))
	b.lock.Store(0)
	h.weight.Add(1 << shift)
	if h.samples.Add(1)%h.limit == 0 && shift < maxHotShift {
		h.shift.CompareAndSwap(shift, shift+1)
	}
}

// count is one step of Space-Saving: a key that has no counter takes over the smallest one.
func (b *hotBucket) count(key uint64, weight float32) {
	least := &b.counters[0]
	for i := range b.counters {
		c := &b.counters[i]
		if c.key == key {
			c.count += weight
			return
		}
		if c.count < least.count {
			least = c
		}
	}
	*least = hotCounter{key, least.count + weight, least.count}
}

// ticked finds out what is hot if that is due, and lets the counts fade.
func (h *hotKeys) ticked(now int64) {
	if !h.mu.TryLock() {
		return // somebody does it
	}
	defer h.mu.Unlock()
	due := h.due.Load()
	if now < due {
		return
	}
	if due == 0 {
		h.due.Store(now + h.tick)
		return
	}
	ticks := 1 + (now-due)/h.tick
	h.due.Store(due + ticks*h.tick)
	h.calls += float64(h.weight.Swap(0))
	decay := math.Pow(h.decay, float64(ticks))
	h.publish(h.sweep(float32(decay)))
	h.calls *= decay

	samples := h.samples.Swap(0) / uint64(ticks)
	if shift := h.shift.Load(); shift > 0 && samples < h.limit/4 {
		h.shift.Store(shift - uint32(min(int64(shift), ticks)))
	}
}

// sweep returns the keys that are hot and multiplies all counts by decay.
func (h *hotKeys) sweep(decay float32) []uint64 {
	was := h.hot.Load()
	enter, leave := float32(h.cfg.Share*h.calls), float32(h.cfg.Cool*h.calls)
	evidence := float32(uint32(hotEvidence) << h.shift.Load())
	var hot []uint64
	for i := range h.buckets {
		b := &h.buckets[i]
		for !b.lock.CompareAndSwap(0, 1) {
			runtime.Gosched()
		}
		for j := range b.counters {
			c := &b.counters[j]
			sure := c.count - c.over
			if c.key != 0 && (sure >= enter && sure >= evidence || c.count >= leave && was.has(c.key)) {
				hot = append(hot, c.key)
			}
			c.count *= decay
			c.over *= decay
		}
		b.lock.Store(0)
	}
	return hot
}

func (h *hotKeys) publish(keys []uint64) {
	slices.Sort(keys)
	was := h.hot.Load()
	switch {
	case len(keys) == 0:
		h.hot.Store(nil)
	case was == nil || !slices.Equal(was.keys, keys):
		h.hot.Store(newHotSet(keys))
	}
}

// hotSet is a set of keys that does not change; nil is empty.
type hotSet struct {
	keys  []uint64 // sorted
	slots []uint64 // at least half of them 0, which is no key
}

func newHotSet(keys []uint64) *hotSet {
	size := 1
	for size < 4*len(keys) {
		size *= 2
	}
	s := &hotSet{keys, make([]uint64, size)}
	for _, key := range keys {
		*s.slot(key) = key
	}
	return s
}

// slot returns where the key is, or would be.
func (s *hotSet) slot(key uint64) *uint64 {
	mask := uint64(len(s.slots) - 1)
	for i := key >> 32; ; i++ {
		if slot := &s.slots[i&mask]; *slot == key || *slot == 0 {
			return slot
		}
	}
}

func (s *hotSet) has(key uint64) bool { return s != nil && *s.slot(key) == key }
