package main

import (
	"fmt"
	"net"
	"sync"
	"time"
)

func dialQuietly(addr string) (net.Conn, error) { return net.DialTimeout("tcp", addr, patience) }

// conversation is what serverSplits sends, cut differently each time.
func conversation() []frame {
	m := text("fragmented")
	interned := unaryMeta(1, "Meta", "", "h-k", "v", "k-bin", "\x00\xff")
	interned.code = 1
	return []frame{
		settingsFrame(kMaxStreams, 100, 4000, 1),
		interned,
		open(3, fCaller|fCallee, "Chat"),
		message(3, "one"),
		ignorable(3),
		open(5, fMessage|fMore|fTotal, "Fast", total(len(m)), m[:5]),
		ping("split"),
		message(3, "two"),
		data(5, fMessage|fHalfClose, m[5:]),
		openID(7, 1, fHalfClose|fMessage|fHeaders, block("a", "b")),
		halfClose(3),
		unary(9, "NoSuchMethod", "x"),
	}
}

// converse sends a conversation with a function and returns what it leads to.
func (t *T) converse(send func(p *peer, b []byte)) string {
	p := t.dial()
	p.credit = int64(p.mine[kConnCredit])
	b := []byte(preface)
	for _, f := range conversation() {
		p.noteSent(f)
		b = append(b, f.wire()...)
	}
	send(p, b)
	p.wantPreface()
	p.wantSettings()
	all := ""
	for id := uint64(1); id <= 9; id += 2 {
		r := p.result(id)
		all += fmt.Sprintf("%d: %v %q %q %q\n", id, r, r.headers, r.trailers, r.messages)
	}
	if len(p.pending) == 0 {
		p.pending = append(p.pending, p.next())
	}
	for _, f := range p.pending {
		all += fmt.Sprintln(f)
	}
	return all
}

const splitPause = 200 * time.Microsecond // so that the parts arrive apart

func serverSplits() []testCase {
	whole := sync.OnceValue(func() int {
		n := len(preface)
		for _, f := range conversation() {
			n += len(f.wire())
		}
		return n
	})
	// compare makes sure that cut in some way the conversation leads to the same.
	compare := func(t *T, want string, what string, send func(p *peer, b []byte)) {
		if got := t.converse(send); got != want {
			t.failf("what the whole conversation leads to:\n"+want, "%s:\n%s", what, got)
		}
	}
	atOnce := func(p *peer, b []byte) { p.send(raw(b)) }
	cases := []testCase{
		{"split/byte-by-byte", "3.5", func(t *T) {
			compare(t, t.converse(atOnce), "byte by byte", func(p *peer, b []byte) {
				for i := range b {
					p.send(raw(b[i : i+1]))
					if i%8 == 0 {
						time.Sleep(splitPause)
					}
				}
			})
		}},
	}
	const parts = 4
	for part := range parts {
		cases = append(cases, testCase{fmt.Sprintf("split/in-two-%d-of-%d", part+1, parts), "3.5", func(t *T) {
			want := t.converse(atOnce)
			for cut := 1 + part; cut < whole(); cut += parts {
				compare(t, want, fmt.Sprintf("cut at %d", cut), func(p *peer, b []byte) {
					p.send(raw(b[:cut]))
					time.Sleep(splitPause)
					p.send(raw(b[cut:]))
				})
			}
		}})
	}
	return cases
}
