package main

import (
	"fmt"
	"time"
)

// clientSplits cuts what a server sends into parts; the results are the same.
func clientSplits() []testCase {
	m := text("0123456789")
	first := join(preface, settingsFrame(kMaxStreams, 100, 4000, 1).wire(), ignorable(5).wire())
	second := join(
		data(1, fHeaders, block("k", "v")).wire(), data(1, fMessage|fMore|fTotal, total(len(m)), m[:4]).wire(), ping("x").wire(),
		data(1, fMessage|fMore, m[4:6]).wire(), closing(1, sOK, fMessage|fTrailers, block("t", "w"), m[6:]).wire(),
	)
	// call has a client make a call, and sends the bytes of the conversation with
	// a function, which is told where they stand.
	call := func(c *client, l *listener, name string, send func(p *peer, b []byte, at int)) {
		t := c.t
		p := l.acceptCall(c, command{Do: "call", Call: name, Method: "Put"})
		p.early = false
		p.credit = int64(p.mine[kConnCredit])
		send(p, first, 0)
		p.wantOpen("Put")
		send(p, second, len(first))
		e := c.want(name, sOK, "0123456789")
		if got := fmt.Sprintf("%q %q", e.Headers, e.Trailers); got != `["k" "v"] ["t" "w"]` {
			t.failf("the headers and trailers that were sent", "%s, cut at %s", got, name)
		}
		if f := p.next(); f.typ != tPing || !f.has(fAck) {
			t.failf("an answer to PING", "%v", f)
		}
		p.halt()
		p.wantEnd("the end of the client's direction")
	}
	const parts = 2
	cases := []testCase{{"split/byte-by-byte", "3.5", func(t *T) {
		l := t.listen()
		call(t.startClient(l.addr()), l, "all", func(p *peer, b []byte, _ int) {
			for i := range b {
				p.send(raw(b[i : i+1]))
				time.Sleep(splitPause)
			}
		})
	}}}
	for part := range parts {
		cases = append(cases, testCase{fmt.Sprintf("split/in-two-%d-of-%d", part+1, parts), "3.5", func(t *T) {
			l := t.listen()
			c := t.startClient(l.addr())
			for cut := 1 + part; cut < len(first)+len(second); cut += parts {
				call(c, l, fmt.Sprint(cut), func(p *peer, b []byte, at int) {
					n := min(max(cut-at, 0), len(b))
					p.send(raw(b[:n]))
					time.Sleep(splitPause)
					p.send(raw(b[n:]))
				})
			}
		}})
	}
	return cases
}
