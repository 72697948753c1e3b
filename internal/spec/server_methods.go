package main

import (
	"fmt"
	"strings"
)

// serverMethods are names, numbers and kinds of methods.
func serverMethods() []testCase {
	one := uint16(fHalfClose | fMessage)
	named := func(id uint64, number uint16, method string) frame {
		f := unary(id, method, "x")
		f.code = number
		return f
	}
	cases := breaches("methods", []breach{
		{"neither-name-nor-number", "8", eProtocol, []wire{openID(1, 0, one, text("x"))}},
		{"number-skipped", "8", eProtocol, []wire{named(1, 2, "Echo")}},
		{"number-highest", "8", eProtocol, []wire{named(1, 65535, "Echo")}},
	}, breakServer)
	cases = append(cases, breaches("methods", []breach{
		{"number-skipped-later", "8", eProtocol, []wire{named(1, 1, "Echo"), named(3, 3, "Echo")}},
		{"number-again", "8", eProtocol, []wire{named(1, 1, "Echo"), named(3, 1, "Echo")}},
		{"number-again-of-refused", "8", eProtocol, []wire{named(1, 1, "NoSuchMethod"), named(3, 1, "Echo")}},
	}, breakServerLater)...)
	cases = append(cases, []testCase{
		{"methods/interned", "8", func(t *T) {
			p := t.connect()
			p.send(named(1, 1, "Echo"), openID(3, 1, one, text("again")), named(5, 2, "Fast"), openID(7, 2, one, text("b")), openID(9, 1, one, text("c")))
			for i, want := range []string{"x", "again", "x", "b", "c"} {
				p.want(uint64(2*i+1), want)
			}
		}},
		{"methods/zero-defines-nothing", "8", func(t *T) {
			p := t.connect()
			p.send(named(1, 0, "Echo"), openID(3, 1, one, text("x")), named(5, 1, "Echo"), openID(7, 1, one, text("y")))
			p.want(1, "x")
			p.wantRefusal(3, sUnimplemented)
			p.want(5, "x")
			p.want(7, "y")
		}},
		{"methods/undefined", "8", func(t *T) {
			p := t.connect()
			p.send(openID(1, 1, one, text("x")), openID(3, 65535, one, text("x")))
			p.wantRefusal(1, sUnimplemented)
			p.wantRefusal(3, sUnimplemented)
			p.echo(5)
		}},
		{"methods/not-served", "8", func(t *T) {
			p := t.connect()
			p.send(named(1, 1, "NoSuchMethod"), named(3, 0, "other.v1.Service/Echo"), named(5, 0, "nonsense"))
			for _, id := range []uint64{1, 3, 5} {
				p.wantRefusal(id, sUnimplemented)
			}
			p.send(openID(7, 1, one, text("x")), named(9, 2, "Echo"))
			p.wantRefusal(7, sUnimplemented)
			p.want(9, "x")
		}},
		{"methods/same-name-twice", "8", func(t *T) {
			p := t.connect()
			p.send(named(1, 1, "Echo"), named(3, 2, "Echo"), openID(5, 2, one, text("z")))
			p.want(1, "x")
			p.want(3, "x")
			p.want(5, "z")
		}},
		{"methods/defined-by-refused-call", "8", func(t *T) {
			p := t.connect()
			bad := unaryMeta(1, "Echo", "x", "BAD", "")
			bad.code = 1
			p.send(bad, openID(3, 1, one, text("fine")))
			p.wantRefusal(1, sInvalidArgument)
			p.want(3, "fine")
		}},
		{"methods/defined-by-cancelled-call", "8", func(t *T) {
			p := t.connect()
			p.send(named(1, 1, "Echo"), cancel(1, sCancelled), openID(3, 1, one, text("fine")))
			p.want(3, "fine")
		}},
		{"methods/limit", "8", func(t *T) {
			p := t.connect()
			limit := p.theirs[kMaxMethods]
			if limit > 10000 {
				t.na("MAX_METHODS is %d: too many to define", limit)
			}
			id := uint64(1)
			for n := uint16(1); uint32(n) < limit; n++ {
				p.send(named(id, n, "NoSuchMethod"))
				p.wantRefusal(id, sUnimplemented)
				id += 2
			}
			p.send(named(id, uint16(limit), "Echo"), openID(id+2, uint16(limit), one, text("last")))
			p.want(id, "x")
			p.want(id+2, "last")
			p.send(named(id+4, uint16(limit+1), "Echo"))
			p.wantGoAway(eProtocol)
		}},
	}...)
	return append(cases, wrongKinds()...)
}

// wrongKinds calls each method as the three kinds that it is not.
func wrongKinds() []testCase {
	kinds := map[uint16]string{0: "unary", fCaller: "client", fCallee: "server", fCaller | fCallee: "bidi"}
	methods := []struct {
		name string
		kind uint16
	}{{"Echo", 0}, {"Sum", fCaller}, {"Count", fCallee}, {"Chat", fCaller | fCallee}}
	var cases []testCase
	for _, m := range methods {
		for _, as := range []uint16{0, fCaller, fCallee, fCaller | fCallee} {
			if as == m.kind {
				continue
			}
			cases = append(cases, testCase{fmt.Sprintf("kinds/%s-as-%s", strings.ToLower(m.name), kinds[as]), "7.2", func(t *T) {
				f := open(1, as, m.name)
				if as&fCaller == 0 {
					f = open(1, as|fMessage|fHalfClose, m.name, text("1 1"))
				}
				p := t.connect()
				p.send(f)
				if r := p.wantRefusal(1, sUnimplemented); r.text == "" {
					t.failf("a message that names both kinds", "%v", r)
				}
				p.echo(3)
			}})
		}
	}
	return cases
}

// serverFormats are codecs, compressions and checksums.
func serverFormats() []testCase {
	cases := breaches("format", []breach{
		{"other-codec-in-data", "9.1", eProtocol, []wire{open(1, fCaller, "Sum"), message(1, "x").withFormat(1)}},
		{"other-codec-in-second-message", "9.1", eProtocol, []wire{open(1, fCaller, "Sum"), message(1, "x"), message(1, "x").withFormat(1)}},
	}, breakServer)
	return append(cases, []testCase{
		{"format/codec-refused", "9.1", func(t *T) {
			p, key := t.connect(), t.key()
			codec, ok := missingBit(p.theirs[kCodecs])
			if !ok {
				t.na("the server takes every codec")
			}
			p.send(unary(1, "Put", key).withFormat(codec))
			if r := p.wantRefusal(1, sUnimplemented); !strings.Contains(r.text, fmt.Sprint(codec)) {
				t.failf(fmt.Sprintf("a message that names codec %d", codec), "%v", r)
			}
			p.echo(3)
			t.wantRuns(key, 0)
		}},
		{"format/codec-refused-of-stream", "9.1", func(t *T) {
			p := t.connect()
			codec, ok := missingBit(p.theirs[kCodecs])
			if !ok {
				t.na("the server takes every codec")
			}
			p.send(open(1, fCaller, "Sum").withFormat(codec), message(1, "x").withFormat(codec), halfClose(1))
			p.wantRefusal(1, sUnimplemented)
			p.fence()
			p.echo(3)
		}},
		{"format/compression-refused", "9.1", func(t *T) {
			p, key := t.connect(), t.key()
			compression, ok := missingBit(p.theirs[kCompressions])
			if !ok {
				t.na("the server takes every compression")
			}
			p.send(unary(1, "Put", key).withFormat(compression << 4))
			if r := p.wantRefusal(1, sUnimplemented); !strings.Contains(r.text, fmt.Sprint(compression)) {
				t.failf(fmt.Sprintf("a message that names compression %d", compression), "%v", r)
			}
			p.echo(3)
			t.wantRuns(key, 0)
		}},
		{"format/compression-refused-in-stream", "9.1", func(t *T) {
			p := t.connect()
			compression, ok := missingBit(p.theirs[kCompressions])
			if !ok {
				t.na("the server takes every compression")
			}
			p.send(open(1, fCaller, "Sum"), message(1, "x"), message(1, "x").withFormat(compression<<4))
			p.wantStatus(1, sUnimplemented)
			p.send(message(1, "late"), halfClose(1))
			p.fence()
			p.echo(3)
		}},
		{"format/json", "9.1", func(t *T) {
			p := t.connect(kCodecs, 3)
			if p.theirs[kCodecs]&2 == 0 {
				t.na("the server does not take codec 1")
			}
			p.send(open(1, fHalfClose|fMessage, "Echo", []byte(`"aGVsbG8="`)).withFormat(1))
			if r := p.wantStatus(1, sOK); string(r.raw) != `"aGVsbG8="` {
				t.failf(`"aGVsbG8="`, "%q", r.raw)
			}
		}},
		{"format/json-of-stream", "9.1", func(t *T) {
			p := t.connect(kCodecs, 3)
			if p.theirs[kCodecs]&2 == 0 {
				t.na("the server does not take codec 1")
			}
			p.send(open(1, fCaller, "Sum").withFormat(1))
			for _, m := range []string{`"eA=="`, ` "eXo=" `} {
				p.send(data(1, fMessage|fCredited, []byte(m)).withFormat(1))
			}
			p.send(halfClose(1))
			if r := p.wantStatus(1, sOK); string(r.raw) != `"MiAz"` {
				t.failf(`"MiAz"`, "%q", r.raw)
			}
		}},
		{"format/json-undecodable", "9.1", func(t *T) {
			p := t.connect(kCodecs, 3)
			if p.theirs[kCodecs]&2 == 0 {
				t.na("the server does not take codec 1")
			}
			for i, m := range []string{"", "{", "\"", "\x0a\x01x", "nothing"} {
				p.send(open(uint64(2*i+1), fHalfClose|fMessage, "Put", []byte(m)).withFormat(1))
				p.wantStatus(uint64(2*i+1), sInvalidArgument)
			}
			p.echo(99)
		}},
		{"format/codec-that-the-client-does-not-take", "9.1", func(t *T) {
			p, key := t.connect(), t.key()
			if p.theirs[kCodecs]&2 == 0 {
				t.na("the server does not take codec 1")
			}
			p.send(open(1, fHalfClose|fMessage, "Put", []byte(`"eA=="`)).withFormat(1))
			p.wantRefusal(1, sUnimplemented)
			p.echo(3)
			t.wantRuns(key, 0)
		}},
		{"format/undecodable", "9.1", func(t *T) {
			p := t.connect()
			for i, m := range []string{"\x0a\x7fshort", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "\x0a", "\x00\x00"} {
				p.send(open(uint64(2*i+1), fHalfClose|fMessage, "Put", []byte(m)))
				p.wantStatus(uint64(2*i+1), sInvalidArgument)
			}
			p.echo(99)
		}},
		{"format/undecodable-in-stream", "9.1", func(t *T) {
			p := t.connect()
			p.send(open(1, fCaller, "Sum"), message(1, "x"), data(1, fMessage|fCredited, []byte("\x0a\x7fshort")), halfClose(1))
			p.wantStatus(1, sInvalidArgument)
			p.echo(3)
		}},
		{"format/unknown-fields", "9.1", func(t *T) {
			p := t.connect()
			p.send(open(1, fHalfClose|fMessage, "Runs", []byte("\x50\x07"), text(t.key()), []byte("\x9a\x06\x03abc")))
			p.want(1, "0")
		}},
		{"format/nesting", "17", func(t *T) {
			p := t.connect()
			bomb := strings.Repeat("\x53", 50000) + strings.Repeat("\x54", 50000) // groups of field 10
			p.sendLargeRaw(1, "Put", []byte(bomb))
			p.wantStatus(1, sInvalidArgument)
			p.echo(3)
		}},
	}...)
}

// sendLargeRaw is sendLarge of a message that is no text.
func (p *peer) sendLargeRaw(id uint64, method string, m []byte) {
	p.send(open(id, fMessage|fMore|fTotal, method, total(len(m)), m[:60000]), data(id, fMessage|fHalfClose, m[60000:]))
}
