package transport

import "sync"

// item is a complete message of a stream.
type item struct {
	data        []byte    // nobody else uses it
	asm         *assembly // counts its memory until it is returned; nil if it came in one frame
	held        uint32    // credit that it holds until then
	compression uint8
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

// Sizes of chunks, in which small messages of a stream lie side by side. What
// refers to a message keeps its chunk alive, and so at most maxChunk bytes that
// are not its own.
const (
	maxChunk = 8 << 10
	// ownChunk is from where a message has memory of its own, so that no more than
	// a quarter of a chunk is left over.
	ownChunk = maxChunk / 4
)

// keep copies msg into chunk, if there is room, or else into a new one, and
// returns the chunk and the copy, which may be kept and changed. Chunks grow with
// what has come, so that a stream of few messages holds little.
func keep(chunk, msg []byte) (now, kept []byte) {
	if len(msg) >= ownChunk {
		kept = make([]byte, len(msg))
		copy(kept, msg)
		return chunk, kept
	}
	if cap(chunk)-len(chunk) < len(msg) {
		chunk = make([]byte, 0, min(maxChunk, max(len(msg), 2*cap(chunk))))
	}
	start := len(chunk)
	chunk = append(chunk, msg...)
	return chunk, chunk[start:len(chunk):len(chunk)]
}
