package fanout

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rpcx-go/rpcx/runtime/status"
)

// Error is how several calls fail as one. It unwraps to its parts, so that
// errors.Is and errors.As look into each of them.
//
// For package status it is one error with one code: that of the failed parts if
// they agree, else the one among theirs after which sending the whole again helps
// least. Least helps any code that is not in this list, of which the first part's
// is taken; then, in this order: CANCELLED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED,
// ABORTED, UNAVAILABLE. So the code invites a retry only if each part's does. It
// says that nothing ran (status.Error.NotRun) only if that holds for every part,
// those that succeeded or were cancelled included. It asks to wait, or not to
// retry, as the part does that asks for most.
//
// It is immutable.
type Error struct {
	// Total is how many parts there were.
	Total int
	// Parts are those that failed, in order. Parts that were cancelled because the
	// failure of others made the result certain are not among them.
	Parts []*PartError

	status *status.Error
}

// PartError is the failure of one part.
type PartError struct {
	// Part is the index of the part, for Shard in the order in which the shards
	// first occur among the elements.
	Part int
	// Name says which part it is: the endpoint of an instance, for example.
	Name string
	// Elements are the indexes of the elements that the part was to answer for, in
	// ascending order; nil if it was not Shard's.
	Elements []int
	// Err is what the part failed with.
	Err error
}

// Error returns the name and the text of what failed.
func (e *PartError) Error() string { return e.Name + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *PartError) Unwrap() error { return e.Err }

// Error returns the code, how many parts failed, and the first few of them.
func (e *Error) Error() string { return e.status.Error() }

// Unwrap returns the parts.
func (e *Error) Unwrap() []error {
	errs := make([]error, len(e.Parts))
	for i, p := range e.Parts {
		errs[i] = p
	}
	return errs
}

// As makes status.FromError and errors.As find the error of the whole before
// those of the parts.
func (e *Error) As(target any) bool {
	t, ok := target.(**status.Error)
	if ok {
		*t = e.status
	}
	return ok
}

// described is how many parts the text of an Error names.
const described = 4

// newError returns the error of the parts that failed, nil if none did. about
// describes the part at an index.
func newError[R any](outcomes []outcome[R], about func(i int) PartError) *Error {
	e := &Error{Total: len(outcomes)}
	notRun := true
	for i := range outcomes {
		o := &outcomes[i]
		notRun = notRun && o.notRun()
		if o.state == failed {
			part := about(i)
			part.Part, part.Err = i, o.err
			e.Parts = append(e.Parts, &part)
		}
	}
	if len(e.Parts) == 0 {
		return nil
	}
	e.status = whole(e.Parts, e.Total)
	if notRun {
		e.status = e.status.WithNotRun()
	}
	return e
}

// whole returns what parts of so many in total fail with as one call.
func whole(parts []*PartError, total int) *status.Error {
	first := status.FromError(parts[0])
	code := first.Code()
	var wait time.Duration
	asked, forbidden := false, false
	var text strings.Builder
	fmt.Fprintf(&text, "%d of %d parts failed", len(parts), total)
	for i, part := range parts {
		s := status.FromError(part)
		if transience(s.Code()) < transience(code) {
			code = s.Code()
		}
		if d, ok := s.RetryAfter(); ok {
			wait, asked = max(wait, d), true
		}
		forbidden = forbidden || s.DoNotRetry()
		switch {
		case i < described:
			text.WriteString([]string{": ", "; "}[min(i, 1)])
			text.WriteString(part.Error())
		case i == described:
			fmt.Fprintf(&text, "; and %d more", len(parts)-described)
		}
	}
	e := status.New(code, text.String())
	switch {
	case forbidden:
		e = e.WithDoNotRetry()
	case asked:
		e = e.WithRetryAfter(wait)
	}
	return e
}

// transient are the codes after which the same call may succeed, by how much
// sending it again helps, least first.
var transient = []status.Code{
	status.Canceled, status.DeadlineExceeded, status.ResourceExhausted, status.Aborted, status.Unavailable,
}

// transience says how much sending a call again helps that failed with code:
// zero for not at all.
func transience(code status.Code) int { return slices.Index(transient, code) + 1 }

// none is the error of what needs parts and has too few.
func none(format string, args ...any) error {
	return status.New(status.Unavailable, fmt.Sprintf(format, args...)).WithNotRun()
}
