// Package dispatch is where an incoming call of any protocol finds its handler:
// method table → admission → goroutine → interceptors → handler.
package dispatch

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/stats"
)

// Method is an entry of the method table: a handler and its counts.
type Method struct {
	call.Handler
	Stats stats.Method
}

// FullName returns the method's full name: "/users.v1.Users/Get".
func (m *Method) FullName() string { return m.Handler.Method.FullName() }

// Kind returns which sides of the method stream.
func (m *Method) Kind() call.Kind { return m.Handler.Method.Kind() }

// table holds the methods by wire name. Readers see an immutable map.
type table struct {
	mu      sync.Mutex // held by writers
	methods atomic.Pointer[map[string]*Method]
}

// add adds handlers. It panics, naming the method, if one is registered already
// or is not fit to be.
func (t *table) add(handlers []call.Handler) {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := map[string]*Method{}
	if old := t.methods.Load(); old != nil {
		next = maps.Clone(*old)
	}
	for _, h := range handlers {
		if h.Method == nil {
			panic("rpcx: Register: a handler without a method")
		}
		name := h.Method.WireName()
		if (h.Unary == nil) == (h.Stream == nil) || (h.Unary != nil) != (h.Method.Kind() == call.KindUnary) {
			panic(fmt.Sprintf("rpcx: Register: handler of %s does not fit a %s method", h.Method, h.Method.Kind()))
		}
		if next[name] != nil {
			panic(fmt.Sprintf("rpcx: Register: %s is registered already", h.Method))
		}
		next[name] = &Method{Handler: h}
	}
	t.methods.Store(&next)
}

// lookup returns the method called name on the wire, or nil.
func (t *table) lookup(name string) *Method {
	m := t.methods.Load()
	if m == nil {
		return nil
	}
	return (*m)[name]
}

func (t *table) count() int {
	if m := t.methods.Load(); m != nil {
		return len(*m)
	}
	return 0
}

// sorted returns all methods in order of their names.
func (t *table) sorted() []*Method {
	m := t.methods.Load()
	if m == nil {
		return nil
	}
	return slices.SortedFunc(maps.Values(*m), func(a, b *Method) int {
		return strings.Compare(a.FullName(), b.FullName())
	})
}
