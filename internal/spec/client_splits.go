package main

import (
	"fmt"
	"time"
)

// clientSplits cuts what a server sends into parts; the results are the same.
func clientSplits() []testCase {
	m := text("0123456789")
	sent := join(
		preface, settingsFrame(kMaxStreams, 100, 4000, 1).wire(), ignorable(5).wire(), data(1, fHeaders, block("k", "v")).wire(),
		data(1, fMessage|fMore|fTotal, total(len(m)), m[:4]).wire(), ping("x").wire(), data(1, fMessage|fMore, m[4:6]).wire(),
		closing(1, sOK, fMessage|fTrailers, block("t", "w"), m[6:]).wire(),
	)
	// call has a client make a call and answers it with a function.
	call := func(c *client, l *listener, name string, send func(p *peer)) {
		t := c.t
		c.do(command{Do: "call", Call: name, Method: "Echo", Safe: true})
		p := l.accept()
		if _, err := p.tryNext(quiet); err != nil {
			t.na("the client sends nothing before SETTINGS")
		}
		send(p)
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
		call(t.startClient(l.addr()), l, "all", func(p *peer) {
			for i := range sent {
				p.send(raw(sent[i : i+1]))
				time.Sleep(splitPause)
			}
		})
	}}}
	for part := range parts {
		cases = append(cases, testCase{fmt.Sprintf("split/in-two-%d-of-%d", part+1, parts), "3.5", func(t *T) {
			l := t.listen()
			c := t.startClient(l.addr())
			for cut := 1 + part; cut < len(sent); cut += parts {
				call(c, l, fmt.Sprint(cut), func(p *peer) {
					p.send(raw(sent[:cut]))
					time.Sleep(splitPause)
					p.send(raw(sent[cut:]))
				})
			}
		}})
	}
	return cases
}
