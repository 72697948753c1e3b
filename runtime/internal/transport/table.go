package transport

import (
	"sync"

	"github.com/rpcx-go/rpcx/runtime/internal/frame"
)

// Sizes of a table, in slots.
const (
	firstSlots = 4
	mostSlots  = 8 << 10
)

// table finds what belongs to a stream id. Ids grow by two, so that their low
// bits tell slots apart; a slot that a long-lived stream holds sends later ones
// to a map. It may be used concurrently.
type table[T any] struct {
	mu    sync.Mutex
	slots []slot[T] // length is a power of two, or 0
	over  map[frame.StreamID]*T
	n     int
}

type slot[T any] struct {
	id frame.StreamID
	v  *T // nil if the slot is free
}

func (t *table[T]) slot(id frame.StreamID) *slot[T] {
	return &t.slots[int(id>>1)&(len(t.slots)-1)]
}

// put stores v under an id that is not in the table.
func (t *table[T]) put(id frame.StreamID, v *T) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n >= len(t.slots)/2 && len(t.slots) < mostSlots {
		t.growLocked()
	}
	t.n++
	t.putLocked(id, v)
}

func (t *table[T]) putLocked(id frame.StreamID, v *T) {
	if s := t.slot(id); s.v == nil {
		*s = slot[T]{id, v}
		return
	}
	if t.over == nil {
		t.over = map[frame.StreamID]*T{}
	}
	t.over[id] = v
}

func (t *table[T]) growLocked() {
	old, over := t.slots, t.over
	t.slots, t.over = make([]slot[T], max(firstSlots, 2*len(old))), nil
	for _, s := range old {
		if s.v != nil {
			t.putLocked(s.id, s.v)
		}
	}
	for id, v := range over {
		t.putLocked(id, v)
	}
}

func (t *table[T]) getLocked(id frame.StreamID) *T {
	if len(t.slots) == 0 {
		return nil
	}
	if s := t.slot(id); s.id == id && s.v != nil {
		return s.v
	}
	return t.over[id]
}

// get returns what is stored under id, or nil.
func (t *table[T]) get(id frame.StreamID) *T {
	t.mu.Lock()
	v := t.getLocked(id)
	t.mu.Unlock()
	return v
}

// with calls f, under the table's lock, with what is stored under id, so that
// nobody takes it meanwhile, and reports whether there was something.
func (t *table[T]) with(id frame.StreamID, f func(*T)) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	v := t.getLocked(id)
	if v == nil {
		return false
	}
	f(v)
	return true
}

// take removes and returns what is stored under id, or nil. Of several takers
// of one id only one gets it.
func (t *table[T]) take(id frame.StreamID) *T {
	t.mu.Lock()
	v := t.takeLocked(id)
	t.mu.Unlock()
	return v
}

func (t *table[T]) takeLocked(id frame.StreamID) *T {
	v := t.getLocked(id)
	if v == nil {
		return nil
	}
	t.n--
	if s := t.slot(id); s.id == id && s.v == v {
		s.v = nil
	} else {
		delete(t.over, id)
	}
	return v
}

// takeIf removes and returns everything whose id satisfies cond.
func (t *table[T]) takeIf(cond func(frame.StreamID) bool) []*T {
	t.mu.Lock()
	defer t.mu.Unlock()
	var ids []frame.StreamID
	for _, s := range t.slots {
		if s.v != nil && cond(s.id) {
			ids = append(ids, s.id)
		}
	}
	for id := range t.over {
		if cond(id) {
			ids = append(ids, id)
		}
	}
	taken := make([]*T, len(ids))
	for i, id := range ids {
		taken[i] = t.takeLocked(id)
	}
	return taken
}

// trim gives back the table's memory if nothing is stored.
func (t *table[T]) trim() {
	t.mu.Lock()
	if t.n == 0 {
		t.slots, t.over = nil, nil
	}
	t.mu.Unlock()
}

// len returns how many are stored.
func (t *table[T]) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.n
}
