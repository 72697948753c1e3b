package fanout

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/rpcx-go/rpcx/runtime/status"
)

// Panic is what a panic of a part becomes in the goroutine of the caller, so that
// whoever recovers there sees both stacks.
type Panic struct {
	// Value is what the part panicked with.
	Value any
	// Stack is that of the part's goroutine.
	Stack []byte
}

// Error returns the value and the stack as text.
func (p *Panic) Error() string { return fmt.Sprintf("%v\n\n%s", p.Value, p.Stack) }

// Unwrap returns the value if it is an error.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// state is what became of a part.
type state uint8

const (
	notBegun state = iota
	succeeded
	failed
	// cancelled parts were ended because the result was certain without them.
	cancelled
)

// outcome is what became of one part.
type outcome[R any] struct {
	value R
	err   error
	state state
	// How the function ended other than by returning.
	panicked *Panic
	exited   bool
}

// run runs part for each index below n, at most limit at a time, and waits for
// all that it began. When one has ended it asks certain, on the goroutine of the
// caller, whether the result is certain now; if so, the other parts are cancelled
// and no more are begun. Outcomes that come later do not count as successes.
func run[R any](ctx context.Context, n int, c *config, part func(context.Context, int) (R, error), certain func(*outcome[R]) bool) []outcome[R] {
	ctx, cancel := c.context(ctx)
	defer cancel()
	outcomes := make([]outcome[R], n)
	if n == 1 {
		alone(ctx, &outcomes[0], part)
		certain(&outcomes[0])
		return outcomes
	}
	ended := make(chan int, min(n, c.limit))
	stopped := false
	settle := func(o *outcome[R]) {
		o.settle(stopped)
		if !stopped && (o.panicked != nil || o.exited || certain(o)) {
			stopped = true
			cancel()
		}
	}
	begun, running := 0, 0
	for {
		for ; begun < n && running < c.limit && !stopped; begun++ {
			o := &outcomes[begun]
			if err := ctx.Err(); err != nil {
				o.err = status.FromError(err).WithNotRun()
				settle(o)
				continue
			}
			running++
			go func(i int) {
				defer func() { ended <- i }()
				o.run(ctx, i, part)
			}(begun)
		}
		if running == 0 {
			break
		}
		i := <-ended
		running--
		settle(&outcomes[i])
	}
	raise(outcomes)
	return outcomes
}

// alone runs the only part, on the goroutine of the caller.
func alone[R any](ctx context.Context, o *outcome[R], part func(context.Context, int) (R, error)) {
	if err := ctx.Err(); err != nil {
		o.err = status.FromError(err).WithNotRun()
	} else {
		o.value, o.err = part(ctx, 0)
	}
	o.settle(false)
}

// run calls part and notes how it ends.
func (o *outcome[R]) run(ctx context.Context, i int, part func(context.Context, int) (R, error)) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if r := recover(); r != nil {
			o.panicked = &Panic{Value: r, Stack: debug.Stack()}
			return
		}
		o.exited = true
	}()
	o.value, o.err = part(ctx, i)
	returned = true
}

// settle decides what the outcome counts as. late says that the result was
// certain before.
func (o *outcome[R]) settle(late bool) {
	code := status.CodeOf(o.err) // OK for a nil *status.Error too
	switch {
	case code != status.OK && late && code == status.Canceled:
		o.state = cancelled
	case code != status.OK:
		o.state = failed
	case late:
		o.state = cancelled
	default:
		o.state, o.err = succeeded, nil
	}
}

// notRun reports whether nothing of the part can have run on a server.
func (o *outcome[R]) notRun() bool {
	return o.state == notBegun || o.state != succeeded && status.FromError(o.err).NotRun()
}

// raise goes on with the first panic of a part, or its Goexit.
func raise[R any](outcomes []outcome[R]) {
	for i := range outcomes {
		if p := outcomes[i].panicked; p != nil {
			panic(p)
		}
	}
	for i := range outcomes {
		if outcomes[i].exited {
			runtime.Goexit()
		}
	}
}
