package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"syscall"
	"time"
)

// result is how the tested server answered a call.
type result struct {
	status   uint16
	notRun   bool
	pushBack uint32
	text     string // of the status
	details  []string
	headers  []string
	trailers []string
	messages []string // untexted
	raw      []byte   // the last message's bytes
	frames   int
}

func (r result) String() string {
	return fmt.Sprintf("status %d, NOT_RUN %v, push-back %d, text %q, messages %.80q", r.status, r.notRun, r.pushBack, r.text, r.messages)
}

// result reads the frames of a stream up to CLOSE.
func (p *peer) result(id uint64) result {
	var r result
	var part []byte
	for {
		f := p.of(id)
		sec, err := f.parse()
		if err != nil {
			p.t.failf("frames that keep the rules", "%v", err)
		}
		r.frames++
		r.headers = append(r.headers, sec.headers...)
		if f.has(fMessage) {
			part = append(part, sec.message...)
			if !f.has(fMore) {
				r.raw = part
				s, ok := untext(part)
				if !ok {
					s = "not a message"
				}
				r.messages = append(r.messages, s)
				part = nil
			}
		}
		if f.typ == tClose {
			r.status, r.notRun, r.pushBack = f.code, f.has(fNotRun), f.arg
			r.text, r.details, r.trailers = sec.text, sec.details, sec.trailers
			return r
		}
	}
}

// want fails the case unless the stream is answered with one message.
func (p *peer) want(id uint64, message string) result {
	r := p.result(id)
	if r.status != sOK || len(r.messages) != 1 || r.messages[0] != message {
		p.t.failf(fmt.Sprintf("OK and %.80q on stream %d", message, id), "%v", r)
	}
	return r
}

// wantStatus fails the case unless the stream ends with the status.
func (p *peer) wantStatus(id uint64, status uint16) result {
	r := p.result(id)
	if r.status != status {
		p.t.failf(fmt.Sprintf("status %d on stream %d", status, id), "%v", r)
	}
	return r
}

// wantRefusal fails the case unless the stream ends with the status and NOT_RUN.
func (p *peer) wantRefusal(id uint64, status uint16) result {
	r := p.wantStatus(id, status)
	if !r.notRun {
		p.t.failf("NOT_RUN", "%v", r)
	}
	return r
}

// call calls a unary method and returns its answer, which has to be OK.
func (p *peer) call(id uint64, method, request string) string {
	p.send(unary(id, method, request))
	r := p.result(id)
	if r.status != sOK || len(r.messages) != 1 {
		p.t.failf(fmt.Sprintf("OK of %s(%.80q)", method, request), "%v", r)
	}
	return r.messages[0]
}

// echo fails the case unless the connection still answers a call.
func (p *peer) echo(id uint64) {
	p.send(unary(id, "Echo", "still here"))
	p.want(id, "still here")
}

// fence makes sure that the tested side has read all that was sent, and that
// it has sent nothing but housekeeping that the case did not look at.
func (p *peer) fence() {
	if f := p.sync("fence"); f != nil {
		p.t.failf("nothing but an answer to PING", "%v", *f)
	}
}

// sync sends PING and reads until its answer. What else comes is left for later;
// it returns the first of that.
func (p *peer) sync(opaque string) *frame {
	ask := ping(opaque)
	p.send(ask)
	kept := p.pending
	p.pending = nil
	for {
		f, err := p.tryNext(patience)
		if err != nil {
			p.t.failf("an answer to PING", "%s", ending(err))
		}
		if f.typ == tPing && f.has(fAck) && bytes.Equal(f.payload, ask.payload) {
			break
		}
		kept = append(kept, f)
	}
	p.pending = kept
	if len(kept) > 0 {
		return &kept[0]
	}
	return nil
}

// wantGoAway fails the case unless the next frame is a GOAWAY with the code,
// behind which the connection ends. Frames of streams may come before.
func (p *peer) wantGoAway(code uint16) frame {
	expected := fmt.Sprintf("GOAWAY(%s) and the end of the connection", errorName(code))
	before := ""
	for {
		f, err := p.tryNext(patience)
		if err != nil {
			p.t.failf(expected, "%s%s", ending(err), before)
		}
		if f.typ == tPing || f.typ >= tOpen || f.typ == tGoAway && f.code == eNone {
			before = fmt.Sprintf(" after %v", f)
			continue
		}
		if f.typ != tGoAway || f.code != code {
			p.t.failf(expected, "%v", f)
		}
		p.wantEnd(expected)
		return f
	}
}

// wantEnd fails the case unless nothing but the end of the tested side's
// direction follows. A reset is not an end.
func (p *peer) wantEnd(expected string) {
	f, err := p.tryNext(patience)
	if err == nil {
		p.t.failf(expected, "%v", f)
	}
	if !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		p.t.failf(expected, "%s", ending(err))
	}
}

// wantSilentClose fails the case unless the connection is closed before
// anything is read, within patience. A reset will do.
func (p *peer) wantSilentClose(patience time.Duration) {
	p.nc.SetReadDeadline(time.Now().Add(patience))
	var b [64]byte
	n, err := p.r.Read(b[:])
	p.log.add('<', b[:n])
	switch {
	case n > 0:
		p.t.failf("a close without a word", "bytes % x", b[:n])
	case !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET):
		p.t.failf("a close without a word", "%s", ending(err))
	}
}

// wantSilence fails the case if anything comes within d.
func (p *peer) wantSilence(d time.Duration) {
	f, err := p.tryNext(d)
	if err == nil {
		p.t.failf("silence", "%v", f)
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.failf("silence", "%s", ending(err))
	}
}

// wantPreface reads the tested side's preface.
func (p *peer) wantPreface() {
	p.nc.SetReadDeadline(time.Now().Add(patience))
	var b [8]byte
	n, err := io.ReadFull(p.r, b[:])
	p.log.add('<', b[:n])
	if err != nil || !bytes.Equal(b[:], preface) {
		p.t.failf("the preface", "% x, %v", b[:n], err)
	}
}

// wantSettings reads the tested side's SETTINGS.
func (p *peer) wantSettings() {
	if f := p.next(); f.typ != tSettings {
		p.t.failf("SETTINGS", "%v", f)
	}
}

// waitCredit reads until the tested side has granted n bytes in all beyond the
// initial credit, on a stream or with id 0 on the connection.
func (p *peer) waitCredit(id uint64, n int64) {
	for until := time.Now().Add(patience); p.granted[id] < n; {
		f, err := p.read(time.Until(until))
		if err != nil {
			p.t.failf(fmt.Sprintf("CREDIT of %d bytes for %d", n, id), "%s after %d", ending(err), p.granted[id])
		}
		if !p.housekeeping(f) {
			p.pending = append(p.pending, f)
		}
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal returns f with its checksum.
func seal(f frame) raw {
	f.flags |= fChecksum
	b := f.wire()
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// unseal checks the sum behind payload and takes it off.
func (p *peer) unseal(header, payload []byte) []byte {
	if p.mine[kChecksum] == 0 || p.theirs[kChecksum] == 0 {
		p.t.failf("no CHECKSUM flag, which was not agreed on", "% x", header)
	}
	n := len(payload) - 4
	want := crc32.Update(crc32.Checksum(header, castagnoli), castagnoli, payload[:n])
	if got := binary.LittleEndian.Uint32(payload[n:]); got != want {
		p.t.failf(fmt.Sprintf("checksum %08x", want), "%08x", got)
	}
	return payload[:n]
}
