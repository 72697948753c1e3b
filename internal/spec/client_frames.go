package main

import (
	"fmt"
	"strings"
)

// clientFrames are wrong frames that only a server can send, beside those that
// both sides can.
func clientFrames() []testCase {
	m := text("0123456789")
	part := func(n int) frame { return data(1, fMessage|fMore|fTotal, total(len(m)), m[:n]) }
	ok := answer(1, "x")
	rows := append(frameBreaches(), []breach{
		{"open-even", "19.3", eProtocol, []wire{unary(2, "Echo", "x")}},
		{"open-odd", "7.1", eProtocol, []wire{unary(3, "Echo", "x")}},
		{"cancel", "5", eProtocol, []wire{cancel(1, sCancelled)}},
		{"close-17", "5.7", eProtocol, []wire{closing(1, 17, 0)}},
		{"close-ok-without-message", "5.7", eProtocol, []wire{closing(1, sOK, 0)}},
		{"close-ok-detail", "5.7", eProtocol, []wire{closing(1, sOK, fMessage|fDetail, detail("why"), text("x"))}},
		{"close-ok-not-run", "5.7", eProtocol, []wire{ok.withFlags(fNotRun)}},
		{"close-ok-push-back", "5.7", eProtocol, []wire{ok.withArg(5)}},
		{"close-error-with-message", "5.7", eProtocol, []wire{closing(1, sInternal, fMessage, text("x"))}},
		{"close-more", "4.1", eProtocol, []wire{ok.withFlags(fMore)}},
		{"close-half-close", "4.1", eProtocol, []wire{ok.withFlags(fHalfClose)}},
		{"close-credited", "4.1", eProtocol, []wire{ok.withFlags(fCredited)}},
		{"close-class", "5", eProtocol, []wire{ok.withClass(1)}},
		{"close-checksum-not-agreed", "14", eProtocol, []wire{seal(ok)}},
		{"close-format-without-message", "9.1", eProtocol, []wire{closing(1, sInternal, 0).withFormat(1)}},
		{"close-other-codec", "9.1", eProtocol, []wire{ok.withFormat(1)}},
		{"close-bytes-behind", "6", eProtocol, []wire{closing(1, sInternal, 0, text("x"))}},
		{"close-id-0", "5", eProtocol, []wire{ok.withID(0)}},
		{"close-idle", "7.3", eProtocol, []wire{ok.withID(3)}},
		{"close-even", "7.3", eProtocol, []wire{ok.withID(2)}},
		{"close-detail-cut", "6", eProtocol, []wire{closing(1, sInternal, fDetail, uvarint(99), []byte("x"))}},
		{"close-detail-message-cut", "6", eProtocol, []wire{closing(1, sInternal, fDetail, lengthed([]byte{9, 'x'}))}},
		{"close-detail-no-value", "6", eProtocol, []wire{closing(1, sInternal, fDetail, lengthed([]byte{0, 1, 't'}))}},
		{"close-detail-type-empty", "6", eProtocol, []wire{closing(1, sInternal, fDetail, detail("why", "", "v"))}},
		{"close-detail-65", "6", eProtocol, []wire{closing(1, sInternal, fDetail, detail("why", strings.Split(strings.Repeat("t,v,", 65), ",")[:130]...))}},
		{"close-detail-long", "6", eProtocol, []wire{closing(1, sInternal, fDetail, detail("why", "t", strings.Repeat("v", 16384)))}},
		{"close-headers-cut", "12", eProtocol, []wire{closing(1, sOK, fHeaders|fMessage, uvarint(99), text("x"))}},
		{"close-trailers-entry-cut", "12", eProtocol, []wire{closing(1, sOK, fTrailers|fMessage, lengthed([]byte{1, 'k', 7}), text("x"))}},
		{"data-half-close", "5.6", eProtocol, []wire{halfClose(1)}},
		{"data-nothing", "5.6", eProtocol, []wire{data(1, 0)}},
		{"data-whole-answer", "5.6", eProtocol, []wire{data(1, fMessage, text("x"))}},
		{"data-credited", "5.6", eProtocol, []wire{part(4).withFlags(fCredited)}},
		{"data-more-without-total", "9.2", eProtocol, []wire{data(1, fMessage|fMore, m[:3])}},
		{"data-more-empty", "9.2", eProtocol, []wire{data(1, fMessage|fMore|fTotal, total(9))}},
		{"data-beyond-total", "9.2", eProtocol, []wire{part(4), data(1, fMessage|fMore, m)}},
		{"data-total-again", "9.2", eProtocol, []wire{part(4), data(1, fMessage|fMore|fTotal, total(len(m)), m[4:5])}},
		{"data-format-again", "9.1", eProtocol, []wire{part(4), data(1, fMessage|fMore, m[4:5]).withFormat(0x10)}},
		{"data-idle", "7.3", eProtocol, []wire{part(4).withID(3)}},
		{"data-headers-twice", "5.6", eProtocol, []wire{data(1, fHeaders, block()), data(1, fHeaders, block())}},
		{"data-headers-after-message", "5.6", eProtocol, []wire{part(4), data(1, fHeaders, block())}},
		{"close-headers-twice", "5.6", eProtocol, []wire{data(1, fHeaders, block()), closing(1, sOK, fMessage|fHeaders, block(), text("x"))}},
		{"close-headers-after-message", "5.7", eProtocol, []wire{part(4), closing(1, sOK, fMessage|fHeaders, block(), m[4:])}},
		{"close-short-of-total", "9.2", eProtocol, []wire{part(4), closing(1, sOK, fMessage, m[4:6])}},
		{"close-beyond-total", "9.2", eProtocol, []wire{part(4), closing(1, sOK, fMessage, m)}},
		{"close-format-again", "9.1", eProtocol, []wire{part(4), closing(1, sOK, fMessage, m[4:]).withFormat(0x10)}},
		{"close-ok-within-message", "5.7", eProtocol, []wire{part(4), closing(1, sOK, 0)}},
		{"credit-stream-zero", "5.4", eFlowControl, []wire{credit(1, 0)}},
	}...)
	cases := breaches("frames", rows, breakClient)
	cases = append(cases, testCase{"frames/ignorable-skipped", "19.2", func(t *T) {
		c, p, id := t.put()
		p.send(frame{typ: 0xFF, flags: 0x7FFF, format: 0xFF, class: 9, id: 1<<63 + 1, arg: 7, code: 9, payload: []byte("x")}, ignorable(minFrame), answer(id, "done"))
		c.want("put", sOK, "done")
	}})
	return append(cases, breaches("stream", []breach{
		{"not-credited", "5.6", eProtocol, []wire{data(1, fMessage, text("x"))}},
		{"close-ok-with-message", "5.7", eProtocol, []wire{answer(1, "x")}},
		{"close-within-message", "5.7", eProtocol, []wire{part(4).withFlags(fCredited), closing(1, sOK, 0)}},
		{"beyond-total", "9.2", eProtocol, []wire{part(4).withFlags(fCredited), data(1, fMessage|fCredited, m)}},
		{"short-of-total", "9.2", eProtocol, []wire{part(4).withFlags(fCredited), data(1, fMessage|fCredited, m[4:6])}},
		{"other-codec", "9.1", eProtocol, []wire{message(1, "x"), message(1, "x").withFormat(1)}},
		{"format-again", "9.1", eProtocol, []wire{part(4).withFlags(fCredited), data(1, fMessage|fCredited, m[4:]).withFormat(0x10)}},
		{"headers-twice", "5.6", eProtocol, []wire{data(1, fHeaders, block()), message(1, "x"), data(1, fHeaders, block())}},
		{"headers-after-message", "5.6", eProtocol, []wire{message(1, "x"), data(1, fHeaders, block())}},
		{"headers-in-close-after-message", "5.7", eProtocol, []wire{message(1, "x"), closing(1, sOK, fHeaders, block())}},
		{"credit-overflow", "10", eFlowControl, []wire{credit(1, 1<<31-1)}},
		{"credit-zero", "5.4", eFlowControl, []wire{credit(1, 0)}},
		{"overdrawn", "10", eFlowControl, []wire{repeat(300, message(1, strings.Repeat("o", 60000)))}},
	}, breakChat)...)
}

// breakChat is breakClient in a bidirectional call that takes no message.
func breakChat(t *T, code uint16, frames []wire) {
	c, p := t.serve(command{Do: "open", Call: "a", Method: "Chat", Kind: "bidi"})
	p.wantOpen("Chat")
	for _, f := range frames {
		if p.trySend(f.wire()) != nil { // it closes as soon as it sees the breach
			break
		}
	}
	p.wantGoAway(code)
	p.halt()
	c.do(command{Do: "recv", Call: "a"})
	wantMayHaveRun(c, "a")
}

// clientFlips flips the bits of an answer's header, as serverFlips does.
func clientFlips() []testCase {
	// each has a client make a call for each bit, whose answer is sent with
	// that bit flipped.
	each := func(t *T, from, to int, run func(p *peer, b []byte, bit int), judge func(e event, bit int, sent string)) {
		l := t.listen()
		c := t.startClient(l.addr())
		for bit := from; bit < to; bit++ {
			name := fmt.Sprint("bit ", bit)
			p := l.acceptCall(c, command{Do: "call", Call: name, Method: "Put", Text: name})
			p.welcome()
			b := answer(p.wantOpen("Put").id, name).wire()
			b[bit/8] ^= 1 << (bit % 8)
			run(p, b, bit)
			judge(c.result(name), bit, name)
			for err := error(nil); err == nil; { // until the client has seen the end
				_, err = p.tryRead(patience)
			}
			p.nc.Close()
		}
	}
	var cases []testCase
	for _, field := range flips {
		cases = append(cases, testCase{"flip/" + field.field, "4", func(t *T) {
			each(t, field.from*8, field.to*8, func(p *peer, b []byte, _ int) {
				p.send(raw(b))
				p.wantGoAway(eProtocol)
				p.halt()
			}, func(e event, bit int, _ string) {
				if e.Status != sUnavailable || e.NotRun {
					t.failf("UNAVAILABLE, may have run", "%v after bit %d", e, bit)
				}
			})
		}})
		if field.field == "check" {
			continue
		}
		cases = append(cases, testCase{"flip-undetected/" + field.field, "4", func(t *T) {
			each(t, field.from*8, field.to*8, func(p *peer, b []byte, bit int) {
				b[23] ^= 1 << (bit % 8)
				p.send(raw(b))
				p.halt()
			}, func(e event, bit int, sent string) {
				if e.Status == sOK && e.Text != sent {
					t.failf("an error, or the answer that was sent", "%v after bit %d", e, bit)
				}
			})
		}})
	}
	return cases
}

// clientStreams are frames of streams that are over.
func clientStreams() []testCase {
	// after sends frames behind an answer; the next call is answered all the same.
	after := func(frames ...wire) func(*T) {
		return func(t *T) {
			c, p, id := t.put()
			p.send(answer(id, "first"))
			c.want("put", sOK, "first")
			p.send(frames...)
			p.fence()
			c.do(command{Do: "call", Call: "b", Method: "Put"})
			p.send(answer(p.wantOpen("Put").id, "second"))
			c.want("b", sOK, "second")
		}
	}
	return []testCase{
		{"late/close", "7.3", after(answer(1, "wrong"), closing(1, sInternal, 0))},
		{"late/data", "7.3", after(data(1, fMessage|fMore|fTotal, total(9), []byte("x")))},
		{"late/data-credited", "7.3", after(message(1, "x"))},
		{"late/data-unread", "7.3", after(data(1, fMessage|fMore|fTotal, []byte{1}))},
		{"late/headers", "7.3", after(data(1, fHeaders, block("k", "v")))},
		{"late/credit", "7.3", after(credit(1, 100), credit(1, 1<<31-1))},
		{"late/answer-after-cancel", "7.3", func(t *T) {
			c, p := t.serve(command{Do: "call", Call: "a", Method: "Put", Timeout: 600})
			id := p.wantOpen("Put").id
			if f := p.next(); f.typ != tCancel || f.code != sDeadlineExceeded {
				t.failf("CANCEL(DEADLINE_EXCEEDED)", "%v", f)
			}
			p.send(data(id, fMessage|fMore|fTotal, total(3), []byte{0x0a}), answer(id, "late"))
			if e := c.want("a", sDeadlineExceeded, ""); e.NotRun {
				t.failf("a call that may have run", "%v", e)
			}
			p.fence()
			c.do(command{Do: "call", Call: "b", Method: "Put"})
			p.send(answer(p.wantOpen("Put").id, "second"))
			c.want("b", sOK, "second")
		}},
		{"late/credit-returned", "7.3", func(t *T) {
			c, p, id := t.put()
			p.send(answer(id, "first"))
			c.want("put", sOK, "first")
			p.pour(id, 3*int64(p.theirs[kConnCredit]))
			p.fence()
		}},
		{"late/many-calls", "7.3", func(t *T) {
			c, p, id := t.put()
			for i := range 50 {
				c.do(command{Do: "call", Call: fmt.Sprint(i), Method: "Put", Text: fmt.Sprint("call ", i)})
			}
			p.send(answer(id, "first"))
			opens := map[uint64]string{}
			for range 50 {
				f := p.wantOpen("Put")
				opens[f.id] = p.request(f)
			}
			for id, s := range opens { // in any order
				p.send(answer(id, s))
			}
			for i := range 50 {
				c.want(fmt.Sprint(i), sOK, fmt.Sprint("call ", i))
			}
		}},
	}
}
