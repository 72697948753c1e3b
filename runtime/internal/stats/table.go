package stats

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rpcx-go/rpcx/runtime/call"
)

// Table holds the counts of the methods that a client calls, by
// call.Method.Index. The zero value is ready. It may be used concurrently.
type Table struct {
	mu      sync.Mutex // held by writers
	entries atomic.Pointer[[]*entry]
}

type entry struct {
	method *call.Method
	counts Method
}

// Method returns the counts of m, which it adds if need be.
func (t *Table) Method(m *call.Method) *Method {
	if all := t.entries.Load(); all != nil && int(m.Index()) < len(*all) {
		if e := (*all)[m.Index()]; e != nil {
			return &e.counts
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var next []*entry
	if all := t.entries.Load(); all != nil {
		next = slices.Clone(*all)
	}
	i := int(m.Index())
	if i >= len(next) {
		next = append(next, make([]*entry, i+1-len(next))...)
	}
	if next[i] == nil {
		next[i] = &entry{method: m}
	}
	t.entries.Store(&next)
	return &next[i].counts
}

// Snapshot returns the counts of all methods in order of their names.
func (t *Table) Snapshot() []MethodStats {
	all := t.entries.Load()
	if all == nil {
		return nil
	}
	var out []MethodStats
	for _, e := range *all {
		if e != nil {
			out = append(out, e.counts.Snapshot(e.method.FullName()))
		}
	}
	slices.SortFunc(out, func(a, b MethodStats) int { return strings.Compare(a.Method, b.Method) })
	return out
}
