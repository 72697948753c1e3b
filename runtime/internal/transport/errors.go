package transport

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/rpcx-go/rpcx/runtime/status"
)

// What ends a wait; the one who waits says what it means for the call.
var (
	errCanceled = errors.New("canceled")
	errLate     = errors.New("deadline exceeded")

	// The same while as many calls are open as the peer lets in.
	errCanceledInQueue = errors.New("canceled in the queue")
	errLateInQueue     = errors.New("deadline exceeded in the queue")
)

// inQueue says of an error of a wait that it was one for a slot.
func inQueue(err error) error {
	switch err {
	case errCanceled:
		return errCanceledInQueue
	case errLate:
		return errLateInQueue
	}
	return err
}

// ErrClosed says that the connection was closed on purpose, by this side.
var ErrClosed = errors.New("it was closed on this side")

// errClosedByPeer says that the peer closed the connection and did not say why.
var errClosedByPeer = errors.New("the server closed it without a word")

// ErrDraining says that the peer takes no new calls on the connection.
var ErrDraining = errors.New("the server takes no more calls on this connection")

// ConnError is why a connection ended. Calls that end with it wrap it.
type ConnError struct {
	Addr net.Addr // the peer; nil if it has no address
	Err  error
}

// Error names the peer and the reason.
func (e *ConnError) Error() string {
	addr := "?"
	if e.Addr != nil {
		addr = e.Addr.String()
	}
	return fmt.Sprintf("connection to %s: %v", addr, e.Err)
}

// Unwrap returns the reason.
func (e *ConnError) Unwrap() error { return e.Err }

// unavailable is the error of a call whose connection ended; notRun says that
// no byte of the call had been written.
func unavailable(err error, notRun bool) *status.Error {
	e := status.New(status.Unavailable, err.Error()).WithCause(err)
	if notRun {
		e = e.WithNotRun()
	}
	return e
}

// ended is the error of a call that ended on this side, because its context
// was done or its time ran out during phase.
func ended(ctx context.Context, cause error, phase status.Phase) *status.Error {
	msg := "the deadline passed"
	if cause == errLateInQueue || cause == errCanceledInQueue {
		phase = status.PhaseQueue
		msg += " with as many calls open as the server lets in: are there streams that are neither read to their end nor closed?"
	}
	if cause == errLate || cause == errLateInQueue || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return status.New(status.DeadlineExceeded, msg).WithPhase(phase).WithCause(context.DeadlineExceeded)
	}
	return status.New(status.Canceled, "the caller gave up").WithCause(context.Canceled)
}
