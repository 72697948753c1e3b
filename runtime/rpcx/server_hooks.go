package rpcx

import (
	"slices"
	"sync"
)

// hooks are functions that are called once, before a server shuts down.
type hooks struct {
	mu    sync.Mutex
	funcs []func()
	once  sync.Once
}

func (h *hooks) add(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.funcs = append(h.funcs, f)
}

// run calls the functions, the first time. It returns when they have returned.
func (h *hooks) run() {
	h.once.Do(func() {
		h.mu.Lock()
		funcs := slices.Clone(h.funcs)
		h.mu.Unlock()
		for _, f := range funcs {
			f()
		}
	})
}

// OnShutdown has f called once when Shutdown begins, as it does when the context
// of ListenAndServe is done: before the server stops listening and clients are
// told to go. Functions are called in the order in which they were added; the
// shutdown waits for them. Close alone does not call them, and one that is added
// after Shutdown has begun is never called.
func (s *Server) OnShutdown(f func()) { s.hooks.add(f) }

// Services returns the full names of the services that handlers are registered
// for, in order.
func (s *Server) Services() []string {
	var names []string
	for _, m := range s.dispatch.Methods() {
		names = append(names, m.Handler.Method.Service())
	}
	slices.Sort(names)
	return slices.Compact(names)
}
