package frame

import "math"

// MaxCredit is the most that a stream or connection may have to draw on, and
// the most that one CREDIT frame grants, in bytes.
const MaxCredit = math.MaxInt32

// AppendCredit appends a CREDIT frame that lets the peer send n more bytes of
// credited frames on stream id, or with id 0 on the connection. n must be 1
// to MaxCredit.
func AppendCredit(b []byte, id StreamID, n uint32) []byte {
	h := Header{Type: TypeCredit, ID: id, Arg: n}
	return h.Append(b)
}

// Cost is the credit that a credited frame with this header draws, in bytes:
// header and payload, without the checksum.
func (h *Header) Cost() uint32 { return HeaderSize + h.Length }

func (h *Header) validateCredit() error {
	if h.Arg == 0 || h.Arg > MaxCredit {
		return errorf(FlowControlError, "CREDIT: increment %d for stream %d, must be 1 to %d", h.Arg, h.ID, MaxCredit)
	}
	return nil
}
