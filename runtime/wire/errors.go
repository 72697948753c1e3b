package wire

import "fmt"

// What a negative index says.
const (
	truncated = -1 - iota
	overflow
	invalidUTF8
	tooDeep
	badTag
	// elsewhere and below: what another package's parsing found.
	elsewhere
)

// Failed is the index that says that another package's parsing failed.
const Failed = elsewhere

var reasons = [...]string{
	-truncated:   "it ends in the middle of a field",
	-overflow:    "a varint is longer than 64 bits",
	-invalidUTF8: "a string field contains invalid UTF-8",
	-tooDeep:     fmt.Sprintf("it is nested deeper than %d levels", MaxNesting),
	-badTag:      "a field has a number or a wire type that does not exist",
	-elsewhere:   "a field is malformed",
}

// parseError returns the error that a negative index stands for.
func parseError(m Message, size, i int) error {
	return fmt.Errorf("wire: %T cannot be parsed from %d bytes: %s", m, size, reasons[max(0, min(-i, len(reasons)-1))])
}

// putError is what a Put function panics with on purpose.
type putError string

const (
	invalidText putError = "a string field contains invalid UTF-8"
	noRoom      putError = "it is longer than its size: was it changed meanwhile?"
)

// Fail has the marshalling end with an error that says why.
func Fail(why error) { panic(putError(why.Error())) }

// failed returns the error for what a Put function panicked with, or for the
// bytes that it left.
func failed(m Message, left int, r any) error {
	switch why := r.(type) {
	case nil:
		return fmt.Errorf("wire: %T cannot be marshalled: it is %d bytes shorter than its size: was it changed meanwhile?", m, left)
	case putError:
		return fmt.Errorf("wire: %T cannot be marshalled: %s", m, string(why))
	}
	return fmt.Errorf("wire: %T cannot be marshalled: panic: %v (was it changed meanwhile?)", m, r)
}
