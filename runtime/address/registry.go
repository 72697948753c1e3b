package address

import (
	"context"
	"slices"
	"sync"
)

// Registrar puts servers where a Resolver finds them.
type Registrar interface {
	// Register puts the server that listens on e in under name and keeps it there
	// until it is taken out: whatever the registry forgets is put in again. It
	// returns when the server can be found; ctx bounds that and nothing else. A
	// registration with the same name and identity replaces the one before it.
	Register(ctx context.Context, name string, e Endpoint) (Registration, error)
}

// Registration is a server's entry in a registry.
type Registration interface {
	// Deregister takes the server out, as the first thing that it does when it
	// drains. It returns when clients can learn of it; if ctx is done before that,
	// the entry is no longer kept and goes when it expires. Later calls do nothing.
	Deregister(ctx context.Context) error
}

// Registry is a Registrar and a Resolver in memory, for tests and for programs
// of one process. Targets are "scheme:///name". The zero value is an empty registry.
// Its methods may be called concurrently.
type Registry struct {
	mu      sync.Mutex
	names   map[string][]*entryOf
	changed chan struct{} // closed and replaced with each change
	err     error
}

// entryOf is a registration in a Registry.
type entryOf struct {
	registry *Registry
	name     string
	endpoint Endpoint
}

var (
	_ Registrar = (*Registry)(nil)
	_ Resolver  = (*Registry)(nil)
)

// Register implements Registrar. It fails as long as Break says.
func (r *Registry) Register(_ context.Context, name string, e Endpoint) (Registration, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return nil, r.err
	}
	if r.names == nil {
		r.names = make(map[string][]*entryOf)
	}
	added := &entryOf{r, name, e}
	i := slices.IndexFunc(r.names[name], func(o *entryOf) bool { return o.endpoint.ID() == e.ID() })
	if i >= 0 {
		r.names[name][i] = added
	} else {
		r.names[name] = append(r.names[name], added)
	}
	r.changedLocked()
	return added, nil
}

// Deregister implements Registration.
func (e *entryOf) Deregister(context.Context) error {
	r := e.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.Index(r.names[e.name], e); i >= 0 {
		r.names[e.name] = slices.Delete(r.names[e.name], i, i+1)
		r.changedLocked()
	}
	return nil
}

// Break has all who watch get err instead of endpoints, until it is called with
// nil: an outage for tests. What is registered remains.
func (r *Registry) Break(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
	r.changedLocked()
}

func (r *Registry) changedLocked() {
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

// Resolve implements Resolver.
func (r *Registry) Resolve(t Target) (Source, error) {
	if t.Path == "" || t.Host != "" {
		return nil, t.errorf("want three slashes and a name, as in \"%s:///users\"", t.Scheme)
	}
	return r.Source(t.Path), nil
}

// Source returns what finds the endpoints that are registered under name, in
// the order in which they were.
func (r *Registry) Source(name string) Source {
	return SourceFunc(func(ctx context.Context, update func(Update)) {
		for ctx.Err() == nil {
			u, changed := r.look(name)
			update(u)
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
	})
}

// look returns what is registered and a channel that is closed when it changes.
func (r *Registry) look(name string) (Update, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	if r.err != nil {
		return Update{Err: r.err}, r.changed
	}
	u := Update{}
	for _, e := range r.names[name] {
		u.Endpoints = append(u.Endpoints, e.endpoint)
	}
	return u, r.changed
}
