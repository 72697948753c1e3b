package dispatch

import "sync"

// Queue runs the calls of one connection, each on a goroutine, in order of
// arrival, with as few goroutines as their handlers allow.
//
// A runner takes calls one after the other. Whenever it takes one and others
// wait, it makes sure that one more runner has been started and not yet taken a
// call: if the handler blocks, that one goes on and starts its own successor.
// So handlers that block get a goroutine each, and a batch of handlers that do
// not block costs a few goroutines instead of one per call.
type Queue struct {
	d       *Dispatcher
	mu      sync.Mutex
	calls   []*Call
	head    int
	pending bool // a runner has been started and has not taken its first call
}

// NewQueue returns a queue for one connection's calls.
func (d *Dispatcher) NewQueue() *Queue { return &Queue{d: d} }

// Push has an admitted call run soon. It does not block.
func (q *Queue) Push(c *Call) {
	q.mu.Lock()
	if q.head > len(q.calls)/2 && len(q.calls) == cap(q.calls) {
		n := copy(q.calls, q.calls[q.head:])
		clear(q.calls[n:])
		q.calls, q.head = q.calls[:n], 0
	}
	q.calls = append(q.calls, c)
	start := !q.pending
	q.pending = true
	q.mu.Unlock()
	if start {
		q.start()
	}
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
			start := q.head < len(q.calls) && !q.pending
			q.pending = q.pending || start
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

// take returns the next call, or nil if there is none, and sees to it that
// another runner is on its way if more calls wait.
func (q *Queue) take(first bool) *Call {
	q.mu.Lock()
	if first {
		q.pending = false
	}
	if q.head == len(q.calls) {
		q.calls, q.head = q.calls[:0], 0
		q.mu.Unlock()
		return nil
	}
	c := q.calls[q.head]
	q.calls[q.head] = nil
	q.head++
	start := false
	if q.head == len(q.calls) {
		q.calls, q.head = q.calls[:0], 0
	} else if !q.pending {
		q.pending, start = true, true
	}
	q.mu.Unlock()
	if start {
		q.start()
	}
	return c
}

// Trim gives back the queue's memory if no call waits.
func (q *Queue) Trim() {
	q.mu.Lock()
	if len(q.calls) == 0 {
		q.calls, q.head = nil, 0
	}
	q.mu.Unlock()
}

// Waiting returns how many calls have not been taken yet.
func (q *Queue) Waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.calls) - q.head
}
