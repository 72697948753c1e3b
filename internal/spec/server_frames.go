package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// serverFrames are wrong frames that only a client can send, beside those that
// both sides can.
func serverFrames() []testCase {
	o := unary(1, "Echo", "x")
	stream := open(1, fCaller, "Sum")
	rows := append(frameBreaches(), []breach{
		{"open-neither-half-close-nor-more", "5.5", eProtocol, []wire{open(1, fMessage, "Echo", text("x"))}},
		{"open-half-close-and-more", "5.5", eProtocol, []wire{open(1, fMessage|fHalfClose|fMore|fTotal, "Echo", total(9), text("x"))}},
		{"open-no-message", "5.5", eProtocol, []wire{open(1, fHalfClose, "Echo")}},
		{"open-stream-with-message", "5.5", eProtocol, []wire{open(1, fCaller|fMessage, "Sum", text("x"))}},
		{"open-stream-with-message-half-close", "5.5", eProtocol, []wire{open(1, fCaller|fMessage|fHalfClose, "Sum", text("x"))}},
		{"open-stream-with-total", "5.5", eProtocol, []wire{open(1, fCaller|fTotal, "Sum", total(9))}},
		{"open-stream-with-more", "5.5", eProtocol, []wire{open(1, fCaller|fMore, "Sum")}},
		{"open-more-without-total", "5.5", eProtocol, []wire{open(1, fMessage|fMore, "Echo", text("x"))}},
		{"open-total-without-more", "5.5", eProtocol, []wire{open(1, fMessage|fHalfClose|fTotal, "Echo", total(3), text("x"))}},
		{"open-more-empty", "9.2", eProtocol, []wire{open(1, fMessage|fMore|fTotal, "Echo", total(3))}},
		{"open-compression-without-message", "5.5", eProtocol, []wire{stream.withFormat(0x10)}},
		{"open-trailers", "4.1", eProtocol, []wire{open(1, fMessage|fHalfClose|fTrailers, "Echo", block(), text("x"))}},
		{"open-detail", "4.1", eProtocol, []wire{open(1, fMessage|fHalfClose|fDetail, "Echo", detail(""), text("x"))}},
		{"open-credited", "4.1", eProtocol, []wire{o.withFlags(fCredited)}},
		{"open-not-run", "4.1", eProtocol, []wire{o.withFlags(fNotRun)}},
		{"open-one-way", "19.3", eProtocol, []wire{o.withFlags(fOneWay)}},
		{"open-attachment", "19.3", eProtocol, []wire{o.withFlags(fAttachment)}},
		{"open-checksum-not-agreed", "14", eProtocol, []wire{seal(o)}},
		{"data-nothing", "5.6", eProtocol, []wire{stream, data(1, 0)}},
		{"data-headers", "5.6", eProtocol, []wire{stream, data(1, fHeaders, block())}},
		{"data-more-half-close", "5.6", eProtocol, []wire{stream, data(1, fMessage|fCredited|fMore|fTotal|fHalfClose, total(9), text("x"))}},
		{"data-more-empty", "5.6", eProtocol, []wire{stream, data(1, fMessage|fCredited|fMore|fTotal, total(9))}},
		{"data-more-without-total", "9.2", eProtocol, []wire{stream, data(1, fMessage|fCredited|fMore, text("x"))}},
		{"data-total-without-more", "5.6", eProtocol, []wire{stream, data(1, fMessage|fCredited|fTotal, total(3), text("x"))}},
		{"data-more-without-message", "5.6", eProtocol, []wire{stream, data(1, fMore|fHalfClose)}},
		{"data-credited-without-message", "5.6", eProtocol, []wire{stream, data(1, fHalfClose|fCredited)}},
		{"data-format-without-message", "5.6", eProtocol, []wire{stream, data(1, fHalfClose).withFormat(1)}},
		{"data-not-credited", "5.6", eProtocol, []wire{stream, data(1, fMessage, text("x"))}},
		{"data-arg", "5", eProtocol, []wire{stream, message(1, "x").withArg(1)}},
		{"data-code", "5", eProtocol, []wire{stream, message(1, "x").withCode(1)}},
		{"data-class", "5", eProtocol, []wire{stream, message(1, "x").withClass(1)}},
		{"data-name", "4.1", eProtocol, []wire{stream, message(1, "x").withFlags(fName)}},
		{"data-not-run", "4.1", eProtocol, []wire{stream, message(1, "x").withFlags(fNotRun)}},
		{"data-checksum-not-agreed", "14", eProtocol, []wire{stream, seal(message(1, "x"))}},
		{"data-bytes-without-message", "6", eProtocol, []wire{stream, data(1, fHalfClose, text("x"))}},
		{"data-total-cut", "6", eProtocol, []wire{stream, data(1, fMessage|fCredited|fMore|fTotal, []byte{1, 2, 3})}},
		{"cancel-0", "5.8", eProtocol, []wire{stream, cancel(1, 0)}},
		{"cancel-17", "5.8", eProtocol, []wire{stream, cancel(1, 17)}},
		{"cancel-payload", "4", eFrameSize, []wire{stream, cancel(1, sCancelled).withPayload(1)}},
		{"cancel-arg", "5", eProtocol, []wire{stream, cancel(1, sCancelled).withArg(1)}},
		{"cancel-id-0", "7.3", eProtocol, []wire{cancel(0, sCancelled)}},
		{"close-from-client", "5", eProtocol, []wire{stream, closing(1, sOK, fMessage, text("x"))}},
		{"credit-stream-zero", "5.4", eFlowControl, []wire{stream, credit(1, 0)}},
		{"credit-stream-overflow", "10", eFlowControl, []wire{open(1, fCaller|fCallee, "Chat"), credit(1, 1<<31-1)}},
		{"name-cut", "6", eProtocol, []wire{openID(1, 0, fName|fMessage|fHalfClose, uvarint(200), []byte("spec"))}},
		{"name-empty", "6", eProtocol, []wire{openID(1, 0, fName|fMessage|fHalfClose, uvarint(0))}},
		{"name-513", "6", eProtocol, []wire{openID(1, 0, fName|fMessage|fHalfClose, lengthed(bytes.Repeat([]byte("x"), 513)))}},
		{"name-slash", "6", eProtocol, []wire{openID(1, 0, fName|fMessage|fHalfClose, lengthed([]byte("/spec.v1.Spec/Echo")))}},
		{"name-space", "6", eProtocol, []wire{openID(1, 0, fName|fMessage|fHalfClose, lengthed([]byte("spec.v1.Spec/Ec ho")))}},
		{"name-delete", "6", eProtocol, []wire{openID(1, 0, fName|fMessage|fHalfClose, lengthed([]byte("spec.v1.Spec/Echo\x7f")))}},
		{"name-utf8", "6", eProtocol, []wire{openID(1, 0, fName|fMessage|fHalfClose, lengthed([]byte("spec.v1.Spec/Éch")))}},
		{"name-length-not-shortest", "2", eProtocol, []wire{openID(1, 0, fName|fMessage|fHalfClose, []byte{0x91, 0x00}, []byte("spec.v1.Spec/Echo"))}},
		{"name-length-5-bytes", "2", eProtocol, []wire{openID(1, 0, fName|fMessage|fHalfClose, []byte{0x91, 0x80, 0x80, 0x80, 0x01}, []byte("spec.v1.Spec/Echo"))}},
		{"route-cut", "6", eProtocol, []wire{openID(1, 1, fRoute|fMessage|fHalfClose, []byte{1, 2, 3})}},
		{"total-cut", "6", eProtocol, []wire{open(1, fMessage|fMore|fTotal, "Echo", []byte{1, 2})}},
		{"headers-cut", "12", eProtocol, []wire{open(1, fHeaders|fMessage|fHalfClose, "Echo", uvarint(100), []byte("abc"))}},
		{"headers-entry-cut", "12", eProtocol, []wire{open(1, fHeaders|fMessage|fHalfClose, "Echo", lengthed([]byte{1, 'k', 9, 'v'}))}},
		{"headers-key-without-value", "12", eProtocol, []wire{open(1, fHeaders|fMessage|fHalfClose, "Echo", lengthed([]byte{1, 'k'}))}},
		{"headers-length-not-shortest", "2", eProtocol, []wire{open(1, fHeaders|fMessage|fHalfClose, "Echo", []byte{0x80, 0x00}, text("x"))}},
		{"open-stream-bytes-behind", "6", eProtocol, []wire{open(1, fCaller, "Sum", text("x"))}},
	}...)
	cases := breaches("frames", rows, breakServer)
	return append(cases,
		testCase{"frames/ignorable-skipped", "19.2", func(t *T) {
			p := t.connect()
			odd := frame{typ: 0xFF, flags: 0x7FFF, format: 0xFF, class: 0xFF, id: 1<<63 + 7, arg: 1 << 31, code: 999, payload: []byte("anything")}
			p.send(odd, ignorable(0), frame{typ: 0x80}, ignorable(minFrame))
			p.echo(1)
			p.send(odd.withID(1))
			p.echo(3)
		}},
		testCase{"frames/ignorable-within-message", "19.2", func(t *T) {
			p := t.connect()
			m := text("in two parts")
			p.send(open(1, fMessage|fMore|fTotal, "Echo", total(len(m)), m[:4]), ignorable(9), data(1, fMessage|fHalfClose, m[4:]))
			p.want(1, "in two parts")
		}},
		testCase{"frames/largest", "3.3", func(t *T) {
			p := t.connect()
			room := int(p.theirs[kMaxFrame]) - len(lengthed([]byte(path("Echo")))) - 4
			s := string(bytes.Repeat([]byte("m"), room))
			p.send(unary(1, "Echo", s))
			p.want(1, s)
		}},
		testCase{"frames/one-too-large", "4", func(t *T) {
			p := t.connect()
			p.send(unary(1, "Echo", "x").header(p.theirs[kMaxFrame] + 1))
			p.wantGoAway(eFrameSize)
		}},
		testCase{"frames/nothing-runs-after-error", "18", func(t *T) {
			key := t.key()
			p := t.connect()
			bad := ping("")
			bad.check = 1
			p.send(bad, unary(1, "Put", key))
			if f := p.wantGoAway(eProtocol); f.id != 0 {
				t.failf("GOAWAY that has accepted no stream", "%v", f)
			}
			t.wantRuns(key, 0)
		}},
		testCase{"frames/goaway-names-accepted", "5.3", func(t *T) {
			p := t.connect()
			p.echo(7)
			p.send(frame{typ: 0})
			if f := p.wantGoAway(eProtocol); f.id != 7 {
				t.failf("GOAWAY whose last accepted id is 7", "%v", f)
			}
		}},
		testCase{"frames/nothing-behind-goaway", "3.6", func(t *T) {
			for range 20 { // the answer may be written before or after
				p := t.connect()
				p.send(unary(1, "Echo", "x"), frame{typ: 0})
				p.wantGoAway(eProtocol)
			}
		}},
		testCase{"frames/lingers-after-error", "3.6", func(t *T) {
			p := t.connect()
			p.send(frame{typ: 0})
			p.wantGoAway(eProtocol)
			start, chunk := time.Now(), make([]byte, 1000)
			for time.Since(start) < 3*time.Second { // until the tested side has closed
				if p.trySend(chunk) != nil {
					break
				}
				time.Sleep(20 * time.Millisecond)
			}
			if d := time.Since(start); d < 300*time.Millisecond || d > 2500*time.Millisecond {
				t.failf("that input is discarded for 1 s, then a close", "close after %v", d)
			}
		}},
	)
}

// flips are the fields whose bits serverFlips and clientFlips flip.
var flips = []struct {
	field    string
	from, to int // bytes
}{
	{"length", 0, 3}, {"type", 3, 4}, {"flags", 4, 6}, {"format", 6, 7}, {"class", 7, 8},
	{"id", 8, 16}, {"arg", 16, 20}, {"code", 20, 22}, {"version", 22, 23}, {"check", 23, 24},
}

// serverFlips flips each bit of the header of a valid call, alone, which the
// check byte tells, and together with the same bit of the check byte, so that
// it does not.
func serverFlips() []testCase {
	var cases []testCase
	for _, field := range flips {
		cases = append(cases, testCase{"flip/" + field.field, "4", func(t *T) {
			key := t.key()
			for bit := field.from * 8; bit < field.to*8; bit++ {
				b := unary(1, "Put", key).wire()
				b[bit/8] ^= 1 << (bit % 8)
				p := t.connect()
				p.send(raw(b))
				p.wantGoAway(eProtocol)
			}
			t.wantRuns(key, 0)
		}})
		if field.field == "check" {
			continue
		}
		cases = append(cases, testCase{"flip-undetected/" + field.field, "4", func(t *T) {
			for bit := field.from * 8; bit < field.to*8; bit++ {
				t.flipUndetected(bit)
			}
		}})
	}
	return cases
}

// flipUndetected sends a call of Echo with a flipped bit that the check byte
// does not tell. Whatever becomes of it, an answer is the right one, and the
// connection ends when the suite's direction does.
func (t *T) flipUndetected(bit int) {
	request := fmt.Sprintf("bit %d", bit)
	b := unary(1, "Echo", request).wire()
	b[bit/8] ^= 1 << (bit % 8)
	b[23] ^= 1 << (bit % 8)
	f, _ := parseHeader(b)
	f.payload = b[headerSize:]
	p := t.connect()
	p.noteSent(f)
	p.send(raw(b))
	p.halt()
	for {
		f, err := p.read(patience)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.failf("the end of the connection", "none after bit %d", bit)
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.failf("the end of the connection", "%v after bit %d", err, bit)
			}
			return
		}
		if f.typ == tClose && f.code == sOK {
			// A message of the flipped length is another message.
			sec, _ := f.parse()
			if got, _ := untext(sec.message); got != request {
				t.failf(fmt.Sprintf("no answer but %q", request), "%q after bit %d", got, bit)
			}
		}
	}
}
