package main

import (
	"fmt"
	"strings"
)

// clientCredit are credits in both directions of a client's connection.
func clientCredit() []testCase {
	// sum has a client send n messages of size bytes.
	sum := func(t *T, n, size int, kv ...uint32) (*client, *peer, uint64) {
		c, p := t.serve(command{Do: "open", Call: "a", Method: "Sum", Kind: "client"}, kv...)
		c.do(command{Do: "send", Call: "a", Size: size, Count: n})
		c.do(command{Do: "half_close", Call: "a"})
		return c, p, p.wantOpen("Sum").id
	}
	// all makes sure that all messages come in the end.
	all := func(p *peer, id uint64, n, size int) {
		p.pending, p.held = append(p.held, p.pending...), nil
		got := p.messages(id)
		bytes := 0
		for _, s := range got {
			bytes += len(s)
		}
		if len(got) != n || bytes != n*size {
			p.t.failf(fmt.Sprintf("%d messages of %d bytes", n, size), "%d, %d bytes", len(got), bytes)
		}
	}
	// count has a client call Count, and receive if it says so.
	count := func(t *T, receive bool) (*client, *peer, uint64) {
		c, p := t.serve(command{Do: "open", Call: "a", Method: "Count", Kind: "server"})
		if receive {
			c.do(command{Do: "recv", Call: "a"})
		}
		return c, p, p.wantOpen("Count").id
	}
	return []testCase{
		{"credit/client-obeys-stream", "10", func(t *T) {
			_, p, id := sum(t, 40, 9000, kStreamCredit, 65536)
			p.drawn(id, 65536, 9000)
			p.send(credit(id, 1<<20))
			all(p, id, 40, 9000)
		}},
		{"credit/client-obeys-connection", "10", func(t *T) {
			c, p, id := sum(t, 20, 9000, kConnCredit, 65536)
			p.drawn(id, 65536, 9000)
			c.do(command{Do: "call", Call: "b", Method: "Put", Size: 100_000}) // draws nothing
			f := p.wantOpen("Put")
			p.request(f)
			p.send(answer(f.id, "x"), credit(0, 1<<20))
			c.want("b", sOK, "x")
			all(p, id, 20, 9000)
		}},
		{"credit/client-needs-no-more-than-a-quarter", "10", func(t *T) {
			_, p, id := sum(t, 2, 60000, kStreamCredit, 65536)
			p.drawn(id, 65536, 60000)
			p.send(credit(id, uint32(16384-p.streams[id].credit)))
			if f := p.of(id); f.typ != tData || !f.has(fMessage) {
				t.failf("a fragment within a quarter of the window", "%v", f)
			}
		}},
		{"credit/client-message-larger-than-window", "10", func(t *T) {
			_, p, id := sum(t, 1, 400_000, kStreamCredit, 65536, kConnCredit, 65536)
			size := 0
			for {
				f := p.of(id)
				sec, _ := f.parse()
				size += len(sec.message)
				if f.has(fHalfClose) {
					break
				}
				if n := uint32(headerSize + len(f.payload)); f.has(fCredited) {
					p.send(credit(id, n), credit(0, n))
				}
			}
			if want := len(text(strings.Repeat(".", 400_000))); size != want {
				t.failf(fmt.Sprintf("a message of %d bytes", want), "%d", size)
			}
		}},
		{"credit/client-cancels-while-blocked", "10", func(t *T) {
			c, p, id := sum(t, 40, 9000, kStreamCredit, 65536)
			p.drawn(id, 65536, 9000)
			c.do(command{Do: "cancel", Call: "a"})
			if f := p.of(id); f.typ != tCancel {
				t.failf("CANCEL", "%v", f)
			}
			p.send(credit(id, 1<<20))
			p.fence()
		}},
		{"credit/client-ended-while-blocked", "10", func(t *T) {
			c, p, id := sum(t, 40, 9000, kStreamCredit, 65536)
			c.do(command{Do: "recv", Call: "a"})
			p.drawn(id, 65536, 9000)
			p.send(closing(id, sAborted, 0))
			c.want("a", sAborted, "")
			p.send(credit(id, 1<<20))
			p.fence()
		}},
		{"credit/client-grants-when-taken", "10", func(t *T) {
			c, p, id := count(t, true)
			n, _ := p.stream(id, 3*int64(p.theirs[kConnCredit]), 16000)
			p.send(closing(id, sOK, 0))
			for range n {
				c.wantEvent("a", "message")
			}
			c.want("a", sOK, "")
		}},
		{"credit/client-grants-for-larger-message", "10", func(t *T) {
			c, p, id := count(t, true)
			size := int(p.theirs[kStreamCredit]) + int(p.theirs[kConnCredit])
			if size > int(p.theirs[kMaxMessage]) {
				t.na("MAX_MESSAGE is below the windows")
			}
			s := strings.Repeat("z", size-10)
			p.streamMessage(id, text(s), 16000)
			p.send(closing(id, sOK, 0))
			if e := c.wantEvent("a", "message"); e.Text != s {
				t.failf("the message", "%d bytes", len(e.Text))
			}
			c.want("a", sOK, "")
		}},
		{"credit/client-filled", "10", func(t *T) {
			c, p, id := count(t, false)
			p.fill(id, int64(p.theirs[kStreamCredit]))
			p.fence()
			c.do(command{Do: "recv", Call: "a"})
			p.send(closing(id, sOK, 0))
			c.want("a", sOK, "")
		}},
		{"credit/client-overdrawn-by-one-frame", "10", func(t *T) {
			c, p, id := count(t, false)
			p.fill(id, int64(p.theirs[kStreamCredit])-10)
			p.send(message(id, ""))
			p.wantGoAway(eFlowControl)
			p.halt()
			c.do(command{Do: "recv", Call: "a"})
			wantMayHaveRun(c, "a")
		}},
		{"credit/client-returns-what-it-gave-up", "10", func(t *T) {
			c, p, _ := t.put()
			window := int64(p.theirs[kConnCredit])
			for i, sent := 0, int64(0); sent < 3*window; i++ {
				name := fmt.Sprint(i)
				c.do(command{Do: "open", Call: name, Method: "Count", Kind: "server"})
				id := p.wantOpen("Count").id
				n := int64(p.theirs[kStreamCredit])
				p.waitCredit(0, sent+n-window)
				sent += n - p.fill(id, n)
				p.fence()
				c.do(command{Do: "cancel", Call: name})
				if f := p.next(); f.typ != tCancel {
					t.failf("CANCEL", "%v", f)
				}
			}
		}},
		{"credit/client-unread-holds-no-unary", "10", func(t *T) {
			c, p, id := count(t, false)
			p.fill(id, int64(p.theirs[kStreamCredit]))
			c.do(command{Do: "call", Call: "b", Method: "Put"})
			f := p.wantOpen("Put")
			s := strings.Repeat("u", 50000)
			p.send(answer(f.id, s))
			c.want("b", sOK, s)
		}},
		{"credit/client-not-for-single-request", "10", func(t *T) {
			c, p, id := t.put()
			p.send(credit(id, 1<<31-1), credit(id, 1<<31-1))
			p.fence()
			p.send(answer(id, "x"))
			c.want("put", sOK, "x")
		}},
	}
}
