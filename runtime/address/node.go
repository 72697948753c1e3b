package address

import (
	"math"
	"sync/atomic"
	"time"
)

// Defaults of a Pool and of nodes made by NewNode.
const (
	// DefaultDecay is how long it takes until a latency counts for 1/e of itself.
	DefaultDecay = 10 * time.Second
	// DefaultSlowStart is how long a server that joined others gets less than its share.
	DefaultSlowStart = 10 * time.Second
)

const (
	// stampShift makes nanoseconds into stamps of about a millisecond, of which
	// 32 bits last 52 days. Differences of stamps are taken modulo 2^32.
	stampShift = 20
	// minFailed and maxFailed bound the latency that a failed call counts as.
	minFailed = float32(time.Millisecond)
	maxFailed = float32(10 * time.Second)
	// rampFloor is the least part of its share that a server gets at first.
	rampFloor = 0.1

	lineSize = 64 // of the caches that matter
)

// Node is one live endpoint with its load. It stays the same while its
// endpoint's identity is among what a Pool is given, whatever else changes. Its
// methods may be called concurrently and never wait, except MarkOut and MarkIn.
//
// Times are nanoseconds on any monotonic scale that all callers share, such as
// those since the process started; zero means that the caller does not know.
type Node struct {
	// What picking reads and calls write is one cache line; it is all that
	// choosing a node touches of it.

	// calls has the number of calls in flight in its low half and of those begun,
	// modulo 2^32, in its high half, so that beginning one is one addition.
	calls atomic.Uint64
	// latency has a float32 of nanoseconds in its low half and the stamp of when
	// it was true in its high half.
	latency  atomic.Uint64
	failed   atomic.Uint32
	out      atomic.Uint32 // a set of Reasons
	rampFrom int64         // when slow start began, or 0
	rampFor  int64
	fade     float32 // halvings of the latency per stamp
	_        [lineSize - 44]byte

	endpoint atomic.Pointer[Endpoint]
	pool     *Pool // told of what MarkOut and MarkIn change, or nil
	attached any
	_        [lineSize - 32]byte // what is allocated in 128 bytes begins with a line
}

// NewNode returns a node that belongs to no Pool, as tests of balancers want.
func NewNode(e Endpoint) *Node { return newNode(e, DefaultDecay) }

func newNode(e Endpoint, decay time.Duration) *Node {
	n := &Node{fade: float32((1 << stampShift) / (float64(decay) * math.Ln2))}
	n.endpoint.Store(&e)
	return n
}

// Endpoint returns where the node is, with the newest attributes.
func (n *Node) Endpoint() Endpoint { return *n.endpoint.Load() }

// ID returns the identity of the node's endpoint.
func (n *Node) ID() ID { return n.endpoint.Load().ID() }

// Attached returns what PoolConfig.Attach made for the node, or nil.
func (n *Node) Attached() any { return n.attached }

// Begin says that a call goes to the node. Each Begin is followed by one End,
// Lost or Cancel.
func (n *Node) Begin() { n.calls.Add(1<<32 | 1) }

// Cancel says that the call ended without saying anything about the server: the
// caller lost interest, or it was a stream, which lasts as long as its user wants.
func (n *Node) Cancel() { n.calls.Add(^uint64(0)) }

// Lost says that the call failed as its connection was lost, which says nothing of
// how long calls take. Whoever keeps the connections marks the node out.
func (n *Node) Lost() {
	n.calls.Add(^uint64(0))
	n.failed.Add(1)
}

// End says that a call ended at now, having taken took nanoseconds, also if that
// was all the time it had. A call that
// failed, in a way that is the server's or the network's fault, counts as if it
// had taken at least twice the time that calls took before, at least 1 ms and at
// most 10 s, so that a server which fails fast does not look fast.
func (n *Node) End(now, took int64, failed bool) {
	n.calls.Add(^uint64(0))
	seen := float32(max(took, 1))
	if failed {
		n.failed.Add(1)
	}
	stamp := uint32(now >> stampShift)
	for {
		old := n.latency.Load()
		last, age := split(old, stamp)
		next := seen
		if failed {
			next = max(seen, min(max(2*last, minFailed), maxFailed))
		}
		if next < last {
			if age <= 0 {
				// Of the calls that end within one stamp the first stands for all
				// but slower ones: busy nodes are written once a millisecond.
				return
			}
			w := halved(float32(age) * n.fade)
			next = last*w + next*(1-w)
		}
		packed := uint64(math.Float32bits(next))
		if age > 0 {
			packed |= uint64(stamp) << 32
		} else {
			packed |= old &^ math.MaxUint32
		}
		if packed == old || n.latency.CompareAndSwap(old, packed) {
			return
		}
	}
}

// split returns the latency in packed and how many stamps old it is, which is
// negative if it is of the future.
func split(packed uint64, stamp uint32) (latency float32, age int32) {
	return math.Float32frombits(uint32(packed)), int32(stamp - uint32(packed>>32))
}

// halved returns 2^-x for x >= 0, within 0.3 %.
func halved(x float32) float32 {
	if !(x < 126) {
		return 0
	}
	whole := uint32(x)
	part := x - float32(whole)
	return math.Float32frombits((127-whole)<<23) * (1 + part*(0.1705*part-0.6705))
}

// InFlight returns the number of calls that have begun and not ended.
func (n *Node) InFlight() int { return int(uint32(n.calls.Load())) }

// Counts returns how many calls began and how many failed since the node was
// made, modulo 2^32.
func (n *Node) Counts() (begun, failed uint32) {
	return uint32(n.calls.Load() >> 32), n.failed.Load()
}

// Latency returns how long calls take as of now: the peak of late, fading with
// the pool's decay towards what calls take since, and towards zero while there
// are none, so that a slow server is tried again. Zero means that nobody knows.
func (n *Node) Latency(now int64) time.Duration { return time.Duration(n.latencyAt(now)) }

func (n *Node) latencyAt(now int64) float32 {
	latency, age := split(n.latency.Load(), uint32(now>>stampShift))
	if age <= 0 || now == 0 {
		return latency
	}
	return latency * halved(float32(age)*n.fade)
}

// Ramp returns the part of its share that the node is to get as of now: 1,
// except during slow start, when it grows from 0.1 linearly.
func (n *Node) Ramp(now int64) float64 {
	if n.rampFrom == 0 || now-n.rampFrom >= n.rampFor {
		return 1
	}
	return max(float64(now-n.rampFrom)/float64(n.rampFor), rampFloor)
}
