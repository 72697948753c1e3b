package fanout

import (
	"context"
	"fmt"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// Sharder knows which keys belong to the same server: an *rpcx.Conn, or
// Unsharded.
type Sharder interface {
	// Shard returns a number that is the same for those keys with which calls of m
	// with opts go to the same server, or the same group of servers. ok is false if
	// keys do not matter to where they go.
	Shard(ctx context.Context, m *call.Method, key call.Key, opts ...rpcx.CallOption) (id uint64, ok bool, err error)
}

// Conn is what generated methods call shards through: an *rpcx.Conn, or
// Unsharded.
type Conn interface {
	rpcx.Caller
	Sharder
}

var _ Conn = (*rpcx.Conn)(nil)

// Unsharded returns a Conn for a Caller that knows no shards, such as one that
// stands in for a server in a test: all elements are one part.
func Unsharded(c rpcx.Caller) Conn { return unsharded{c} }

type unsharded struct{ rpcx.Caller }

func (unsharded) Shard(context.Context, *call.Method, call.Key, ...rpcx.CallOption) (uint64, bool, error) {
	return 0, false, nil
}

// Shard splits elems into one part for each server that they belong to, calls f
// with each part, and returns the results in the order of elems. conn says which
// elements belong together, given the key of each for calls of m.
//
// f returns one result for each element of its part, in their order; another
// number is an INTERNAL error of the part. It passes options on to its call of m,
// which has to go through conn: they hold the route key of one of the elements, so
// that the call goes to the part's server, and the options of WithCallOptions.
// part must not be changed or kept.
//
// Elements without a key, and those whose keys do not matter to conn, are one part,
// for which the balancer chooses the server. If m requires a key and an element
// has none, nothing is called, and the error is INVALID_ARGUMENT. The first failure of a part cancels the others, and the
// result is nil, unless WithPartialResults is given. The error is an *Error, whose
// parts name their elements, unless conn fails to say where elements belong.
// Without elements nothing is called, and the result is empty.
//
// f is called concurrently.
func Shard[E, R any](
	ctx context.Context, conn Sharder, m *call.Method, elems []E, key func(E) call.Key,
	f func(ctx context.Context, part []E, opts ...rpcx.CallOption) ([]R, error), opts ...Option,
) ([]R, error) {
	c := configure(opts)
	ctx, cancel := c.context(ctx)
	defer cancel()
	shards, err := split(ctx, conn, m, elems, key, c.callOptions)
	if err != nil {
		return nil, err
	}
	outcomes := run(ctx, len(shards), c,
		func(ctx context.Context, i int) ([]R, error) {
			s := &shards[i]
			results, err := f(ctx, s.elems, s.options(c)...)
			if status.CodeOf(err) == status.OK && len(results) != len(s.elems) {
				return nil, status.Errorf(status.Internal, "%d answers for %d elements", len(results), len(s.elems))
			}
			return results, err
		},
		func(o *outcome[[]R]) bool { return o.state == failed && !c.partial })
	failure := newError(outcomes, func(i int) PartError {
		return PartError{Name: fmt.Sprintf("shard %d of %d", i+1, len(shards)), Elements: shards[i].at}
	})
	if failure != nil && !c.partial {
		return nil, failure
	}
	results := make([]R, len(elems))
	for i := range outcomes {
		if outcomes[i].state != succeeded {
			continue
		}
		for k, at := range shards[i].at {
			results[at] = outcomes[i].value[k]
		}
	}
	if failure != nil {
		return results, failure
	}
	return results, nil
}

// shard is a part of the elements.
type shard[E any] struct {
	elems []E
	at    []int    // their indexes
	key   call.Key // of one of them
}

// options returns the options of the call for the shard.
func (s *shard[E]) options(c *config) []rpcx.CallOption {
	opts := make([]rpcx.CallOption, 0, len(c.callOptions)+1)
	opts = append(opts, c.callOptions...)
	if s.key.Present() {
		opts = append(opts, rpcx.WithRouteKey(s.key))
	}
	return opts
}

// place is where an element belongs; the zero place is that of elements whose key
// does not matter or is absent.
type place struct {
	id      uint64
	sharded bool
}

// split returns the shards of elems, in the order in which they first occur.
func split[E any](ctx context.Context, conn Sharder, m *call.Method, elems []E, key func(E) call.Key, opts []rpcx.CallOption) ([]shard[E], error) {
	var shards []shard[E]
	index := make(map[place]int)
	for i, elem := range elems {
		k := key(elem)
		var at place
		switch {
		case k.Present():
			id, sharded, err := conn.Shard(ctx, m, k, opts...)
			if err != nil {
				return nil, err
			}
			if sharded {
				at = place{id, true}
			}
		case m.KeyRequired():
			return nil, status.New(status.InvalidArgument,
				fmt.Sprintf("element %d has no route key, which %s requires", i, m.FullName())).WithNotRun()
		}
		n, known := index[at]
		if !known {
			n = len(shards)
			index[at] = n
			shards = append(shards, shard[E]{})
		}
		s := &shards[n]
		s.elems, s.at = append(s.elems, elem), append(s.at, i)
		if !s.key.Present() {
			s.key = k
		}
	}
	return shards, nil
}
