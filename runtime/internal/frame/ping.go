package frame

import "encoding/binary"

const pingSize = 8

// AppendPing appends a PING frame. opaque is the sender's own; the peer echoes
// it in its answer.
func AppendPing(b []byte, opaque uint64) []byte {
	return appendPing(b, 0, opaque)
}

// AppendPingAck appends the answer to a PING.
func AppendPingAck(b []byte, opaque uint64) []byte {
	return appendPing(b, FlagAck, opaque)
}

func appendPing(b []byte, flags Flags, opaque uint64) []byte {
	h := Header{Length: pingSize, Type: TypePing, Flags: flags}
	return binary.LittleEndian.AppendUint64(h.Append(b), opaque)
}

// ParsePing returns what a PING carries. payload must have passed
// [Header.Validate].
func ParsePing(payload []byte) uint64 {
	return binary.LittleEndian.Uint64(payload)
}
