package frame

import (
	"math"
	"time"

	"github.com/rpcx-go/rpcx/runtime/status"
)

// DeadlineUnit is the unit of a deadline on the wire.
const DeadlineUnit = 100 * time.Microsecond

// NoDeadline is the Arg of an OPEN without a deadline.
const NoDeadline uint32 = 0

// DeadlineArg returns the Arg of an OPEN whose call may take d from now. It
// rounds up to DeadlineUnit and saturates at about 4.97 days. A deadline that
// has passed (d ≤ 0) gives the shortest one, never NoDeadline.
func DeadlineArg(d time.Duration) uint32 {
	if d <= DeadlineUnit {
		return 1
	}
	units := (d-1)/DeadlineUnit + 1
	if units > math.MaxUint32 {
		return math.MaxUint32
	}
	return uint32(units)
}

// ArgDeadline returns the time that a call has left by its OPEN's Arg, and
// false if it has no deadline.
func ArgDeadline(arg uint32) (time.Duration, bool) {
	return time.Duration(arg) * DeadlineUnit, arg != NoDeadline
}

// Push-back values that are no waiting time.
const (
	NoPushBack uint32 = 0              // the callee does not say
	NeverRetry uint32 = math.MaxUint32 // the caller must not retry
)

// PushBackArg returns the Arg of a CLOSE that asks the caller to wait before
// it retries. It rounds up to milliseconds and saturates at about 49.7 days.
// wait ≤ 0 is sent as a millisecond, as 0 would say nothing. A CLOSE without
// push-back has NoPushBack, one that forbids retries NeverRetry.
func PushBackArg(wait time.Duration) uint32 {
	if wait <= time.Millisecond {
		return 1
	}
	return uint32(min((wait-1)/time.Millisecond+1, math.MaxUint32-1))
}

// StatusPushBack returns the Arg of the CLOSE that carries e.
func StatusPushBack(e *status.Error) uint32 {
	if e.DoNotRetry() {
		return NeverRetry
	}
	if wait, ok := e.RetryAfter(); ok {
		return PushBackArg(wait)
	}
	return NoPushBack
}

// ArgPushBack returns how long a CLOSE's Arg asks the caller to wait before a
// retry (0: the callee does not say) and whether it forbids retries.
func ArgPushBack(arg uint32) (wait time.Duration, never bool) {
	if arg == NeverRetry {
		return 0, true
	}
	return time.Duration(arg) * time.Millisecond, false
}
