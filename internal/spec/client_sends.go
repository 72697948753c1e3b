package main

import (
	"fmt"
	"strings"
)

// clientSends are the frames by which a client calls.
func clientSends() []testCase {
	return []testCase{
		{"sends/unary", "5.5", func(t *T) {
			c, p := t.serve(command{Do: "call", Call: "a", Method: "Put", Text: "hello"})
			f := p.wantOpen("Put")
			if f.flags&^fName != fHalfClose|fMessage || f.arg != 0 || f.class&3 != 0 || f.format != 0 || f.id != 1 || p.request(f) != "hello" {
				t.failf("a plain OPEN of stream 1", "%v, arg %d, class %#x, format %#x", f, f.arg, f.class, f.format)
			}
			p.send(answer(f.id, "x"))
			c.want("a", sOK, "x")
		}},
		{"sends/again-by-number", "8", func(t *T) {
			c, p, id := t.put()
			p.send(answer(id, "x"))
			c.want("put", sOK, "x")
			c.do(command{Do: "call", Call: "b", Method: "Put", Text: "y"})
			f := p.wantOpen("Put")
			p.send(answer(f.id, "z"))
			c.want("b", sOK, "z")
		}},
		{"sends/more-methods-than-numbers", "8", func(t *T) {
			c, p := t.serve(command{Do: "call", Call: "0", Method: "Method0"}, kMaxMethods, 64)
			for i := range 70 {
				if i > 0 {
					c.do(command{Do: "call", Call: fmt.Sprint(i), Method: fmt.Sprint("Method", i)})
				}
				f := p.next()
				if sec, _ := f.parse(); sec.name != path(fmt.Sprint("Method", i)) {
					t.failf(fmt.Sprintf("OPEN with the name of Method%d", i), "%v, name %q", f, sec.name)
				}
				p.send(answer(f.id, "x"))
				c.want(fmt.Sprint(i), sOK, "x")
			}
		}},
		{"sends/large", "9.2", func(t *T) {
			c, p := t.serve(command{Do: "call", Call: "a", Method: "Put", Text: "begin", Size: 300_000})
			f := p.wantOpen("Put")
			if s := p.request(f); len(s) != 300_000 || !strings.HasPrefix(s, "begin.") {
				t.failf("300,000 bytes", "%d, %.20q", len(s), s)
			}
			p.send(answer(f.id, "x"))
			c.want("a", sOK, "x")
		}},
		{"sends/small-passes-large", "9.2", func(t *T) {
			const size = 30 << 20 // more than sockets hold
			c, p := t.serve(command{Do: "call", Call: "large", Method: "Put", Size: size}, kMaxMessage, 2*size)
			large := p.wantOpen("Put")
			c.do(command{Do: "call", Call: "small", Method: "Put", Text: "small"})
			for f := p.next(); f.typ != tOpen; f = p.next() {
				if !f.has(fMore) {
					t.failf("the small call before the large one's end", "%v", f)
				}
			}
			p.send(answer(large.id+2, "y"))
			c.want("small", sOK, "y")
			for f := large; f.has(fMore); f = p.of(large.id) {
			}
			p.send(answer(large.id, "x"))
			c.want("large", sOK, "x")
		}},
		{"sends/metadata", "12", func(t *T) {
			c, p := t.serve(command{Do: "call", Call: "a", Method: "Put", Metadata: []string{"b", "1", "a", "2", "b", "3"}})
			f := p.wantOpen("Put")
			if sec, _ := f.parse(); fmt.Sprintf("%q", sec.headers) != `["b" "1" "a" "2" "b" "3"]` {
				t.failf("entries in order", "%q", sec.headers)
			}
			p.send(answer(f.id, "x"))
			c.want("a", sOK, "x")
		}},
		{"sends/metadata-too-large", "3.3", func(t *T) {
			c, p, _ := t.put()
			c.do(command{Do: "call", Call: "b", Method: "Put", Metadata: []string{"k", strings.Repeat("v", 8192)}})
			if e := c.result("b"); e.Status == sOK || !e.NotRun {
				t.failf("an error of a call that never ran", "%v", e)
			}
			p.fence()
		}},
		{"sends/message-too-large", "9.3", func(t *T) {
			c, p := t.serve(command{Do: "call", Call: "a", Method: "Put"}, kMaxMessage, 65536)
			p.wantOpen("Put")
			c.do(command{Do: "call", Call: "b", Method: "Put", Size: 65536})
			if e := c.result("b"); e.Status == sOK || !e.NotRun {
				t.failf("an error of a call that never ran", "%v", e)
			}
			p.fence()
		}},
		{"sends/stream-message-too-large", "9.3", func(t *T) {
			c, p := t.serve(command{Do: "open", Call: "a", Method: "Sum", Kind: "client"}, kMaxMessage, 65536)
			c.do(command{Do: "send", Call: "a", Size: 65536})
			id := p.wantOpen("Sum").id
			c.wantEvent("a", "not-sent")
			if f := p.sync("too large"); f != nil && (f.typ != tCancel || f.id != id) {
				t.failf("CANCEL or nothing", "%v", *f)
			}
		}},
		{"sends/no-more-streams-than-allowed", "7.4", func(t *T) {
			c, p := t.serve(command{Do: "call", Call: "0", Method: "Put"}, kMaxStreams, 16)
			for i := 1; i < 20; i++ {
				c.do(command{Do: "call", Call: fmt.Sprint(i), Method: "Put"})
			}
			for range 16 {
				p.wantOpen("Put")
			}
			p.wantSilence(quiet)
			for i := range uint64(4) {
				p.send(answer(2*i+1, "x"))
				p.wantOpen("Put")
			}
			for i := uint64(4); i < 20; i++ {
				p.send(answer(2*i+1, "x"))
			}
			for i := range 20 {
				c.want(fmt.Sprint(i), sOK, "x")
			}
		}},
		{"sends/client-stream", "7.2", func(t *T) {
			c, p := t.serve(command{Do: "open", Call: "a", Method: "Sum", Kind: "client"})
			c.do(command{Do: "send", Call: "a", Text: "one"})
			c.do(command{Do: "send", Call: "a", Text: ""})
			c.do(command{Do: "half_close", Call: "a"})
			c.do(command{Do: "recv", Call: "a"})
			f := p.wantOpen("Sum")
			if f.flags&(fCaller|fCallee|fMessage) != fCaller {
				t.failf("OPEN of a client-streaming call", "%v", f)
			}
			if got := p.messages(f.id); fmt.Sprintf("%q", got) != `["one" ""]` {
				t.failf("both messages", "%q", got)
			}
			p.send(answer(f.id, "sum"))
			for range 3 {
				c.wantEvent("a", "sent")
			}
			if e := c.wantEvent("a", "message"); e.Text != "sum" {
				t.failf("the answer", "%v", e)
			}
			c.want("a", sOK, "")
			p.fence()
		}},
		{"sends/empty-stream", "5.6", func(t *T) {
			c, p := t.serve(command{Do: "open", Call: "a", Method: "Sum", Kind: "client"})
			c.do(command{Do: "half_close", Call: "a"})
			f := p.wantOpen("Sum")
			if !f.has(fHalfClose) && len(p.messages(f.id)) > 0 {
				t.failf("no message", "some")
			}
			p.send(answer(f.id, "none"))
		}},
		{"sends/bidi", "7.2", func(t *T) {
			c, p := t.serve(command{Do: "open", Call: "a", Method: "Chat", Kind: "bidi"})
			c.do(command{Do: "send", Call: "a", Text: "one"})
			f := p.wantOpen("Chat")
			if f.flags&(fCaller|fCallee|fMessage) != fCaller|fCallee {
				t.failf("OPEN of a bidirectional call", "%v", f)
			}
			for _, s := range []string{"one", "two"} {
				if s != "one" {
					c.do(command{Do: "send", Call: "a", Text: s})
				}
				m := p.of(f.id)
				sec, _ := m.parse()
				if got, _ := untext(sec.message); got != s {
					t.failf(fmt.Sprintf("message %q", s), "%v %q", m, got)
				}
				c.do(command{Do: "recv", Call: "a", Count: 1})
				p.send(message(f.id, s))
				c.wantEvent("a", "sent")
				if e := c.wantEvent("a", "message"); e.Text != s {
					t.failf(fmt.Sprintf("message %q", s), "%v", e)
				}
			}
			c.do(command{Do: "half_close", Call: "a"})
			p.messages(f.id)
			p.send(closing(f.id, sOK, 0))
			c.do(command{Do: "recv", Call: "a"})
			c.wantEvent("a", "sent")
			c.want("a", sOK, "")
		}},
	}
}

// messages reads the messages of a stream up to the half-close.
func (p *peer) messages(id uint64) []string {
	var all []string
	var part []byte
	for {
		f := p.of(id)
		if f.typ != tData {
			p.t.failf("DATA", "%v", f)
		}
		sec, _ := f.parse()
		if part = append(part, sec.message...); f.has(fMessage) && !f.has(fMore) {
			s, _ := untext(part)
			all = append(all, s)
			part = nil
		}
		if f.has(fHalfClose) {
			return all
		}
	}
}
