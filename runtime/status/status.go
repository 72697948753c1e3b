// Package status defines how calls fail: the canonical codes and the one error
// type that carries them.
//
// A handler returns what it wants its caller to see:
//
//	return nil, status.Errorf(status.NotFound, "user %d does not exist", id)
//
// and the caller asks for the code, whatever else wraps the error:
//
//	if status.CodeOf(err) == status.NotFound { … }
//
// An error without a code that a handler returns reaches the caller as UNKNOWN
// with the error's text as message, except for the errors of package context,
// which become CANCELLED and DEADLINE_EXCEEDED. Causes stay in the process
// that made them; code, message and details are sent.
package status

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Detail is a message that an error carries, serialized.
type Detail struct {
	// Type is the type URL: "type.googleapis.com/" and the message's full name.
	Type string
	// Value is the message in protobuf's binary format.
	Value []byte
}

// doNotRetry is the value of Error.retryAfter that forbids a retry; other
// values below zero do not occur.
const doNotRetry time.Duration = -1

// Error is the error of a call. It is immutable: the With methods return
// copies. Methods that only read may be called on a nil *Error, which stands
// for success: its code is OK.
type Error struct {
	code       Code
	phase      Phase
	notRun     bool
	pushedBack bool          // retryAfter has been set
	retryAfter time.Duration // or doNotRetry
	msg        string
	details    []Detail
	cause      error
}

// New returns an error with the given code and message. An error cannot be OK:
// OK, as every number that is no canonical code, becomes Unknown.
func New(code Code, msg string) *Error {
	if code == OK || !code.Valid() {
		code = Unknown
	}
	return &Error{code: code, msg: msg}
}

// Errorf returns an *Error with the given code and a message formatted as
// fmt.Errorf does. The errors that a %w verb names become the cause, so that
// errors.Is and errors.As find them; their text is part of the message and is
// sent, they themselves are not.
func Errorf(code Code, format string, args ...any) error {
	formatted := fmt.Errorf(format, args...)
	e := New(code, formatted.Error())
	e.cause = errors.Unwrap(formatted)
	if _, several := errors.AsType[multiError](formatted); several && e.cause == nil {
		e.cause = formatted
	}
	return e
}

// multiError is an error with several causes, as fmt.Errorf and errors.Join make.
type multiError interface {
	error
	Unwrap() []error
}

// Code returns the error's code.
func (e *Error) Code() Code {
	if e == nil {
		return OK
	}
	return e.code
}

// Message returns the message, without the code.
func (e *Error) Message() string {
	if e == nil {
		return ""
	}
	return e.msg
}

// Details returns the details in order. The caller must not change them.
// DetailAs looks for one by its type.
func (e *Error) Details() []Detail {
	if e == nil {
		return nil
	}
	return e.details
}

// NotRun reports whether the handler provably did not begin, so that sending
// the call again is safe whatever the method does. False means that it may
// have run.
func (e *Error) NotRun() bool { return e != nil && e.notRun }

// RetryAfter returns how long the callee asked to be left alone before a
// retry. It is false if the callee asked for nothing or forbade a retry, which
// DoNotRetry tells apart.
func (e *Error) RetryAfter() (time.Duration, bool) {
	if e == nil || !e.pushedBack || e.retryAfter == doNotRetry {
		return 0, false
	}
	return e.retryAfter, true
}

// DoNotRetry reports whether the callee asked not to be sent this call again.
func (e *Error) DoNotRetry() bool {
	return e != nil && e.pushedBack && e.retryAfter == doNotRetry
}

// Phase says which part of the call spent the time, for an error with the code
// DeadlineExceeded; it is PhaseNone if that is not known and for other codes.
func (e *Error) Phase() Phase {
	if e == nil {
		return PhaseNone
	}
	return e.phase
}

// Error returns the code, the message and the phase if there is one, such as
// "NOT_FOUND: user 7 does not exist" or
// "DEADLINE_EXCEEDED: no answer in 200ms (while waiting for: dial)".
func (e *Error) Error() string {
	if e == nil {
		return OK.String()
	}
	var b strings.Builder
	b.WriteString(e.code.String())
	if e.msg != "" {
		b.WriteString(": ")
		b.WriteString(e.msg)
	}
	if e.phase != PhaseNone {
		b.WriteString(" (while waiting for: ")
		b.WriteString(e.phase.String())
		b.WriteString(")")
	}
	return b.String()
}

// Unwrap returns the local cause, or nil. It is never sent.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.cause
}

// Is makes errors.Is compare codes if target is an *Error that has a code and
// nothing else, as New(code, "") returns. Two errors that say more are the same
// only if they are one value, since an error that crossed the network is always
// a new one.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && e != nil && t != nil && e.code == t.code &&
		t.msg == "" && len(t.details) == 0 && t.cause == nil
}

// WithCause returns a copy whose Unwrap returns cause.
func (e *Error) WithCause(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// WithNotRun returns a copy that says that the handler provably did not begin.
func (e *Error) WithNotRun() *Error {
	c := *e
	c.notRun = true
	return &c
}

// WithRetryAfter returns a copy that asks the caller to wait for d before it
// retries; d below zero counts as zero.
func (e *Error) WithRetryAfter(d time.Duration) *Error {
	c := *e
	c.pushedBack, c.retryAfter = true, max(d, 0)
	return &c
}

// WithDoNotRetry returns a copy that asks the caller not to send the call again.
func (e *Error) WithDoNotRetry() *Error {
	c := *e
	c.pushedBack, c.retryAfter = true, doNotRetry
	return &c
}

// WithPhase returns a copy that says which part of the call spent the time.
func (e *Error) WithPhase(p Phase) *Error {
	c := *e
	c.phase = p
	return &c
}

// WithRawDetails returns a copy with details added that are serialized
// already. It keeps the values without copying them: the caller must not
// change their bytes afterwards.
func (e *Error) WithRawDetails(details ...Detail) *Error {
	c := *e
	c.details = slices.Concat(e.details, details)
	return &c
}

// CodeOf returns the code of err: OK for nil, the code of the first *Error in
// its tree, the matching code for the errors of package context, otherwise
// Unknown.
func CodeOf(err error) Code {
	if err == nil {
		return OK
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code()
	}
	return contextCode(err)
}

// FromError returns err as an *Error: nil for nil, and the first *Error in its
// tree as it is, without what wraps it. Other errors become the cause of a new
// one, with CodeOf's code and their text as message.
func FromError(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{code: contextCode(err), msg: err.Error(), cause: err}
}

// contextCode returns the code of an error whose tree has no *Error.
func contextCode(err error) Code {
	switch {
	case errors.Is(err, context.Canceled):
		return Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return DeadlineExceeded
	}
	return Unknown
}
