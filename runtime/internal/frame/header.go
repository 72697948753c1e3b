package frame

import (
	"encoding/binary"
	"fmt"
)

const (
	// HeaderSize is the length of a frame header in bytes.
	HeaderSize = 24
	// Version is the layout version, in the preface and in each header.
	Version = 1
	// MaxPayload is the largest payload that any setting permits, in bytes.
	MaxPayload = 1 << 20
)

// StreamID identifies a stream on its connection. 0 is the connection.
type StreamID uint64

// MaxStreamID is the largest id that a stream may have.
const MaxStreamID StreamID = 1<<63 - 1

// Header is a decoded frame header. What Arg and Code mean depends on the
// type:
//
//	         ID                Arg            Code
//	SETTINGS 0                 0              0
//	PING     0                 0              0
//	GOAWAY   last accepted id  0              ErrorCode
//	CREDIT   stream or 0       bytes granted  0
//	OPEN     new stream        DeadlineArg    method id, 0 not interned
//	DATA     stream            0              0
//	CLOSE    stream            PushBackArg    status code
//	CANCEL   stream            0              status code, not 0
type Header struct {
	Length      uint32 // of the payload in bytes, without checksum; at most MaxPayload
	Type        Type
	Flags       Flags
	Codec       uint8 // 0..15; OPEN, and the first frame of each message
	Compression uint8 // 0..15; the first frame of each message
	Class       Class // OPEN
	ID          StreamID
	Arg         uint32
	Code        uint16
}

// versionWord is the version byte in its place in the header's third word.
const versionWord = Version << 48

// Put writes the header to b[:HeaderSize], with version and check byte. Length
// must be below 1<<24, Codec and Compression below 16.
func (h *Header) Put(b []byte) {
	_ = b[HeaderSize-1]
	w0 := uint64(h.Length) | uint64(h.Type)<<24 | uint64(h.Flags)<<32 |
		uint64(h.Codec)<<48 | uint64(h.Compression)<<52 | uint64(h.Class)<<56
	w1 := uint64(h.ID)
	w2 := uint64(h.Arg) | uint64(h.Code)<<32 | versionWord
	x := w0 ^ w1 ^ w2
	x ^= x >> 32
	x ^= x >> 16
	x ^= x >> 8
	binary.LittleEndian.PutUint64(b, w0)
	binary.LittleEndian.PutUint64(b[8:], w1)
	binary.LittleEndian.PutUint64(b[16:], w2|x<<56)
}

// Append appends the header to b.
func (h *Header) Append(b []byte) []byte {
	var buf [HeaderSize]byte
	h.Put(buf[:])
	return append(b, buf[:]...)
}

// Reserve appends room for a header, which is put there when it is complete.
func Reserve(b []byte) []byte { return append(b, noHeader[:]...) }

var noHeader [HeaderSize]byte

// ParseHeader decodes b[:HeaderSize], as [Header.Parse] does.
func ParseHeader(b []byte) (h Header, err error) {
	err = h.Parse(b)
	return h, err
}

// Parse decodes b[:HeaderSize] into h. It looks at the check byte and the
// version only: call [Header.Validate] before acting on the header. After an
// error h is unchanged. It panics if b is shorter than HeaderSize.
func (h *Header) Parse(b []byte) error {
	_ = b[HeaderSize-1]
	w0 := binary.LittleEndian.Uint64(b)
	w1 := binary.LittleEndian.Uint64(b[8:])
	w2 := binary.LittleEndian.Uint64(b[16:])
	x := w0 ^ w1 ^ w2
	x ^= x >> 32
	x ^= x >> 16
	x ^= x >> 8
	if uint8(x) != 0 || uint8(w2>>48) != Version {
		return headerError(b)
	}
	h.Length = uint32(w0) & 0xffffff
	h.Type = Type(w0 >> 24)
	h.Flags = Flags(w0 >> 32)
	h.Codec = uint8(w0>>48) & 0xf
	h.Compression = uint8(w0 >> 52 & 0xf)
	h.Class = Class(w0 >> 56)
	h.ID = StreamID(w1)
	h.Arg = uint32(w2)
	h.Code = uint16(w2 >> 32)
	return nil
}

// Alike reports whether b[:HeaderSize] is a header that differs from the one in
// like[:HeaderSize], which is valid, in nothing but length, and returns its length.
// What [Header.Validate] says of like it says of b, if b's length is permitted.
func Alike(like, b []byte) (length int, ok bool) {
	_, _ = like[HeaderSize-1], b[HeaderSize-1]
	w0 := binary.LittleEndian.Uint64(b) ^ binary.LittleEndian.Uint64(like)
	w1 := binary.LittleEndian.Uint64(b[8:]) ^ binary.LittleEndian.Uint64(like[8:])
	w2 := binary.LittleEndian.Uint64(b[16:]) ^ binary.LittleEndian.Uint64(like[16:])
	// The XOR of the bytes of both is 0 if that of b's is, and all that they may
	// differ in is the length and the check byte.
	n := uint8(w0) ^ uint8(w0>>8) ^ uint8(w0>>16)
	if w0>>24 != 0 || w1 != 0 || w2 != uint64(n)<<56 {
		return 0, false
	}
	return int(binary.LittleEndian.Uint32(b) & 0xffffff), true
}

// headerError says what is wrong with a header that ParseHeader refuses. The
// check comes first: a damaged header says nothing about its version.
func headerError(b []byte) error {
	var x byte
	for _, c := range b[:HeaderSize] {
		x ^= c
	}
	if x != 0 {
		return errorf(ProtocolError, "header % x: the XOR of its bytes is 0x%02x, want 0", b[:HeaderSize], x)
	}
	return errorf(VersionError, "header version %d, want %d", b[22], Version)
}

// String returns the header for logs and test failures.
func (h *Header) String() string {
	flags := h.Flags.String()
	if h.Type == TypePing && h.Flags.Has(FlagAck) {
		flags = "ACK" + (h.Flags &^ FlagAck).suffix()
	}
	return fmt.Sprintf("%v id=%d flags=%s length=%d format=%d/%d class=%#02x arg=%d code=%d",
		h.Type, h.ID, flags, h.Length, h.Codec, h.Compression, uint8(h.Class), h.Arg, h.Code)
}

func (f Flags) suffix() string {
	if f == 0 {
		return ""
	}
	return "|" + f.String()
}
