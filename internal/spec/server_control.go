package main

import (
	"fmt"
	"strings"
	"time"
)

// serverControl are PING and GOAWAY from a client.
func serverControl() []testCase {
	return []testCase{
		{"ping/answered", "5.2", func(t *T) {
			p := t.connect()
			for _, opaque := range []string{"\x01\x02\x03\x04\x05\x06\x07\x08", "\x00\x00\x00\x00\x00\x00\x00\x00", "\xff\xff\xff\xff\xff\xff\xff\xff"} {
				if f := p.sync(opaque); f != nil {
					t.failf("nothing but the answer", "%v", *f)
				}
			}
		}},
		{"ping/each-answered-in-order", "5.2", func(t *T) {
			p := t.connect()
			for i := range 90 {
				p.send(ping(fmt.Sprintf("%08d", i)))
			}
			for i := range 90 {
				if f := p.next(); f.typ != tPing || !f.has(fAck) || string(f.payload) != fmt.Sprintf("%08d", i) {
					t.failf(fmt.Sprintf("the answer to PING %d", i), "%v %q", f, f.payload)
				}
			}
		}},
		{"ping/ack-ignored", "5.2", func(t *T) {
			p := t.connect()
			p.send(ping("whatever").withFlags(fAck))
			p.fence()
			p.echo(1)
		}},
		{"ping/while-answer-is-blocked", "5.2", func(t *T) {
			p := t.connect(kStreamCredit, 65536)
			p.send(open(1, fCallee|fHalfClose|fMessage, "Count", text("40 9000")))
			p.drawn(1, 65536, 9000)
			p.fence()
		}},
		{"ping/within-message", "5.2", func(t *T) {
			p := t.connect()
			m := text("two parts")
			p.send(open(1, fMessage|fMore|fTotal, "Echo", total(len(m)), m[:4]))
			p.fence()
			p.send(data(1, fMessage|fHalfClose, m[4:]))
			p.want(1, "two parts")
		}},
		{"goaway/of-client-without-error", "5.3", func(t *T) {
			p, key := t.connect(), t.key()
			p.send(unary(1, "Hold", key), goAway(0, eNone, "done soon"))
			p.fence()
			t.connect().call(1, "Release", key)
			p.want(1, key)
		}},
		{"goaway/of-client-with-error", "3.6", func(t *T) {
			p := t.connect()
			p.send(goAway(0, eProtocol, "you broke a rule"))
			p.wantEnd("the end of the connection")
		}},
		{"goaway/of-client-unknown-code", "5.3", func(t *T) {
			p := t.connect()
			p.send(goAway(0, 999, "something else"))
			p.wantEnd("the end of the connection")
		}},
		{"end/of-idle-client", "3.6", func(t *T) {
			p := t.connect()
			p.echo(1)
			p.halt()
			p.wantEnd("the end of the connection")
		}},
		{"end/within-frame", "3.6", func(t *T) {
			p, key := t.connect(), t.key()
			b := unary(1, "Put", key).wire()
			p.send(raw(b[:len(b)-1]))
			p.halt()
			p.wantEnd("the end of the connection")
			t.wantRuns(key, 0)
		}},
	}
}

// serverFloods are frames without progress.
func serverFloods() []testCase {
	flood := func(before []wire, frames ...wire) func(*T) {
		return func(t *T) {
			p := t.connect()
			p.send(before...)
			p.fence()
			p.send(unary(99, "Echo", "the count begins again"))
			p.want(99, "the count begins again")
			p.send(repeat(1000/len(frames), frames...))
			p.wantGoAway(eFlood)
		}
	}
	return []testCase{
		{"flood/ping", "17", flood(nil, ping("x"))},
		{"flood/ping-ack", "17", flood(nil, ping("x").withFlags(fAck))},
		{"flood/credit", "17", flood(nil, credit(0, 1))},
		{"flood/credit-of-stream", "17", flood([]wire{unary(1, "Wait", "flood")}, credit(1, 1))},
		{"flood/goaway", "17", flood(nil, goAway(0, eNone, ""))},
		{"flood/ignorable", "17", flood(nil, ignorable(5))},
		{"flood/late-cancel", "17", flood(nil, cancel(99, sCancelled))},
		{"flood/late-data", "17", flood(nil, message(99, "x"))},
		{"flood/late-half-close", "17", flood(nil, halfClose(99))},
		{"flood/mixed", "17", flood([]wire{open(3, fCaller, "Sum")}, ping("x"), credit(0, 1), cancel(99, sCancelled), ignorable(0), credit(3, 1))},
		{"flood/just-below", "17", func(t *T) {
			p := t.connect()
			for id := uint64(1); id < 9; id += 2 {
				p.send(repeat(333, ping("x"), credit(0, 1), ignorable(0)))
				p.send(unary(id, "Echo", "progress"))
				p.pending = nil
				p.answered(id, "progress")
			}
		}},
		{"flood/progress-of-messages", "17", func(t *T) {
			p := t.connect()
			p.send(open(1, fCaller, "Sum"))
			for range 4 {
				p.send(repeat(333, ping("x"), credit(0, 1), ignorable(0)), message(1, ""))
			}
			p.send(halfClose(1))
			p.answered(1, "4 0")
		}},
		{"flood/refused-opens-are-no-progress", "17", func(t *T) {
			p := t.connect()
			for i := range uint64(1001) {
				p.send(open(2*i+1, fCaller, "NoSuchMethod"), ignorable(0))
			}
			p.wantGoAway(eFlood)
		}},
		{"flood/open-and-cancel", "7.4", func(t *T) {
			p, key := t.connect(), t.key()
			n := uint64(p.theirs[kMaxStreams])
			if n > 10000 {
				t.na("MAX_STREAMS is %d: too many to open", n)
			}
			for i := range n + 1001 {
				if p.trySend(join(unary(2*i+1, "Hold", key).wire(), cancel(2*i+1, sCancelled).wire())) != nil {
					break
				}
				p.noteSent(unary(2*i+1, "Hold", key))
			}
			p.wantGoAway(eFlood)
			other := t.connect()
			var ran uint64
			_, _ = fmt.Sscan(other.call(1, "Runs", key), &ran)
			other.call(3, "Release", key)
			if ran > n {
				t.failf(fmt.Sprintf("at most %d handlers", n), "%d", ran)
			}
		}},
		{"flood/replies-not-read", "15", repliesNotRead},
	}
}

// answered reads up to the answer on a stream, whatever comes before it.
func (p *peer) answered(id uint64, want string) {
	p.want(id, want)
	p.pending = nil
}

// repliesNotRead sends calls that are refused and reads no refusal: the server
// has to stop reading.
func repliesNotRead(t *T) {
	p := t.connect()
	_ = p.nc.SetReadBuffer(4096)
	name := service + strings.Repeat("x", 400)
	id, sent := uint64(1), 0
	for {
		var b []byte
		for range 50 {
			f := open(id, fHalfClose|fMessage, name)
			p.noteSent(f)
			b = append(b, f.wire()...)
			id += 2
		}
		p.nc.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := p.nc.Write(b)
		sent += n
		if err != nil {
			break
		}
		if sent > 64<<20 {
			t.failf("that the server stops reading", "it took %d bytes", sent)
		}
	}
	if sent < 10000 {
		t.failf("that calls are read while the answers fit the sockets", "it took %d bytes", sent)
	}
	p.wantRefusal(1, sUnimplemented)
	p.wantRefusal(3, sUnimplemented)
}
