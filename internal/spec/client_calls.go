package main

import "fmt"

// clientCalls are deadlines and cancels.
func clientCalls() []testCase {
	deadline := func(timeout int, least, most uint32) func(*T) {
		return func(t *T) {
			c, p := t.serve(command{Do: "call", Call: "a", Method: "Put", Timeout: timeout})
			f := p.wantOpen("Put")
			if f.arg < least || f.arg > most {
				t.failf(fmt.Sprintf("a deadline of %d to %d", least, most), "%d", f.arg)
			}
			p.send(answer(f.id, "x"))
			c.want("a", sOK, "x")
		}
	}
	return []testCase{
		{"deadline/none", "11.1", deadline(0, 0, 0)},
		{"deadline/sent", "11.1", deadline(20_000, 100_000, 200_000)},
		{"deadline/longest", "11.1", deadline(10*24*3600*1000, 1<<32-1, 1<<32-1)},
		{"deadline/passes", "11.1", func(t *T) {
			c, p := t.serve(command{Do: "call", Call: "a", Method: "Put", Timeout: 600})
			id := p.wantOpen("Put").id
			if f := p.next(); f.typ != tCancel || f.id != id || f.code != sDeadlineExceeded {
				t.failf("CANCEL(DEADLINE_EXCEEDED)", "%v", f)
			}
			if e := c.want("a", sDeadlineExceeded, ""); e.NotRun {
				t.failf("a call that may have run", "%v", e)
			}
			p.fence()
		}},
		{"deadline/passes-in-stream", "11.1", func(t *T) {
			c, p := t.serve(command{Do: "open", Call: "a", Method: "Chat", Kind: "bidi", Timeout: 600})
			c.do(command{Do: "recv", Call: "a"})
			id := p.wantOpen("Chat").id
			if f := p.next(); f.typ != tCancel || f.id != id || f.code != sDeadlineExceeded {
				t.failf("CANCEL(DEADLINE_EXCEEDED)", "%v", f)
			}
			c.want("a", sDeadlineExceeded, "")
			p.fence()
		}},
		{"cancel/unary", "5.8", func(t *T) {
			c, p, id := t.put()
			c.do(command{Do: "cancel", Call: "put"})
			if f := p.next(); f.typ != tCancel || f.id != id || f.code != sCancelled {
				t.failf("CANCEL(CANCELLED)", "%v", f)
			}
			if e := c.want("put", sCancelled, ""); e.NotRun {
				t.failf("a call that may have run", "%v", e)
			}
			p.fence()
		}},
		{"cancel/stream", "5.8", func(t *T) {
			c, p := t.serve(command{Do: "open", Call: "a", Method: "Chat", Kind: "bidi"})
			c.do(command{Do: "send", Call: "a", Text: "one"})
			c.do(command{Do: "recv", Call: "a"})
			id := p.wantOpen("Chat").id
			p.of(id)
			c.wantEvent("a", "sent")
			c.do(command{Do: "cancel", Call: "a"})
			if f := p.of(id); f.typ != tCancel || f.code != sCancelled {
				t.failf("CANCEL(CANCELLED)", "%v", f)
			}
			c.want("a", sCancelled, "")
			c.do(command{Do: "send", Call: "a", Text: "two"})
			c.wantEvent("a", "not-sent")
			p.fence()
		}},
		{"cancel/before-sent", "13.2", func(t *T) {
			l := t.listen()
			c := t.startClient(l.addr())
			c.do(command{Do: "call", Call: "a", Method: "Put"})
			p := l.accept()
			c.do(command{Do: "cancel", Call: "a"})
			if e := c.want("a", sCancelled, ""); !e.NotRun {
				t.failf("a call that never ran", "%v", e)
			}
			p.welcome()
			p.fence()
		}},
		{"half-close/nothing-after-answer", "7.3", func(t *T) {
			c, p := t.serve(command{Do: "open", Call: "a", Method: "Sum", Kind: "client"})
			c.do(command{Do: "send", Call: "a", Text: "one"})
			id := p.wantOpen("Sum").id
			p.of(id)
			c.wantEvent("a", "sent")
			p.send(answer(id, "early"))
			p.fence()
			c.do(command{Do: "send", Call: "a", Text: "two"})
			c.wantEvent("a", "not-sent")
			c.do(command{Do: "recv", Call: "a"})
			if e := c.wantEvent("a", "message"); e.Text != "early" {
				t.failf("the answer", "%v", e)
			}
			c.want("a", sOK, "")
			p.fence()
		}},
		{"half-close/answers-go-on", "7.3", func(t *T) {
			c, p := t.serve(command{Do: "open", Call: "a", Method: "Chat", Kind: "bidi"})
			c.do(command{Do: "half_close", Call: "a"})
			c.do(command{Do: "recv", Call: "a"})
			f := p.wantOpen("Chat")
			if !f.has(fHalfClose) {
				p.messages(f.id)
			}
			c.wantEvent("a", "sent")
			p.send(message(f.id, "one"), message(f.id, "two"), closing(f.id, sOK, 0))
			for _, want := range []string{"one", "two"} {
				if e := c.wantEvent("a", "message"); e.Text != want {
					t.failf(fmt.Sprintf("message %q", want), "%v", e)
				}
			}
			c.want("a", sOK, "")
		}},
	}
}
