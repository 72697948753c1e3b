package frame

import (
	"math"
	"strings"
)

// Undecided is the id of a GOAWAY whose sender still accepts the streams on
// their way to it, but wants no new ones.
const Undecided StreamID = math.MaxUint64

// GoAway is a decoded GOAWAY. Streams of the receiver with an id above
// LastAccepted never ran.
type GoAway struct {
	LastAccepted StreamID
	Code         ErrorCode // codes that are not known count as errors
	Text         string    // for people; at most MaxGoAwayText bytes, valid UTF-8
}

// AppendGoAway appends a GOAWAY frame. A text longer than MaxGoAwayText is cut
// at a rune boundary.
func AppendGoAway(b []byte, last StreamID, code ErrorCode, text string) []byte {
	text = truncate(strings.ToValidUTF8(text, "\ufffd"), MaxGoAwayText)
	h := Header{Length: uint32(len(text)), Type: TypeGoAway, ID: last, Code: uint16(code)}
	return append(h.Append(b), text...)
}

// ParseGoAway decodes a GOAWAY whose header has passed [Header.Validate].
// Invalid UTF-8 in the text is replaced.
func ParseGoAway(h *Header, payload []byte) GoAway {
	return GoAway{
		LastAccepted: h.ID,
		Code:         ErrorCode(h.Code),
		Text:         strings.ToValidUTF8(string(payload), "\ufffd"),
	}
}

func (h *Header) validateGoAway() error {
	if h.ID > MaxStreamID && h.ID != Undecided {
		return errorf(ProtocolError, "GOAWAY: stream id %d, the largest is %d", h.ID, MaxStreamID)
	}
	return nil
}
