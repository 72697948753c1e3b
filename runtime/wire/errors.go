package wire

import (
	"errors"
	"fmt"
)

// ErrChanged is what the error wraps if a message was seen to change while it was
// marshalled.
var ErrChanged = errors.New("its size changed: was it changed meanwhile?")

// What a negative index says.
const (
	truncated = -1 - iota
	overflow
	invalidUTF8
	tooDeep
	badTag
	// Failed says that another package's parsing failed.
	Failed
)

var reasons = [...]string{
	-truncated:   "it ends in the middle of a field",
	-overflow:    "a varint is longer than 64 bits",
	-invalidUTF8: "a string field contains invalid UTF-8",
	-tooDeep:     fmt.Sprintf("it is nested deeper than %d levels", MaxNesting),
	-badTag:      "a field has a number or a wire type that does not exist",
	-Failed:      "a field is malformed",
}

// parseError returns the error that a negative index stands for.
func parseError(m Message, size, i int) error {
	return fmt.Errorf("wire: %T cannot be parsed from %d bytes: %s", m, size, reasons[min(-i, len(reasons)-1)])
}

// putError returns what was noted to go wrong while m was put, if it matters.
func putError(m Message, noted Mode) error {
	var why string
	switch {
	case noted&lacks != 0 && noted&Partial == 0:
		why = "a required field is not set"
		if c, ok := m.(Checker); ok {
			if err := c.CheckRPCX(); err != nil {
				why = err.Error()
			}
		}
	case noted&badText != 0:
		why = "a string field contains invalid UTF-8"
	case noted&failed != 0:
		why = "a message in it cannot be marshalled"
	default:
		return nil
	}
	return fmt.Errorf("wire: %T cannot be marshalled: %s", m, why)
}
