package frame

import (
	"fmt"
	"strings"
)

// Flags is the set of flags of a frame. Which of them a frame may carry
// depends on its type.
type Flags uint16

// The flags. FlagAck shares its bit with FlagHalfClose; it belongs to PING.
const (
	FlagHalfClose     Flags = 0x0001 // OPEN, DATA: the caller's last frame
	FlagAck           Flags = 0x0001 // PING: an answer
	FlagMessage       Flags = 0x0002 // the payload ends with message bytes
	FlagMore          Flags = 0x0004 // the message continues in a later frame
	FlagHeaders       Flags = 0x0008 // HEADERS section
	FlagTrailers      Flags = 0x0010 // TRAILERS section
	FlagDetail        Flags = 0x0020 // DETAIL section
	FlagName          Flags = 0x0040 // NAME section
	FlagRoute         Flags = 0x0080 // ROUTE section
	FlagCallerStreams Flags = 0x0100 // OPEN: the caller sends a stream of messages
	FlagCalleeStreams Flags = 0x0200 // OPEN: the callee sends a stream of messages
	FlagCredited      Flags = 0x0400 // DATA: the frame drew on credit
	FlagNotRun        Flags = 0x0800 // CLOSE: the handler provably did not begin
	FlagOneWay        Flags = 0x1000 // reserved: no answer wanted
	FlagAttachment    Flags = 0x2000 // reserved: raw bytes beside the message
	FlagTotal         Flags = 0x4000 // TOTAL section
	FlagChecksum      Flags = 0x8000 // 4 bytes of CRC32C follow the payload
)

// flagSections are the flags that put a section before the message.
const flagSections = FlagRoute | FlagName | FlagHeaders | FlagTrailers | FlagDetail | FlagTotal

var flagNames = [16]string{
	"HALF_CLOSE", "MESSAGE", "MORE", "HEADERS", "TRAILERS", "DETAIL", "NAME", "ROUTE",
	"CALLER_STREAMS", "CALLEE_STREAMS", "CREDITED", "NOT_RUN", "ONE_WAY", "ATTACHMENT", "TOTAL", "CHECKSUM",
}

// Has reports whether all flags of want are in f.
func (f Flags) Has(want Flags) bool { return f&want == want }

// String returns the names of the flags joined by "|", and "0" for none.
// Bit 0x0001 reads HALF_CLOSE; only PING calls it ACK, see [Header.String].
func (f Flags) String() string {
	if f == 0 {
		return "0"
	}
	var names []string
	for i, name := range flagNames {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "|")
}

// hex is f as the specification writes it.
func (f Flags) hex() string { return fmt.Sprintf("0x%04x", uint16(f)) }
