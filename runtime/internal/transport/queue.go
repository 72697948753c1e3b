package transport

import "sync"

// item is a complete message of a stream, or a run of them.
type item struct {
	data        []byte    // nobody else uses it
	asm         *assembly // counts its memory until it is returned; nil if it came in one frame
	held        uint32    // credit that it holds until then
	compression uint8
	run         bool // data is a run
}

// blockItems is how many items a block has.
const blockItems = 64

// blocks are those of queues that are not in use, empty.
var blocks = sync.Pool{New: func() any { return new([blockItems]item) }}

// queue is a queue of items: full blocks, and one that is filled. It is not safe
// for concurrent use. Where it is empty it holds at most a block.
type queue struct {
	full [][]item // the oldest items, in blocks of blockItems
	last []item   // the items behind them
	next int      // how many items of the oldest block have been popped
}

func (q *queue) empty() bool { return len(q.full) == 0 && q.next == len(q.last) }

// push adds an item.
func (q *queue) push(it item) {
	if len(q.last) == blockItems {
		q.full = append(q.full, q.last)
		q.last = blocks.Get().(*[blockItems]item)[:0]
	}
	if len(q.last) == cap(q.last) {
		// Most queues never have more than a few at a time.
		bigger := make([]item, len(q.last), min(max(1, 2*len(q.last)), blockItems))
		copy(bigger, q.last)
		q.last = bigger
	}
	q.last = append(q.last, it)
}

// pop takes out the oldest item, if there is one.
func (q *queue) pop() (it item, ok bool) {
	block := q.last
	if len(q.full) > 0 {
		block = q.full[0]
	}
	if q.next == len(block) {
		return it, false
	}
	it = block[q.next]
	block[q.next] = item{}
	if q.next++; q.next < len(block) {
		return it, true
	}
	q.next = 0
	if len(q.full) == 0 {
		q.last = q.last[:0]
		return it, true
	}
	blocks.Put((*[blockItems]item)(block))
	q.full[0] = nil
	if q.full = q.full[1:]; len(q.full) == 0 {
		q.full = nil
	}
	return it, true
}
