package frame

import "fmt"

// Type is the type of a frame.
type Type uint8

// The frame types.
const (
	TypeSettings Type = 0x01 // what the sender accepts; first frame of each side
	TypePing     Type = 0x02 // liveness and round-trip time
	TypeGoAway   Type = 0x03 // drain, or the reason of a connection error
	TypeCredit   Type = 0x04 // permission to send more stream messages
	TypeOpen     Type = 0x10 // caller opens a stream
	TypeData     Type = 0x11 // message (fragment), early headers, half-close
	TypeClose    Type = 0x12 // callee's last frame: status and, if single, the answer
	TypeCancel   Type = 0x13 // caller abandons a stream
)

// typeIgnorable marks types that a receiver skips if it does not know them.
const typeIgnorable Type = 0x80

// Ignorable reports whether a receiver that does not know t skips the frame.
// For other unknown types it closes the connection.
func (t Type) Ignorable() bool { return t&typeIgnorable != 0 }

// Known reports whether this package knows t.
func (t Type) Known() bool { return int(t) < len(rules) && rules[t].name != "" }

// String returns the type's name in the specification.
func (t Type) String() string {
	if t.Known() {
		return rules[t].name
	}
	return fmt.Sprintf("type 0x%02x", uint8(t))
}
