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

// drainable starts a server of the case's own that can be told to drain.
func (t *T) drainable() (*testee, string) {
	if len(t.suite.command) == 0 {
		t.na("there is no command that starts a server")
	}
	p, addr, err := startServer(t.suite.command, shortHandshake)
	if err != nil {
		t.failf("a testee", "%v", err)
	}
	t.cleanup(func() { _ = p.stop() })
	return p, addr
}

// drain tells the server to drain with a grace in milliseconds.
func (t *T) drain(p *testee, grace int) {
	if _, err := fmt.Fprintf(p.stdin, "drain %d\n", grace); err != nil {
		t.failf("a server that listens to what it is told", "%v", err)
	}
}

func (t *T) wantDrained(p *testee) {
	if line, err := p.line(2 * patience); line != "drained" {
		t.failf("that the server has drained", "%q, %v", line, err)
	}
}

// wantDraining reads a GOAWAY without error and returns its id.
func (p *peer) wantDraining() uint64 {
	f := p.next()
	for f.typ == tPing && f.has(fAck) {
		f = p.next()
	}
	if f.typ != tGoAway || f.code != eNone {
		p.t.failf("GOAWAY(NO_ERROR)", "%v", f)
	}
	return f.id
}

// wantDecided reads up to the GOAWAY that names the last accepted id.
func (p *peer) wantDecided(last uint64) {
	id := p.wantDraining()
	for id == undecided {
		id = p.wantDraining()
	}
	if id != last {
		p.t.failf(fmt.Sprintf("GOAWAY with last accepted id %d", last), "%d", id)
	}
}

func serverDrain() []testCase {
	return []testCase{
		{"drain/idle", "16", func(t *T) {
			server, addr := t.drainable()
			p := t.connectTo(addr)
			p.echo(1)
			t.drain(server, 10000)
			p.wantDecided(1)
			p.wantEnd("the end of the server's direction")
			p.halt()
			t.wantDrained(server)
		}},
		{"drain/nothing-accepted", "16", func(t *T) {
			server, addr := t.drainable()
			p := t.connectTo(addr)
			t.drain(server, 10000)
			p.wantDecided(0)
			p.wantEnd("the end of the server's direction")
			p.halt()
			t.wantDrained(server)
		}},
		{"drain/on-their-way", "16", func(t *T) {
			server, addr := t.drainable()
			p, key := t.connectTo(addr), t.key()
			p.noPong = true
			p.send(unary(1, "Hold", key))
			p.call(3, "Began", key)
			t.drain(server, 10000)
			if p.wantDraining() != undecided {
				t.na("the server skips the first GOAWAY")
			}
			p.call(5, "Release", key)
			p.want(1, key)
			p.echo(7)
			if f := p.next(); f.typ == tPing {
				p.noPong = false
				f.flags = fAck
				p.send(f)
			} else {
				p.pending = append(p.pending, f)
			}
			p.wantDecided(7)
			p.wantEnd("the end of the server's direction")
			p.halt()
			t.wantDrained(server)
		}},
		{"drain/above-last-id", "16", func(t *T) {
			server, addr := t.drainable()
			p := t.connectTo(addr)
			p.send(open(1, fCaller|fCallee, "Chat"), message(1, "a"))
			first := p.of(1)
			t.drain(server, 10000)
			p.wantDecided(1)
			late := unary(3, "Echo", "late")
			late.code = 1
			p.send(late, openID(5, 1, fHalfClose|fMessage, text("later")))
			p.send(message(1, "b"), halfClose(1))
			r := p.result(1)
			if first.typ != tData || r.status != sOK || len(r.messages) != 1 || r.messages[0] != "b" {
				t.failf("that the stream goes on", "%v, %v", first, r)
			}
			p.wantEnd("nothing for what was dropped, and the end")
			p.halt()
			t.wantDrained(server)
		}},
		{"drain/breach-above-last-id", "16", func(t *T) {
			server, addr := t.drainable()
			p := t.connectTo(addr)
			p.send(open(1, fCaller|fCallee, "Chat"))
			p.fence()
			t.drain(server, 10000)
			p.wantDecided(1)
			p.send(unary(5, "Echo", "late"), unary(3, "Echo", "lower"))
			p.wantGoAway(eProtocol)
		}},
		{"drain/pings-answered", "16", func(t *T) {
			server, addr := t.drainable()
			p := t.connectTo(addr)
			p.send(open(1, fCaller, "Sum"), message(1, "abc"))
			p.fence()
			t.drain(server, 10000)
			p.wantDecided(1)
			p.fence()
			p.send(halfClose(1))
			p.want(1, "1 3")
			t.finish(p, server)
		}},
		{"drain/grace-is-over", "16", func(t *T) {
			server, addr := t.drainable()
			p, key := t.connectTo(addr), t.key()
			p.send(unary(1, "Wait", key), open(3, fCaller|fCallee, "Chat"))
			p.call(5, "Began", key)
			t.drain(server, 300)
			p.wantDecided(5)
			p.wantStatus(1, sUnavailable)
			p.wantStatus(3, sUnavailable)
			t.finish(p, server)
		}},
		{"drain/client-without-answers", "16", func(t *T) {
			server, addr := t.drainable()
			p := t.connectTo(addr)
			p.noPong = true
			p.send(open(1, fCaller, "Sum"), message(1, "abc"))
			p.fence()
			start := time.Now()
			t.drain(server, 20000)
			f, err := p.tryNext(8 * time.Second)
			for err == nil && (f.typ == tPing || f.typ == tGoAway && f.code == eNone && f.id == undecided) {
				f, err = p.tryNext(8 * time.Second)
			}
			if err != nil || f.typ != tGoAway || f.id != 1 || time.Since(start) > 7*time.Second {
				t.failf("GOAWAY with id 1 after 5 s", "%v, %v after %v", f, err, time.Since(start))
			}
			p.send(halfClose(1))
			p.want(1, "1 3")
			t.finish(p, server)
		}},
		{"drain/new-connections-refused", "16", func(t *T) {
			server, addr := t.drainable()
			p := t.connectTo(addr)
			p.send(open(1, fCaller, "Sum"))
			p.fence()
			t.drain(server, 10000)
			p.wantDecided(1)
			late, err := dialQuietly(addr)
			if err == nil {
				q := t.newPeer(late, false)
				q.nc.SetReadDeadline(time.Now().Add(patience))
				_ = q.trySend(join(preface, settingsFrame().wire()))
				if n, err := q.r.Read(make([]byte, 100)); n > 0 {
					t.failf("no service for a new connection", "%d bytes, %v", n, err)
				}
			}
			p.send(halfClose(1))
			p.want(1, "0 0")
			t.finish(p, server)
		}},
	}
}

// finish reads what is left of a connection that drains.
func (t *T) finish(p *peer, server *testee) {
	for {
		f, err := p.tryNext(2 * patience)
		if err != nil {
			if ending(err) != "the end of the connection" {
				t.failf("the end of the server's direction", "%s", ending(err))
			}
			break
		}
		if f.typ == tPing || f.typ == tGoAway && f.code == eNone {
			continue
		}
		t.failf("the end of the server's direction", "%v", f)
	}
	p.halt()
	t.wantDrained(server)
}
