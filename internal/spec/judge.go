package main

import (
	"fmt"
)

// allowed are the flags of each type by section 4.1.
var allowed = map[byte]uint16{
	tSettings: 0,
	tPing:     fAck | fChecksum,
	tGoAway:   fChecksum,
	tCredit:   fChecksum,
	tOpen:     fHalfClose | fMessage | fMore | fHeaders | fName | fRoute | fCaller | fCallee | fTotal | fChecksum,
	tData:     fHalfClose | fMessage | fMore | fHeaders | fCredited | fTotal | fChecksum,
	tClose:    fMessage | fHeaders | fTrailers | fDetail | fNotRun | fChecksum,
	tCancel:   fChecksum,
}

// judgeHeader judges what the header of a frame that the tested side sent shows
// by itself. Frames that may be skipped are the sender's own affair.
func judgeHeader(f frame, length int, fromServer bool) error {
	if f.check != 0 {
		return fmt.Errorf("the XOR of the header is %#02x", f.check)
	}
	if f.version != 1 {
		return fmt.Errorf("version is %d", f.version)
	}
	flags, known := allowed[f.typ]
	switch {
	case !known && f.typ&0x80 != 0:
		return nil
	case !known:
		return fmt.Errorf("type %#02x is unknown", f.typ)
	case f.flags&^flags != 0:
		return fmt.Errorf("flags %#04x are not those of the type", f.flags)
	case f.class != 0 && f.typ != tOpen, f.format != 0 && f.typ != tOpen && f.typ != tData && f.typ != tClose:
		return fmt.Errorf("class %#02x or format %#02x on a type without", f.class, f.format)
	}
	onStream := f.typ >= tOpen
	switch f.typ {
	case tSettings, tPing:
		if f.id != 0 || f.arg != 0 || f.code != 0 || f.typ == tPing && length != 8 {
			return fmt.Errorf("id, arg, code or length of %v", f)
		}
	case tGoAway:
		if f.arg != 0 || length > 1024 || f.id > maxID && f.id != undecided || !fromServer && f.id != 0 {
			return fmt.Errorf("id, arg or length of %v", f)
		}
	case tCredit:
		if f.code != 0 || length != 0 || f.arg == 0 || f.arg > 1<<31-1 {
			return fmt.Errorf("code, length or increment of %v", f)
		}
	case tOpen, tCancel:
		if fromServer {
			return fmt.Errorf("%v from a server", f)
		}
		if f.typ == tCancel && (f.arg != 0 || length != 0 || f.code < 1 || f.code > 16) {
			return fmt.Errorf("arg, length or status of %v", f)
		}
	case tData:
		if f.arg != 0 || f.code != 0 {
			return fmt.Errorf("arg or code of %v", f)
		}
	case tClose:
		if !fromServer {
			return fmt.Errorf("%v from a client", f)
		}
	}
	if onStream && (f.id == 0 || f.id > maxID || f.id%2 == 0) {
		return fmt.Errorf("stream id of %v", f)
	}
	return nil
}

// judgeFlags judges how flags and fields go together, by sections 5.5 to 5.7.
func judgeFlags(f frame, fromServer bool) error {
	bad := func(why string) error { return fmt.Errorf("%s: %v", why, f) }
	message, more, half := f.has(fMessage), f.has(fMore), f.has(fHalfClose)
	switch f.typ {
	case tOpen:
		switch {
		case f.code == 0 && !f.has(fName):
			return bad("neither NAME nor method id")
		case !f.has(fCaller) && (!message || half == more):
			return bad("a single request needs MESSAGE and one of HALF_CLOSE and MORE")
		case f.has(fCaller) && (message || more || f.has(fTotal)):
			return bad("a stream's OPEN has no message")
		case more != f.has(fTotal):
			return bad("MORE and TOTAL go together")
		case f.format>>4 != 0 && !message:
			return bad("compression without a message")
		}
	case tData:
		switch {
		case f.flags&(fHalfClose|fMessage|fHeaders) == 0:
			return bad("DATA with nothing")
		case !message && (more || f.has(fTotal) || f.has(fCredited) || f.format != 0):
			return bad("MORE, TOTAL, CREDITED or a format without MESSAGE")
		case f.has(fTotal) && !more, more && half:
			return bad("TOTAL without MORE, or MORE with HALF_CLOSE")
		case fromServer && half, !fromServer && f.has(fHeaders):
			return bad("HALF_CLOSE or HEADERS by the wrong side")
		}
	case tClose:
		switch {
		case f.code > 16:
			return bad("no such status")
		case f.code == 0 && (f.arg != 0 || f.has(fDetail) || f.has(fNotRun)):
			return bad("status 0 with DETAIL, NOT_RUN or push-back")
		case f.code != 0 && message:
			return bad("an error with MESSAGE")
		case f.format != 0 && !message:
			return bad("a format without MESSAGE")
		}
	}
	return nil
}

// stream is what a peer knows of a stream to judge what the tested side sends.
type stream struct {
	caller, callee bool // who streams
	codec          byte
	headers        bool // the tested side has sent headers
	began          bool // and message bytes
	left           int  // bytes that are missing of its message, -1 between messages
	half           bool // the caller has half-closed
	ended          bool // by the tested side's last frame
	closed         bool // by the suite's CLOSE
	credit         int64
}

// judgeStream judges a frame of a stream that the tested side has sent.
func (p *peer) judgeStream(f frame, sec sections) error {
	s := p.streams[f.id]
	switch {
	case s == nil:
		return fmt.Errorf("stream %d was never opened: %v", f.id, f)
	case s.ended:
		return fmt.Errorf("stream %d has ended: %v", f.id, f)
	case s.closed: // it may have been on its way when the suite's CLOSE was sent
		return nil
	case p.server && s.half && f.typ == tData:
		return fmt.Errorf("DATA after the half-close: %v", f)
	case f.has(fHeaders) && f.typ != tOpen && (s.headers || s.began):
		return fmt.Errorf("headers twice, or after a message: %v", f)
	}
	s.headers = s.headers || f.has(fHeaders)
	streams := s.callee
	if p.server {
		streams = s.caller
	}
	if f.typ == tData && f.has(fMessage) && f.has(fCredited) != streams {
		return fmt.Errorf("CREDITED is wrong for the kind of the call: %v", f)
	}
	if f.has(fCredited) {
		cost := int64(headerSize + len(f.payload))
		s.credit -= cost
		p.credit -= cost
		if s.credit < 0 || p.credit < 0 {
			return fmt.Errorf("credit overdrawn: stream %d, connection %d: %v", s.credit, p.credit, f)
		}
	}
	if err := s.judgeMessage(f, sec, streams); err != nil {
		return err
	}
	s.half = s.half || f.has(fHalfClose) && f.typ != tClose
	s.ended = f.typ == tClose || f.typ == tCancel
	return nil
}

func (s *stream) judgeMessage(f frame, sec sections, streams bool) error {
	within := s.left >= 0
	if f.typ == tClose {
		switch {
		case f.code == 0 && f.has(fMessage) == s.callee:
			return fmt.Errorf("CLOSE(OK) of a call whose answer is a stream: %v, MESSAGE: %v", s.callee, f.has(fMessage))
		case f.code == 0 && s.callee && within:
			return fmt.Errorf("CLOSE(OK) within a message")
		}
	}
	if !f.has(fMessage) {
		if within && f.has(fHalfClose) && f.typ == tData {
			return fmt.Errorf("HALF_CLOSE within a message: %v", f)
		}
		return nil
	}
	first, last := !within, !f.has(fMore)
	switch {
	case first && f.format&15 != s.codec:
		return fmt.Errorf("codec %d in a call of codec %d: %v", f.format&15, s.codec, f)
	case !first && (f.format != 0 || f.has(fTotal)):
		return fmt.Errorf("a format or TOTAL in a message: %v", f)
	case first && !last && !f.has(fTotal):
		return fmt.Errorf("a first fragment without TOTAL: %v", f)
	case !last && len(sec.message) == 0:
		return fmt.Errorf("an empty fragment: %v", f)
	case f.typ == tData && last && !streams && !f.has(fHalfClose):
		return fmt.Errorf("a single message ends in DATA without HALF_CLOSE: %v", f)
	}
	s.began = true
	if first && last {
		return nil
	}
	if first {
		s.left = sec.total
	}
	s.left -= len(sec.message)
	if s.left < 0 || last && s.left != 0 {
		return fmt.Errorf("fragments do not add up to TOTAL, %d left: %v", s.left, f)
	}
	if last {
		s.left = -1
	}
	return nil
}
