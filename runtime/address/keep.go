package address

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// ErrNoEndpoints is the error of an update where a Source found a list that is empty.
var ErrNoEndpoints = errors.New("the resolver found no endpoints")

// Keeper is a Source that gives what another one finds, and, when that fails or
// finds nothing, what it found last: a registry that is down, or that lost its
// data, does not take away servers that live. Of lists with more than MaxEndpoints it
// gives the first ones, with an error beside them.
type Keeper struct {
	source Source
	strict bool

	mu    sync.Mutex
	last  []Endpoint
	stats KeepStats
}

// KeepStats counts what a Keeper has seen.
type KeepStats struct {
	// Updates had endpoints, all or a part; Errors could not be found; Empty were lists
	// without one.
	Updates, Errors, Empty uint64
	// Kept of the latter two were answered with what was found last.
	Kept uint64
	// Err is what is wrong now, nil after an update with endpoints and without an error.
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
	if n := len(u.Endpoints); n > MaxEndpoints {
		u.Endpoints = u.Endpoints[:MaxEndpoints:MaxEndpoints]
		u.Err = errors.Join(u.Err, fmt.Errorf("the resolver found %d endpoints, only the first %d are used", n, MaxEndpoints))
	}
	switch {
	case len(u.Endpoints) > 0:
		k.stats.Updates++
		k.last = u.Endpoints
	case u.Err != nil:
		k.stats.Errors++
	default:
		k.stats.Empty++
		u.Err = ErrNoEndpoints
	}
	k.stats.Err = u.Err
	if len(u.Endpoints) > 0 {
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
