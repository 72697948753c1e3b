package main

import (
	"fmt"
	"time"
)

// clientControl are PING and floods from a server.
func clientControl() []testCase {
	flood := func(frames ...wire) func(*T) {
		return func(t *T) {
			c, p, id := t.put()
			p.send(answer(id, "x"))
			c.want("put", sOK, "x")
			c.do(command{Do: "call", Call: "b", Method: "Put"})
			p.wantOpen("Put")
			p.send(repeat(1000/len(frames), frames...))
			p.wantGoAway(eFlood)
			p.halt()
			wantMayHaveRun(c, "b")
		}
	}
	return []testCase{
		{"ping/answered", "5.2", func(t *T) {
			_, p, _ := t.put()
			for _, opaque := range []string{"\x01\x02\x03\x04\x05\x06\x07\x08", "\x00\x00\x00\x00\x00\x00\x00\x00"} {
				if f := p.sync(opaque); f != nil {
					t.failf("nothing but the answer", "%v", *f)
				}
			}
		}},
		{"ping/ack-ignored", "5.2", func(t *T) {
			c, p, id := t.put()
			p.send(ping("whatever").withFlags(fAck), answer(id, "x"))
			c.want("put", sOK, "x")
		}},
		{"ping/while-request-is-blocked", "5.2", func(t *T) {
			c, p := t.serve(command{Do: "open", Call: "a", Method: "Sum", Kind: "client"}, kStreamCredit, 65536)
			c.do(command{Do: "send", Call: "a", Size: 9000, Count: 40})
			p.drawn(p.wantOpen("Sum").id, 65536, 9000)
			p.fence()
		}},
		{"flood/ping", "17", flood(ping("x"))},
		{"flood/ping-ack", "17", flood(ping("x").withFlags(fAck))},
		{"flood/credit", "17", flood(credit(0, 1))},
		{"flood/ignorable", "17", flood(ignorable(5))},
		{"flood/goaway", "17", flood(goAway(undecided, eNone, ""))},
		{"flood/late-close", "17", flood(answer(1, "x"))},
		{"flood/late-data", "17", flood(message(1, ""))},
		{"flood/just-below", "17", func(t *T) {
			c, p, id := t.put()
			for i := range 4 {
				p.send(repeat(333, ping("x"), credit(0, 1), ignorable(0)), answer(id, "x"))
				if i == 0 {
					c.want("put", sOK, "x")
				} else {
					c.want(fmt.Sprint(i-1), sOK, "x")
				}
				c.do(command{Do: "call", Call: fmt.Sprint(i), Method: "Put"})
				for f := p.next(); ; f = p.next() {
					if f.typ == tOpen {
						id = f.id
						break
					}
				}
			}
		}},
	}
}

// clientDrain are GOAWAYs from a server.
func clientDrain() []testCase {
	// calling is a client with a call of Put on stream 1.
	calling := func(t *T) (*client, *listener, *peer) {
		l := t.listen()
		c := t.startClient(l.addr())
		c.do(command{Do: "call", Call: "a", Method: "Put"})
		p := l.accept()
		p.welcome()
		p.wantOpen("Put")
		return c, l, p
	}
	return []testCase{
		{"drain/no-new-calls", "16", func(t *T) {
			c, l, p := calling(t)
			p.send(goAway(undecided, eNone, "shutting down"))
			p.fence()
			c.do(command{Do: "call", Call: "b", Method: "Put"})
			other := l.accept()
			other.welcome()
			other.send(answer(other.wantOpen("Put").id, "elsewhere"))
			c.want("b", sOK, "elsewhere")
			p.fence()
			p.send(goAway(1, eNone, "shutting down"), answer(1, "here"))
			c.want("a", sOK, "here")
			p.wantEnd("the end of the client's direction")
		}},
		{"drain/closes-when-idle", "16", func(t *T) {
			c, _, p := calling(t)
			p.send(answer(1, "x"))
			c.want("a", sOK, "x")
			p.send(goAway(undecided, eNone, ""))
			p.wantEnd("the end of the client's direction")
		}},
		{"drain/above-id-never-ran", "16", func(t *T) {
			c, l, p := calling(t)
			c.do(command{Do: "call", Call: "b", Method: "Put"})
			p.wantOpen("Put")
			p.send(goAway(1, eNone, "shutting down"))
			wantNeverRan(c, l, "b")
			p.send(answer(1, "x"))
			c.want("a", sOK, "x")
		}},
		{"drain/at-once", "16", func(t *T) {
			c, l, p := calling(t)
			p.send(goAway(0, eNone, "shutting down"))
			wantNeverRan(c, l, "a")
		}},
		{"drain/late-answer-above-id", "16", func(t *T) {
			c, l, p := calling(t)
			p.send(goAway(0, eNone, "shutting down"), answer(1, "wrong"))
			wantNeverRan(c, l, "a")
		}},
		{"drain/streams-go-on", "16", func(t *T) {
			c, p := t.serve(command{Do: "open", Call: "a", Method: "Chat", Kind: "bidi"})
			c.do(command{Do: "recv", Call: "a"})
			id := p.wantOpen("Chat").id
			p.send(goAway(undecided, eNone, ""), ping("drain"))
			if f := p.next(); f.typ != tPing || !f.has(fAck) {
				t.failf("an answer to PING", "%v", f)
			}
			p.send(goAway(id, eNone, ""), message(id, "one"))
			c.wantEvent("a", "message")
			c.do(command{Do: "send", Call: "a", Text: "two"})
			p.of(id)
			p.send(closing(id, sOK, 0))
			c.wantEvent("a", "sent")
			c.want("a", sOK, "")
			p.wantEnd("the end of the client's direction")
		}},
		{"drain/error-may-have-run", "13.2", func(t *T) {
			c, _, p := calling(t)
			p.send(goAway(1, eInternal, "a fault"))
			p.wantEnd("the end of the client's direction")
			p.halt()
			wantMayHaveRun(c, "a")
		}},
		{"drain/error-above-id-never-ran", "13.2", func(t *T) {
			c, l, p := calling(t)
			c.do(command{Do: "call", Call: "b", Method: "Put"})
			p.wantOpen("Put")
			p.send(goAway(1, eInternal, "a fault"))
			p.halt()
			wantMayHaveRun(c, "a")
			wantNeverRan(c, l, "b")
		}},
		{"drain/unknown-code-is-an-error", "5.3", func(t *T) {
			c, _, p := calling(t)
			p.send(goAway(1, 4711, "whatever"))
			p.wantEnd("the end of the client's direction")
			wantMayHaveRun(c, "a")
		}},
	}
}

// clientEnds are connections that end in other ways.
func clientEnds() []testCase {
	lost := func(lose func(p *peer)) func(*T) {
		return func(t *T) {
			c, p, _ := t.put()
			lose(p)
			wantMayHaveRun(c, "put")
		}
	}
	return []testCase{
		{"end/fin", "13.2", lost(func(p *peer) { p.halt(); p.wantEnd("the end of the client's direction") })},
		{"end/reset", "13.2", lost(func(p *peer) { _ = p.nc.SetLinger(0); p.nc.Close() })},
		{"end/within-header", "13.2", lost(func(p *peer) { p.send(raw(answer(1, "x").wire()[:9])); p.halt() })},
		{"end/within-payload", "13.2", lost(func(p *peer) { p.send(raw(answer(1, "x").wire()[:25])); p.halt() })},
		{"end/within-message", "13.2", lost(func(p *peer) { p.send(data(1, fMessage|fMore|fTotal, total(9), []byte("x"))); p.halt() })},
		{"end/of-stream", "13.2", func(t *T) {
			c, p := t.serve(command{Do: "open", Call: "a", Method: "Count", Kind: "server"})
			c.do(command{Do: "recv", Call: "a"})
			p.send(message(p.wantOpen("Count").id, "one"))
			p.halt()
			c.wantEvent("a", "message")
			wantMayHaveRun(c, "a")
		}},
		{"end/answer-before-fin-counts", "3.6", func(t *T) {
			c, p, id := t.put()
			p.send(answer(id, "x"))
			p.halt()
			c.want("put", sOK, "x")
		}},
		{"end/client-closes", "3.6", func(t *T) {
			c, p, id := t.put()
			p.send(answer(id, "x"))
			c.want("put", sOK, "x")
			c.do(command{Do: "close"})
			p.wantEnd("the end of the client's direction, not a reset")
			p.halt()
			c.wantEvent("", "closed")
		}},
		{"end/client-closes-with-call", "3.6", func(t *T) {
			c, p, _ := t.put()
			c.do(command{Do: "close"})
			if e := c.result("put"); e.Status != sUnavailable || e.NotRun {
				t.failf("UNAVAILABLE, may have run", "%v", e)
			}
			p.nc.SetReadDeadline(time.Now().Add(patience))
			for err := error(nil); err == nil; {
				_, err = p.tryNext(patience)
			}
		}},
		{"end/error-lingers", "3.6", func(t *T) {
			_, p, _ := t.put()
			p.send(frame{typ: 0})
			p.wantGoAway(eProtocol)
			start, chunk := time.Now(), make([]byte, 1000)
			for time.Since(start) < 3*time.Second {
				if p.trySend(chunk) != nil {
					break
				}
				time.Sleep(20 * time.Millisecond)
			}
			if d := time.Since(start); d < 300*time.Millisecond || d > 2500*time.Millisecond {
				t.failf("that input is discarded for 1 s, then a close", "close after %v", d)
			}
		}},
	}
}
