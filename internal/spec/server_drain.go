package main

import (
	"fmt"
	"time"
)

// drainable starts a server of the case's own that can be told to drain.
func (t *T) drainable() (*testee, string) {
	if len(t.suite.command) == 0 {
		t.na("there is no command that starts a server")
	}
	p, addr, err := startServer(t.suite.command, shortHandshake)
	if err != nil {
		t.failf("a testee", "%v", err)
	}
	t.cleanup(p.stop)
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
