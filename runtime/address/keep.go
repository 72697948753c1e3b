package address

import (
	"context"
	"errors"
	"sync"
)

// ErrNoEndpoints is the error of an update where a Source found a list that is empty.
var ErrNoEndpoints = errors.New("the resolver found no endpoints")

// Keeper is a Source that gives what another one finds, and, when that fails or
// finds nothing, what it found last: a registry that is down, or that lost its
// data, does not take away servers that live.
type Keeper struct {
	source Source
	strict bool

	mu    sync.Mutex
	last  []Endpoint
	stats KeepStats
}

// KeepStats counts what a Keeper has seen.
type KeepStats struct {
	// Updates had endpoints; Errors could not be found; Empty were lists without one.
	Updates, Errors, Empty uint64
	// Kept of the latter two were answered with what was found last.
	Kept uint64
	// Err is what is wrong now, nil after an update with endpoints.
	Err error
}

// Keep returns a Keeper of source. If strict is set it keeps nothing: errors and
// empty lists leave no endpoints. It counts, and turns empty lists into
// ErrNoEndpoints, in either case.
func Keep(source Source, strict bool) *Keeper { return &Keeper{source: source, strict: strict} }

// Watch implements Source.
func (k *Keeper) Watch(ctx context.Context, update func(Update)) {
	k.source.Watch(ctx, func(u Update) { update(k.judge(u)) })
}

func (k *Keeper) judge(u Update) Update {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case u.Err != nil:
		k.stats.Errors++
	case len(u.Endpoints) == 0:
		k.stats.Empty++
		u.Err = ErrNoEndpoints
	default:
		k.stats.Updates++
		k.last = u.Endpoints
	}
	k.stats.Err = u.Err
	if u.Err == nil {
		return u
	}
	u.Endpoints = nil
	if !k.strict && k.last != nil {
		k.stats.Kept++
		u.Endpoints = k.last
	}
	return u
}

// Stats returns the counts so far.
func (k *Keeper) Stats() KeepStats {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.stats
}

// Refresh implements Refresher, if the Source does.
func (k *Keeper) Refresh() {
	if r, ok := k.source.(Refresher); ok {
		r.Refresh()
	}
}
