package frame

import (
	"fmt"

	"github.com/rpcx-go/rpcx/runtime/status"
)

// ErrorCode says why a connection ends. It travels in GOAWAY.
type ErrorCode uint16

// The connection error codes.
const (
	NoError          ErrorCode = 0  // drain
	ProtocolError    ErrorCode = 1  // a rule of the protocol was broken
	FrameSizeError   ErrorCode = 2  // a length out of its bounds
	FlowControlError ErrorCode = 3  // credit overdrawn or overflown
	SettingsError    ErrorCode = 4  // a setting out of its range, or given twice
	VersionError     ErrorCode = 5  // another layout version
	FloodError       ErrorCode = 6  // too many frames that bring nothing
	ChecksumError    ErrorCode = 7  // the frame was damaged on its way
	InternalError    ErrorCode = 8  // the sender's own fault
	TimeoutError     ErrorCode = 9  // the peer was too slow or silent
	LimitError       ErrorCode = 10 // too many connections, or one too old or idle
)

var errorCodeNames = [...]string{
	"NO_ERROR", "PROTOCOL", "FRAME_SIZE", "FLOW_CONTROL", "SETTINGS", "VERSION",
	"FLOOD", "CHECKSUM", "INTERNAL", "TIMEOUT", "LIMIT",
}

// String returns the code's name in the specification.
func (c ErrorCode) String() string {
	if int(c) < len(errorCodeNames) {
		return errorCodeNames[c]
	}
	return fmt.Sprintf("code %d", uint16(c))
}

// Error is a connection error: after it nothing more can be understood or
// trusted on the connection.
type Error struct {
	Code   ErrorCode // what to put into GOAWAY
	Reason string    // one line: the field, the value and the limit
}

// Error returns code and reason.
func (e *Error) Error() string { return "rpcx: connection error " + e.Code.String() + ": " + e.Reason }

// CallError is a breach that costs only the call it belongs to.
type CallError struct {
	Code   status.Code // what the call ends with
	Reason string      // one line: the field, the value and the limit
}

// Error returns code and reason.
func (e *CallError) Error() string { return "rpcx: " + e.Code.String() + ": " + e.Reason }

func errorf(code ErrorCode, format string, args ...any) *Error {
	return &Error{Code: code, Reason: fmt.Sprintf(format, args...)}
}
