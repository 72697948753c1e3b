package main

import (
	"encoding/binary"
	"fmt"
)

// Types of frames, as section 5 of the protocol numbers them.
const (
	tSettings = 0x01
	tPing     = 0x02
	tGoAway   = 0x03
	tCredit   = 0x04
	tOpen     = 0x10
	tData     = 0x11
	tClose    = 0x12
	tCancel   = 0x13
)

// Flags, as section 4.1 numbers them.
const (
	fHalfClose  = 0x0001
	fAck        = 0x0001
	fMessage    = 0x0002
	fMore       = 0x0004
	fHeaders    = 0x0008
	fTrailers   = 0x0010
	fDetail     = 0x0020
	fName       = 0x0040
	fRoute      = 0x0080
	fCaller     = 0x0100 // CALLER_STREAMS
	fCallee     = 0x0200 // CALLEE_STREAMS
	fCredited   = 0x0400
	fNotRun     = 0x0800
	fOneWay     = 0x1000
	fAttachment = 0x2000
	fTotal      = 0x4000
	fChecksum   = 0x8000
)

// Connection errors of section 18.
const (
	eNone        = 0
	eProtocol    = 1
	eFrameSize   = 2
	eFlowControl = 3
	eSettings    = 4
	eVersion     = 5
	eFlood       = 6
	eChecksum    = 7
	eInternal    = 8
	eTimeout     = 9
	eLimit       = 10
)

var errorNames = []string{
	"NO_ERROR", "PROTOCOL", "FRAME_SIZE", "FLOW_CONTROL", "SETTINGS", "VERSION",
	"FLOOD", "CHECKSUM", "INTERNAL", "TIMEOUT", "LIMIT",
}

func errorName(code uint16) string {
	if int(code) < len(errorNames) {
		return errorNames[code]
	}
	return fmt.Sprintf("error %d", code)
}

// The status codes that cases name.
const (
	sOK                = 0
	sCancelled         = 1
	sInvalidArgument   = 3
	sDeadlineExceeded  = 4
	sResourceExhausted = 8
	sAborted           = 10
	sUnimplemented     = 12
	sInternal          = 13
	sUnavailable       = 14
)

const (
	headerSize = 24
	minFrame   = 65536      // what every MAX_FRAME allows
	undecided  = ^uint64(0) // GOAWAY's id before the last one is known
	never      = ^uint32(0) // push-back: do not send again
	maxID      = 1<<63 - 1
)

var preface = raw{0xFB, 'R', 'P', 'X', 0x0D, 0x0A, 0x1A, 1}

// wire is what can be sent.
type wire interface{ wire() []byte }

// raw is bytes as they are.
type raw []byte

func (r raw) wire() []byte { return r }

// frame is a frame. version 0 stands for 1; check is what the check byte is
// changed by.
type frame struct {
	typ     byte
	flags   uint16
	format  byte
	class   byte
	id      uint64
	arg     uint32
	code    uint16
	version byte
	check   byte
	payload []byte
}

// wire returns the frame's bytes, check byte computed.
func (f frame) wire() []byte {
	b := make([]byte, headerSize, headerSize+len(f.payload))
	binary.LittleEndian.PutUint32(b, uint32(len(f.payload)))
	b[3] = f.typ
	binary.LittleEndian.PutUint16(b[4:], f.flags)
	b[6], b[7] = f.format, f.class
	binary.LittleEndian.PutUint64(b[8:], f.id)
	binary.LittleEndian.PutUint32(b[16:], f.arg)
	binary.LittleEndian.PutUint16(b[20:], f.code)
	b[22] = max(f.version, 1)
	b[23] = xor(b) ^ f.check
	return append(b, f.payload...)
}

func xor(b []byte) byte {
	var x byte
	for _, c := range b[:headerSize] {
		x ^= c
	}
	return x
}

// header is f's header with another length, and without payload.
func (f frame) header(length uint32) raw {
	b := f.wire()[:headerSize]
	b[0], b[1], b[2] = byte(length), byte(length>>8), byte(length>>16)
	b[23] = 0
	b[23] = xor(b)
	return b
}

// parseHeader takes a header apart; whether it keeps the rules is judged elsewhere.
func parseHeader(b []byte) (f frame, length int) {
	return frame{
		typ:     b[3],
		flags:   binary.LittleEndian.Uint16(b[4:]),
		format:  b[6],
		class:   b[7],
		id:      binary.LittleEndian.Uint64(b[8:]),
		arg:     binary.LittleEndian.Uint32(b[16:]),
		code:    binary.LittleEndian.Uint16(b[20:]),
		version: b[22],
		check:   xor(b),
	}, int(b[0]) | int(b[1])<<8 | int(b[2])<<16
}

func (f frame) has(flags uint16) bool { return f.flags&flags == flags }

// The methods below return f with one field changed.

func (f frame) withFlags(flags uint16) frame   { f.flags |= flags; return f }
func (f frame) withFormat(format byte) frame   { f.format = format; return f }
func (f frame) withClass(class byte) frame     { f.class = class; return f }
func (f frame) withID(id uint64) frame         { f.id = id; return f }
func (f frame) withArg(arg uint32) frame       { f.arg = arg; return f }
func (f frame) withCode(code uint16) frame     { f.code = code; return f }
func (f frame) withPayload(n int) frame        { f.payload = make([]byte, n); return f }
func (f frame) withVersion(version byte) frame { f.version = version; return f }

func (f frame) String() string {
	names := map[byte]string{tSettings: "SETTINGS", tPing: "PING", tGoAway: "GOAWAY", tCredit: "CREDIT", tOpen: "OPEN", tData: "DATA", tClose: "CLOSE", tCancel: "CANCEL"}
	name, ok := names[f.typ]
	if !ok {
		name = fmt.Sprintf("type %#02x", f.typ)
	}
	s := fmt.Sprintf("%s id %d flags %#04x", name, f.id, f.flags)
	switch f.typ {
	case tGoAway:
		s += fmt.Sprintf(" code %s %q", errorName(f.code), f.payload)
	case tClose, tCancel:
		s += fmt.Sprintf(" status %d arg %d", f.code, f.arg)
	case tCredit:
		s += fmt.Sprintf(" increment %d", f.arg)
	}
	return s + fmt.Sprintf(" length %d", len(f.payload))
}
