package status

import (
	"fmt"
	"strings"
)

// Code says what kind of error ended a call. The values are gRPC's: numbers
// and names agree with google.rpc.Code.
type Code uint32

// The canonical codes.
const (
	// OK is the code of no error. No Error has it.
	OK Code = 0
	// Canceled says that the caller gave the call up.
	Canceled Code = 1
	// Unknown is the code of errors that carry no code of their own.
	Unknown Code = 2
	// InvalidArgument says that the request is wrong whatever the state of the system.
	InvalidArgument Code = 3
	// DeadlineExceeded says that the time for the call ran out. The call may
	// have had its effect all the same.
	DeadlineExceeded Code = 4
	// NotFound says that something the request names does not exist.
	NotFound Code = 5
	// AlreadyExists says that something the request would create exists already.
	AlreadyExists Code = 6
	// PermissionDenied says that the caller is known and may not do this.
	PermissionDenied Code = 7
	// ResourceExhausted says that a quota or a limit is used up.
	ResourceExhausted Code = 8
	// FailedPrecondition says that the system is not in the state that the
	// request needs; sending it again does not help until that is mended.
	FailedPrecondition Code = 9
	// Aborted says that the call lost against a concurrent one; the caller may
	// repeat the whole of what it was doing.
	Aborted Code = 10
	// OutOfRange says that the request asks for something past the end.
	OutOfRange Code = 11
	// Unimplemented says that the server does not know the method.
	Unimplemented Code = 12
	// Internal says that something which must hold does not: a bug.
	Internal Code = 13
	// Unavailable says that the server cannot be reached or cannot answer now;
	// sending the request again later may help.
	Unavailable Code = 14
	// DataLoss says that data is lost or damaged for good.
	DataLoss Code = 15
	// Unauthenticated says that the caller did not show who it is.
	Unauthenticated Code = 16
)

var codeNames = [...]string{
	OK:                 "OK",
	Canceled:           "CANCELLED",
	Unknown:            "UNKNOWN",
	InvalidArgument:    "INVALID_ARGUMENT",
	DeadlineExceeded:   "DEADLINE_EXCEEDED",
	NotFound:           "NOT_FOUND",
	AlreadyExists:      "ALREADY_EXISTS",
	PermissionDenied:   "PERMISSION_DENIED",
	ResourceExhausted:  "RESOURCE_EXHAUSTED",
	FailedPrecondition: "FAILED_PRECONDITION",
	Aborted:            "ABORTED",
	OutOfRange:         "OUT_OF_RANGE",
	Unimplemented:      "UNIMPLEMENTED",
	Internal:           "INTERNAL",
	Unavailable:        "UNAVAILABLE",
	DataLoss:           "DATA_LOSS",
	Unauthenticated:    "UNAUTHENTICATED",
}

// Valid reports whether c is one of the canonical codes, OK included.
func (c Code) Valid() bool { return c <= Unauthenticated }

// String returns the name as google.rpc.Code spells it, such as "NOT_FOUND",
// and "CODE_42" for a number that is no canonical code.
func (c Code) String() string {
	if c.Valid() {
		return codeNames[c]
	}
	return fmt.Sprintf("CODE_%d", uint32(c))
}

// ParseCode returns the code called name, in upper or lower case: the inverse
// of String for the canonical codes. "CANCELED" is taken for "CANCELLED".
func ParseCode(name string) (Code, error) {
	upper := strings.ToUpper(name)
	for c, n := range codeNames {
		if n == upper {
			return Code(c), nil
		}
	}
	if upper == "CANCELED" {
		return Canceled, nil
	}
	return Unknown, fmt.Errorf("status: %q is not the name of a code", name)
}

// MarshalText returns the code's name.
func (c Code) MarshalText() ([]byte, error) {
	if !c.Valid() {
		return nil, fmt.Errorf("status: %d is not a canonical code", uint32(c))
	}
	return []byte(codeNames[c]), nil
}

// UnmarshalText sets c to the code called text, as ParseCode does.
func (c *Code) UnmarshalText(text []byte) error {
	parsed, err := ParseCode(string(text))
	if err != nil {
		return err
	}
	*c = parsed
	return nil
}
