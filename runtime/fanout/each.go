package fanout

import (
	"context"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
)

// Instance is one server of a Conn: an *rpcx.Instance. Calls made through it go
// to that server.
type Instance interface {
	rpcx.Caller
	Endpoint() address.Endpoint
}

// Instancer knows the servers behind a name: an *rpcx.Conn.
type Instancer[I Instance] interface {
	Instances(ctx context.Context) ([]I, error)
}

var _ Instancer[*rpcx.Instance] = (*rpcx.Conn)(nil)

// Answer is what one instance answered.
type Answer[R any] struct {
	Endpoint address.Endpoint
	// Value is zero if Err is not nil.
	Value R
	Err   error
}

// Each calls f with each instance that conn knows, and returns their answers in
// the order of the instances. A failure cancels nothing, since the others are to
// be told all the same; the error is an *Error of those that failed, and stands
// beside the answers. Without instances it fails, with UNAVAILABLE if conn itself
// does not.
//
//	_, err := fanout.Each(ctx, conn, func(ctx context.Context, server *rpcx.Instance) (*cachev1.DropResponse, error) {
//		return cachev1rpcx.NewCacheClient(server).Drop(ctx, req)
//	})
//
// f is called concurrently.
func Each[I Instance, R any](ctx context.Context, conn Instancer[I], f func(ctx context.Context, instance I) (R, error), opts ...Option) ([]Answer[R], error) {
	c := configure(opts)
	// Waiting for the instances is part of the time that there is.
	ctx, cancel := c.context(ctx)
	defer cancel()
	instances, err := conn.Instances(ctx)
	if err != nil {
		return nil, err
	}
	if len(instances) == 0 {
		return nil, none("there is no instance")
	}
	outcomes := run(ctx, len(instances), c,
		func(ctx context.Context, i int) (R, error) { return f(ctx, instances[i]) },
		func(*outcome[R]) bool { return false })
	answers := make([]Answer[R], len(instances))
	for i := range outcomes {
		answers[i] = Answer[R]{Endpoint: instances[i].Endpoint(), Err: outcomes[i].err}
		if outcomes[i].state == succeeded {
			answers[i].Value = outcomes[i].value
		}
	}
	if err := newError(outcomes, namer(c, instances)); err != nil {
		return answers, err
	}
	return answers, nil
}
