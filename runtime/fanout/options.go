package fanout

import (
	"context"
	"strconv"
	"time"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
)

// DefaultLimit is how many parts run at the same time unless WithLimit says
// otherwise.
const DefaultLimit = 128

// Option changes how parts are run, or what is made of their results.
type Option interface{ apply(*config) }

type option func(*config)

func (o option) apply(c *config) { o(c) }

type config struct {
	limit       int
	timeout     time.Duration
	bounded     bool // timeout has been set
	partial     bool
	name        func(part int) string
	callOptions []rpcx.CallOption
}

func configure(opts []Option) *config {
	c := &config{limit: DefaultLimit}
	for _, o := range opts {
		o.apply(c)
	}
	return c
}

// WithPartialResults lets the other parts go on when one fails, and has All and
// Shard return what there is beside the error: the results of parts that failed
// are zero. By default the first failure cancels the other parts and there is no
// result. Each does so always; Quorum and First do not look at it.
func WithPartialResults() Option {
	return option(func(c *config) { c.partial = true })
}

// WithLimit lets at most n parts run at the same time; the others wait, in order.
// The default is DefaultLimit, also for n below 1; n may be any number above. With
// a limit of 1, First tries one part after the other.
func WithLimit(n int) Option {
	return option(func(c *config) {
		if c.limit = n; n < 1 {
			c.limit = DefaultLimit
		}
	})
}

// WithTimeout bounds all parts together to d, beside the deadline of the context.
// The default is that deadline alone; d may be any duration, and with no time
// left, d ≤ 0, no part is begun.
func WithTimeout(d time.Duration) Option {
	return option(func(c *config) { c.timeout, c.bounded = d, true })
}

// WithNames has errors call the part at an index of the slice name(index). By
// default parts with a method Endpoint or Target, such as an *rpcx.Instance or an
// *rpcx.Conn, are called what that returns, and others "part 3" after their index.
// Shard does not look at it.
func WithNames(name func(part int) string) Option {
	return option(func(c *config) { c.name = name })
}

// WithCallOptions gives every call that Shard, or a generated method on top of it,
// makes these options, which also have their part in which elements belong together, as
// a lane has. The functions that take the caller's own function for a part do not look at it.
func WithCallOptions(opts ...rpcx.CallOption) Option {
	return option(func(c *config) { c.callOptions = append(c.callOptions, opts...) })
}

// context returns the context that all parts share.
func (c *config) context(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.bounded {
		return context.WithTimeout(ctx, c.timeout)
	}
	return context.WithCancel(ctx)
}

// namer returns the function that names parts in errors.
func namer[P any](c *config, parts []P) func(i int) PartError {
	return func(i int) PartError {
		if c.name != nil {
			return PartError{Name: c.name(i)}
		}
		switch p := any(parts[i]).(type) {
		case interface{ Endpoint() address.Endpoint }:
			return PartError{Name: p.Endpoint().String()}
		case interface{ Target() string }:
			return PartError{Name: p.Target()}
		}
		return PartError{Name: "part " + strconv.Itoa(i)}
	}
}
