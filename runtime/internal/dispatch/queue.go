package dispatch

import "sync"

// Queue runs the calls of one connection, each on a goroutine, in order of
// arrival, with as few goroutines as their handlers allow.
//
// A runner takes calls one after the other. Whenever it takes one and others
// wait, it makes sure that one more runner has been started and not yet taken a
// call: if the handler blocks, that one goes on and starts its own successor.
// So handlers that block get a goroutine each, and a batch of handlers that do
// not block costs a few goroutines instead of one per call. A few runners that
// find nothing to do stay for the next batch, so that it finds their stacks grown.
type Queue struct {
	d       *Dispatcher
	mu      sync.Mutex
	calls   []*Call
	head    int
	pending bool // a runner has been started or woken and has not taken its first call
	resting int  // runners that stay
	woken   int  // of those that stayed, how many are to go on
	over    bool // none stays any more
	wake    sync.Cond
}

// maxResting is how many runners stay for the next calls.
const maxResting = 2

// NewQueue returns a queue for one connection's calls.
func (d *Dispatcher) NewQueue() *Queue {
	q := &Queue{d: d}
	q.wake.L = &q.mu
	return q
}

// Push has an admitted call run soon. It does not block.
func (q *Queue) Push(c *Call) {
	q.mu.Lock()
	if q.head > len(q.calls)/2 && len(q.calls) == cap(q.calls) {
		n := copy(q.calls, q.calls[q.head:])
		clear(q.calls[n:])
		q.calls, q.head = q.calls[:n], 0
	}
	q.calls = append(q.calls, c)
	start := q.needLocked()
	q.mu.Unlock()
	if start {
		q.start()
	}
}

// needLocked sees to it that a runner is on its way: it wakes one that rests, or
// reports that one must be started.
func (q *Queue) needLocked() (start bool) {
	if q.pending {
		return false
	}
	q.pending = true
	if q.resting == 0 {
		return true
	}
	q.resting--
	q.woken++
	q.wake.Signal()
	return false
}

func (q *Queue) start() {
	q.d.work.Add(1)
	go q.run()
}

func (q *Queue) run() {
	ended := false
	defer func() {
		if !ended { // a handler ended this goroutine: others must not wait for it
			q.mu.Lock()
			start := q.head < len(q.calls) && q.needLocked()
			q.mu.Unlock()
			if start {
				q.start()
			}
		}
		q.d.work.Done()
	}()
	for first := true; ; first = false {
		c := q.take(first)
		if c == nil {
			ended = true
			return
		}
		q.d.Run(c)
	}
}

// take returns the next call, waiting for it if the runner is one of those that
// stay, or nil if the runner is to end. It sees to it that another runner is on its
// way if more calls wait.
func (q *Queue) take(first bool) *Call {
	q.mu.Lock()
	for ; ; first = true {
		if first {
			q.pending = false
		}
		if q.head < len(q.calls) {
			break
		}
		q.calls, q.head = q.calls[:0], 0
		if !q.restLocked() {
			q.mu.Unlock()
			return nil
		}
	}
	c := q.calls[q.head]
	q.calls[q.head] = nil
	q.head++
	start := false
	if q.head == len(q.calls) {
		q.calls, q.head = q.calls[:0], 0
	} else {
		start = q.needLocked()
	}
	q.mu.Unlock()
	if start {
		q.start()
	}
	return c
}

// restLocked has a runner wait until it is wanted. It returns false if the runner
// is to end.
func (q *Queue) restLocked() bool {
	if q.over || q.resting >= maxResting {
		return false
	}
	q.resting++
	for q.woken == 0 {
		if q.over {
			return false
		}
		q.wake.Wait()
	}
	q.woken--
	return true
}

// Close has runners end when no call is left. It is called when no more will come.
func (q *Queue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.over = true
	q.resting = 0
	q.wake.Broadcast()
}

// Waiting returns how many calls have not been taken yet.
func (q *Queue) Waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.calls) - q.head
}
