package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// clientStart is what a client does before and with the server's first bytes.
func clientStart() []testCase {
	// native has a server answer with something, and returns the call's result.
	native := func(t *T, safe bool, answer []byte) event {
		l := t.listen()
		c := t.startClient(l.addr())
		c.do(command{Do: "call", Call: "a", Method: "Put", Safe: safe, Text: "x"})
		p := l.accept()
		p.send(raw(answer))
		p.halt()
		e := c.want("a", sUnavailable, "")
		if !e.NotRun {
			t.failf("a call that never ran", "%v", e)
		}
		return e
	}
	rows := []struct {
		name, answer, says string
	}{
		{"http", "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "HTTP"},
		{"tls-alert", "\x15\x03\x01\x00\x02\x02\x0a", ""},
		{"ssh", "SSH-2.0-OpenSSH_9.2\r\n", "SSH"},
		{"other-version", string(preface[:7]) + "\x02", "2"},
		{"other-version-and-goaway", string(preface[:7]) + "\x02" + string(goAway(0, eVersion, "layout version 1, this side speaks 2").wire()), "2"},
		{"byte-0", "\x00RPX\r\n\x1a\x01", ""},
		{"byte-6", "\xfbRPX\r\n\x0a\x01", ""},
	}
	cases := []testCase{
		{"start/client-speaks-first", "3.2", func(t *T) {
			l := t.listen()
			c := t.startClient(l.addr())
			c.do(command{Do: "call", Call: "a", Method: "Put", Text: "x"})
			p := l.accept() // reads preface and SETTINGS, before a byte was sent
			p.welcome()
			p.send(answer(p.wantOpen("Put").id, "done"))
			c.want("a", sOK, "done")
		}},
		{"start/closed-at-once", "13.2", func(t *T) {
			l := t.listen()
			c := t.startClient(l.addr())
			c.do(command{Do: "call", Call: "a", Method: "Put", Text: "x"})
			l.accept().nc.Close()
			wantNeverRan(c, l, "a")
		}},
		{"start/part-of-preface", "13.2", func(t *T) {
			l := t.listen()
			c := t.startClient(l.addr())
			c.do(command{Do: "call", Call: "a", Method: "Put", Text: "x"})
			p := l.accept()
			p.send(preface[:5])
			p.nc.Close()
			wantNeverRan(c, l, "a")
		}},
		{"start/settings-cut-off", "13.2", func(t *T) {
			l := t.listen()
			c := t.startClient(l.addr())
			c.do(command{Do: "call", Call: "a", Method: "Put", Text: "x"})
			p := l.accept()
			p.send(preface, raw(settingsFrame(kMaxStreams, 100).wire()[:27]))
			p.halt()
			wantNeverRan(c, l, "a")
		}},
	}
	for _, r := range rows {
		for _, safe := range []bool{false, true} {
			name := "start/not-native-" + r.name
			if safe {
				name += "-safe"
			}
			cases = append(cases, testCase{name, "3.2", func(t *T) {
				if e := native(t, safe, []byte(r.answer)); !strings.Contains(e.Message, r.says) {
					t.failf(fmt.Sprintf("an error that says %q", r.says), "%v", e)
				}
			}})
		}
	}
	for _, code := range []uint16{eVersion, eLimit, eTimeout} {
		cases = append(cases, testCase{"start/refused-" + strings.ToLower(errorName(code)), "3.3", func(t *T) {
			l := t.listen()
			c := t.startClient(l.addr())
			c.do(command{Do: "call", Call: "a", Method: "Put", Text: "x"})
			c.do(command{Do: "call", Call: "b", Method: "Echo", Safe: true, Text: "x"})
			p := l.accept()
			p.send(preface, goAway(0, code, "go away"))
			p.halt()
			wantNeverRan(c, l, "a")
			wantNeverRan(c, l, "b")
		}})
	}
	return cases
}

const quiet = 100 * time.Millisecond // in which nothing may come

func clientEarly() []testCase {
	start := func(t *T, cmd command) (*client, *listener, *peer) {
		l := t.listen()
		c := t.startClient(l.addr())
		c.do(cmd)
		return c, l, l.accept()
	}
	return []testCase{
		{"early/side-effects-wait", "3.4", func(t *T) {
			c, _, p := start(t, command{Do: "call", Call: "a", Method: "Put", Text: "x"})
			p.wantSilence(quiet)
			p.welcome()
			p.send(answer(p.wantOpen("Put").id, "done"))
			c.want("a", sOK, "done")
		}},
		{"early/safe-may-go", "3.4", func(t *T) {
			c, _, p := start(t, command{Do: "call", Call: "a", Method: "Echo", Safe: true, Text: "x"})
			f, err := p.tryNext(quiet)
			p.welcome()
			if err != nil {
				f = p.next()
			}
			p.send(answer(f.id, "done"))
			c.want("a", sOK, "done")
		}},
		{"early/large-waits", "3.4", func(t *T) {
			c, _, p := start(t, command{Do: "call", Call: "a", Method: "Echo", Safe: true, Size: 100_000})
			p.wantSilence(quiet)
			p.welcome()
			f := p.wantOpen("Echo")
			p.request(f)
			p.send(answer(f.id, "done"))
			c.want("a", sOK, "done")
		}},
		{"early/credit-is-the-minimum", "3.4", func(t *T) {
			c, _, p := start(t, command{Do: "open", Call: "a", Method: "Chat", Kind: "bidi", Safe: true})
			c.do(command{Do: "send", Call: "a", Size: 9000, Count: 20})
			for { // the judge knows what may be sent
				f, err := p.tryRead(quiet)
				if err != nil {
					break
				}
				p.pending = append(p.pending, f)
			}
			p.welcome()
			c.wantEvent("a", "sent")
		}},
		{"early/16-streams", "3.4", func(t *T) {
			c, _, p := start(t, command{Do: "call", Call: "0", Method: "Echo", Safe: true})
			for i := 1; i < 20; i++ {
				c.do(command{Do: "call", Call: fmt.Sprint(i), Method: "Echo", Safe: true})
			}
			var early []frame
			for {
				f, err := p.tryNext(quiet)
				if err != nil {
					break
				}
				early = append(early, f)
			}
			if len(early) > 16 {
				t.failf("at most 16 streams before SETTINGS", "%d", len(early))
			}
			p.welcome()
			for i := range 20 {
				if i >= len(early) {
					early = append(early, p.wantOpen("Echo"))
				}
				p.send(answer(early[i].id, "done"))
			}
			for i := range 20 {
				c.want(fmt.Sprint(i), sOK, "done")
			}
		}},
		{"early/deadline-runs-on", "3.4", func(t *T) {
			c, _, p := start(t, command{Do: "call", Call: "a", Method: "Put", Timeout: 100})
			if e := c.want("a", sDeadlineExceeded, ""); !e.NotRun {
				t.failf("a call that never ran", "%v", e)
			}
			p.welcome()
			p.fence()
		}},
		{"early/broken-before-settings", "3.4", func(t *T) {
			c, l, p := start(t, command{Do: "call", Call: "a", Method: "Put"})
			p.send(preface)
			p.halt()
			wantNeverRan(c, l, "a")
		}},
		{"early/safe-may-have-run", "13.2", func(t *T) {
			l := t.listen()
			c := t.startClient(l.addr())
			c.do(command{Do: "call", Call: "a", Method: "Echo", Safe: true, Text: "x"})
			p := l.accept()
			if _, err := p.tryNext(10 * quiet); err != nil {
				t.na("the client sends nothing early")
			}
			p.send(preface)
			p.nc.Close()
			for range 5 { // it may be sent again
				q := l.tryAccept(10 * quiet)
				if q == nil {
					break
				}
				q.send(preface)
				q.nc.Close()
			}
			wantMayHaveRun(c, "a")
		}},
	}
}

func clientSettings() []testCase {
	cases := breaches("settings", settingsBreaches(), func(t *T, code uint16, frames []wire) {
		l := t.listen()
		c := t.startClient(l.addr())
		c.do(command{Do: "call", Call: "a", Method: "Put", Text: "x"})
		p := l.accept()
		p.send(append([]wire{preface}, frames...)...)
		p.wantGoAway(code)
		p.halt()
		wantNeverRan(c, l, "a")
	})
	for name, kv := range settingsAccepted() {
		cases = append(cases, testCase{"settings/" + name, "5.1", func(t *T) {
			c, p, id := t.put(kv...)
			p.send(answer(id, "fine"))
			c.want("put", sOK, "fine")
		}})
	}
	slices.SortStableFunc(cases, func(a, b testCase) int { return strings.Compare(a.name, b.name) })
	return cases
}

// request reads what follows an OPEN of a call whose request is one message, and
// returns the message.
func (p *peer) request(f frame) string {
	sec, _ := f.parse()
	m := sec.message
	for f.has(fMore) {
		f = p.of(f.id)
		sec, _ = f.parse()
		m = append(m, sec.message...)
	}
	s, ok := untext(m)
	if !ok {
		p.t.failf("a message", "% .40x of %d bytes", m, len(m))
	}
	return s
}
