package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"
)

// The numbers of section 9.1. The suite itself speaks gzip only.
const compressionGzip = 1

func gzipped(m []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(m) // a Buffer takes all
	w.Close()
	return b.Bytes()
}

func gunzipped(t *T, b []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.failf("gzip", "%v", err)
	}
	m, err := io.ReadAll(r)
	if err != nil {
		t.failf("gzip", "%v", err)
	}
	return m
}

// serverCompression needs a server that takes gzip.
func serverCompression() []testCase {
	connect := func(t *T) *peer {
		p := t.connect()
		if p.theirs[kCompressions]&(1<<compressionGzip) == 0 {
			t.na("the server does not take gzip")
		}
		return p
	}
	one := uint16(fHalfClose | fMessage)
	return []testCase{
		{"compression/request", "9.1", func(t *T) {
			p := connect(t)
			s := strings.Repeat("compressible ", 1000)
			p.send(open(1, one, "Echo", gzipped(text(s))).withFormat(compressionGzip << 4))
			p.want(1, s)
		}},
		{"compression/of-each-message", "9.1", func(t *T) {
			p := connect(t)
			p.send(open(1, fCaller, "Sum"), message(1, "plain"))
			p.send(data(1, fMessage|fCredited, gzipped(text("packed"))).withFormat(compressionGzip<<4), message(1, "plain"), halfClose(1))
			p.want(1, "3 16")
		}},
		{"compression/of-fragments", "9.1", func(t *T) {
			p := connect(t)
			m := gzipped(text("in fragments"))
			f := open(1, fMessage|fMore|fTotal, "Echo", total(len(m)), m[:7]).withFormat(compressionGzip << 4)
			p.send(f, data(1, one, m[7:]))
			p.want(1, "in fragments")
		}},
		{"compression/bomb", "9.1", func(t *T) {
			p := connect(t)
			if p.theirs[kMaxMessage] > 32<<20 {
				t.na("MAX_MESSAGE is %d: too large to exceed", p.theirs[kMaxMessage])
			}
			m := gzipped(text(strings.Repeat("\x00", int(p.theirs[kMaxMessage])+100)))
			p.send(open(1, one, "Echo", m).withFormat(compressionGzip << 4))
			p.wantStatus(1, sResourceExhausted)
			p.echo(3)
		}},
		{"compression/broken", "9.1", func(t *T) {
			p := connect(t)
			m := gzipped(text(strings.Repeat("x", 100)))
			for i, b := range [][]byte{m[:len(m)-3], []byte("no gzip"), nil} {
				id := uint64(2*i + 1)
				p.send(open(id, one, "Put", b).withFormat(compressionGzip << 4))
				p.wantStatus(id, sInvalidArgument)
			}
			p.echo(99)
		}},
		{"compression/of-answer", "9.1", func(t *T) {
			connect(t)
			p := t.connect(kCompressions, 1|1<<compressionGzip)
			s := strings.Repeat("an answer that shrinks ", 2000)
			p.send(unary(1, "Echo", s))
			f := p.of(1)
			sec, err := f.parse()
			if err != nil || f.typ != tClose || f.code != sOK {
				t.failf("CLOSE(OK)", "%v, %v", f, err)
			}
			m := sec.message
			switch f.format >> 4 { // the server may compress or not
			case 0:
			case compressionGzip:
				m = gunzipped(t, m)
			default:
				t.failf("a compression of the suite's settings", "%v of format %#02x", f, f.format)
			}
			if got, ok := untext(m); !ok || got != s {
				t.failf("the request again", "%.40q", got)
			}
		}},
	}
}

// serverChecksums needs a server whose CHECKSUM is 1.
func serverChecksums() []testCase {
	connect := func(t *T) *peer {
		p := t.connect(kChecksum, 1)
		if p.theirs[kChecksum] == 0 {
			t.na("the server's CHECKSUM is 0")
		}
		return p
	}
	return []testCase{
		{"checksum/both-ways", "14", func(t *T) {
			p := connect(t)
			f := unary(1, "Echo", "sealed")
			p.noteSent(f)
			p.send(seal(f))
			if f := p.of(1); !f.has(fChecksum) || f.typ != tClose || f.code != sOK {
				t.failf("CLOSE(OK) with a checksum", "%v", f)
			}
		}},
		{"checksum/early-frames-without", "14", func(t *T) {
			p := connect(t)
			p.echo(1)
		}},
		{"checksum/wrong", "14", func(t *T) {
			p, key := connect(t), t.key()
			b := seal(unary(1, "Put", key))
			b[len(b)-1] ^= 1
			p.send(b)
			p.wantGoAway(eChecksum)
			t.wantRuns(key, 0)
		}},
		{"checksum/payload-flipped", "14", func(t *T) {
			p, key := connect(t), t.key()
			b := seal(unary(1, "Put", key))
			b[len(b)-6] ^= 4
			p.send(b)
			p.wantGoAway(eChecksum)
			t.wantRuns(key, 0)
		}},
	}
}

// clientChecksums needs a client whose CHECKSUM is 1.
func clientChecksums() []testCase {
	put := func(t *T) (*client, *peer, frame) {
		c, p := t.serve(command{Do: "call", Call: "put", Method: "Put", Text: "x"}, kChecksum, 1)
		f := p.wantOpen("Put")
		if p.theirs[kChecksum] == 0 {
			t.na("the client's CHECKSUM is 0")
		}
		return c, p, f
	}
	return []testCase{
		{"checksum/both-ways", "14", func(t *T) {
			c, p, f := put(t)
			if !f.has(fChecksum) {
				t.failf("OPEN with a checksum", "%v", f)
			}
			p.send(seal(answer(f.id, "sealed")))
			c.want("put", sOK, "sealed")
		}},
		{"checksum/wrong", "14", func(t *T) {
			c, p, f := put(t)
			b := seal(answer(f.id, "sealed"))
			b[len(b)-6] ^= 4
			p.send(b)
			p.wantGoAway(eChecksum)
			p.halt()
			wantMayHaveRun(c, "put")
		}},
	}
}
