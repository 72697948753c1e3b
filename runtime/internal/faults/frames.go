package faults

import (
	"encoding/binary"
	"io"
	"net"
	"sync"

	"github.com/rpcx-go/rpcx/runtime/rpcxtest/memnet"
)

// Sizes of the native protocol.
const (
	PrefaceSize = 8
	HeaderSize  = 24
)

// The frame types and flags that the tests need, as docs/protocol.md has them.
const (
	Settings = 0x01
	Ping     = 0x02
	GoAway   = 0x03
	Credit   = 0x04
	Open     = 0x10
	Data     = 0x11
	Close    = 0x12
	Cancel   = 0x13

	HalfClose = 0x0001
	Ack       = 0x0001
	Message   = 0x0002
	More      = 0x0004
	Headers   = 0x0008
	Name      = 0x0040
	Total     = 0x4000
	Checksum  = 0x8000
)

// Frame is one frame as it stands on the wire.
type Frame struct {
	Head [HeaderSize]byte
	Body []byte // payload, and checksum if there is one
}

// NewFrame returns a frame of the given type.
func NewFrame(typ byte, flags uint16, id uint64, payload []byte) Frame {
	var f Frame
	f.Head[3], f.Head[22] = typ, 1
	binary.LittleEndian.PutUint16(f.Head[4:], flags)
	binary.LittleEndian.PutUint64(f.Head[8:], id)
	f.SetBody(payload)
	return f
}

// Type returns the frame's type.
func (f *Frame) Type() byte { return f.Head[3] }

// Flags returns the frame's flags.
func (f *Frame) Flags() uint16 { return binary.LittleEndian.Uint16(f.Head[4:]) }

// ID returns the frame's stream id.
func (f *Frame) ID() uint64 { return binary.LittleEndian.Uint64(f.Head[8:]) }

// Code returns the frame's code.
func (f *Frame) Code() uint16 { return binary.LittleEndian.Uint16(f.Head[20:]) }

// SetID changes the stream id.
func (f *Frame) SetID(id uint64) {
	binary.LittleEndian.PutUint64(f.Head[8:], id)
	f.seal()
}

// SetFlags changes the flags.
func (f *Frame) SetFlags(flags uint16) {
	binary.LittleEndian.PutUint16(f.Head[4:], flags)
	f.seal()
}

// SetCode changes the code.
func (f *Frame) SetCode(code uint16) {
	binary.LittleEndian.PutUint16(f.Head[20:], code)
	f.seal()
}

// SetArg changes arg.
func (f *Frame) SetArg(arg uint32) {
	binary.LittleEndian.PutUint32(f.Head[16:], arg)
	f.seal()
}

// SetCompression changes how the message is said to be compressed.
func (f *Frame) SetCompression(id byte) {
	f.Head[6] = f.Head[6]&0x0f | id<<4
	f.seal()
}

// SetBody changes the payload.
func (f *Frame) SetBody(payload []byte) {
	f.Body = payload
	f.Head[0], f.Head[1], f.Head[2] = byte(len(payload)), byte(len(payload)>>8), byte(len(payload)>>16)
	f.seal()
}

// Flip inverts a bit of the header and mends the check byte.
func (f *Frame) Flip(bit int) {
	f.Head[bit/8] ^= 1 << (bit % 8)
	f.seal()
}

// seal makes the XOR of the header zero.
func (f *Frame) seal() {
	f.Head[23] = 0
	var x byte
	for _, b := range f.Head {
		x ^= b
	}
	f.Head[23] = x
}

// Append appends the frame's bytes.
func (f *Frame) Append(b []byte) []byte { return append(append(b, f.Head[:]...), f.Body...) }

// payloadSize is the length of the payload that follows a header.
func payloadSize(head []byte) int { return int(head[0]) | int(head[1])<<8 | int(head[2])<<16 }

// bodySize is the length of what follows a header.
func bodySize(head []byte) int {
	n := payloadSize(head)
	if binary.LittleEndian.Uint16(head[4:])&Checksum != 0 {
		n += 4
	}
	return n
}

// ReadFrame reads one frame.
func ReadFrame(r io.Reader) (f Frame, err error) {
	if _, err = io.ReadFull(r, f.Head[:]); err != nil {
		return f, err
	}
	f.Body = make([]byte, bodySize(f.Head[:]))
	_, err = io.ReadFull(r, f.Body)
	return f, err
}

// HeaderOffsets returns where the headers of the frames of one direction stand.
func HeaderOffsets(recorded []byte) (offsets []int64) {
	for at := PrefaceSize; at+HeaderSize <= len(recorded); {
		offsets = append(offsets, int64(at))
		at += HeaderSize + bodySize(recorded[at:])
	}
	return offsets
}

// Rewrite returns what takes the place of a frame that is on its way: nothing,
// the frame, or others. It is called by one goroutine for each direction.
type Rewrite func(f Frame) []Frame

// Middle returns a connection that stands before conn: what is written to it
// goes through toServer, what is read from it through toClient, frame by frame.
// A nil function lets everything pass. The end of a direction is passed on, a
// reset of either side resets the other.
func Middle(conn net.Conn, toServer, toClient Rewrite) net.Conn {
	near, far := memnet.Pipe()
	go func() {
		var other sync.WaitGroup
		other.Go(func() { pump(far, conn, toServer) })
		pump(conn, far, toClient)
		other.Wait()
		far.Close()
		conn.Close()
	}()
	return near
}

// pump carries frames from src to dst until src ends.
func pump(src, dst net.Conn, rewrite Rewrite) {
	err := carry(src, dst, rewrite)
	half, ok := dst.(interface{ CloseWrite() error })
	if err == io.EOF && ok && half.CloseWrite() == nil {
		return
	}
	src.Close()
	dst.Close()
}

func carry(src, dst net.Conn, rewrite Rewrite) error {
	preface := make([]byte, PrefaceSize)
	if _, err := io.ReadFull(src, preface); err != nil {
		return err
	}
	if _, err := dst.Write(preface); err != nil {
		return err
	}
	for {
		f, err := ReadFrame(src)
		if err != nil {
			return err
		}
		out := []Frame{f}
		if rewrite != nil {
			out = rewrite(f)
		}
		var b []byte
		for _, f := range out {
			b = f.Append(b)
		}
		if _, err := dst.Write(b); err != nil {
			return err
		}
	}
}
