package fanout

import (
	"context"

	"github.com/rpcx-go/rpcx/runtime/status"
)

// All calls f with each of parts and returns the results in the order of parts.
// The first failure cancels the other parts, and the result is nil, unless
// WithPartialResults is given. The error is an *Error. Without parts there is
// nothing to do, and the result is empty.
//
// f is called concurrently.
func All[P, R any](ctx context.Context, parts []P, f func(ctx context.Context, part P) (R, error), opts ...Option) ([]R, error) {
	c := configure(opts)
	outcomes := run(ctx, len(parts), c,
		func(ctx context.Context, i int) (R, error) { return f(ctx, parts[i]) },
		func(o *outcome[R]) bool { return o.state == failed && !c.partial })
	err := newError(outcomes, namer(c, parts))
	if err != nil && !c.partial {
		return nil, err
	}
	results := make([]R, len(parts))
	for i := range outcomes {
		if outcomes[i].state == succeeded {
			results[i] = outcomes[i].value
		}
	}
	if err != nil {
		return results, err
	}
	return results, nil
}

// Do calls the functions concurrently: All for parts that have nothing in common,
// such as calls of different services whose results go into variables.
//
//	var user *usersv1.User
//	var orders *ordersv1.ListResponse
//	err := fanout.Do(ctx,
//		func(ctx context.Context) (err error) { user, err = users.Get(ctx, byID); return },
//		func(ctx context.Context) (err error) { orders, err = orderClient.List(ctx, ofUser); return },
//	)
//
// The first failure cancels the others. The error is an *Error.
func Do(ctx context.Context, functions ...func(ctx context.Context) error) error {
	_, err := All(ctx, functions, func(ctx context.Context, f func(context.Context) error) (struct{}, error) {
		return struct{}{}, f(ctx)
	})
	return err
}

// Quorum calls f with each of parts until n of them have succeeded, and cancels
// the others. It returns the n results in the order of parts. Once so many parts
// have failed that n cannot be reached, it cancels the others too; the error is an
// *Error. With fewer than n parts it fails with UNAVAILABLE, and no part is begun.
// n is at least 1; less fails with INTERNAL.
//
// f is called concurrently.
func Quorum[P, R any](ctx context.Context, n int, parts []P, f func(ctx context.Context, part P) (R, error), opts ...Option) ([]R, error) {
	switch {
	case n < 1:
		return nil, status.New(status.Internal, "fanout: a quorum is at least 1").WithNotRun()
	case n > len(parts):
		return nil, none("a quorum of %d needs as many parts, and there are %d", n, len(parts))
	}
	c := configure(opts)
	good, bad := 0, 0
	outcomes := run(ctx, len(parts), c,
		func(ctx context.Context, i int) (R, error) { return f(ctx, parts[i]) },
		func(o *outcome[R]) bool {
			if o.state == succeeded {
				good++
			} else {
				bad++
			}
			return good == n || bad > len(parts)-n
		})
	if good < n {
		return nil, newError(outcomes, namer(c, parts))
	}
	results := make([]R, 0, n)
	for i := range outcomes {
		if outcomes[i].state == succeeded {
			results = append(results, outcomes[i].value)
		}
	}
	return results, nil
}

// First calls f with each of parts, returns the first result that there is, and
// cancels the others. If all parts fail, the error is an *Error of all of them.
// Without parts it fails with UNAVAILABLE.
//
// f is called concurrently.
func First[P, R any](ctx context.Context, parts []P, f func(ctx context.Context, part P) (R, error), opts ...Option) (R, error) {
	results, err := Quorum(ctx, 1, parts, f, opts...)
	if err != nil {
		var zero R
		return zero, err
	}
	return results[0], nil
}
