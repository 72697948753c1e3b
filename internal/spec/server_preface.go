package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

func serverPreface() []testCase {
	cases := []testCase{
		{"preface/answered", "3.2", func(t *T) { t.connect().echo(1) }},
		{"preface/settings-not-awaited", "3.2", func(t *T) {
			p := t.dial()
			p.send(preface)
			p.wantPreface()
			p.wantSettings()
		}},
		{"preface/read-before-written", "3.2", func(t *T) {
			p := t.dial()
			p.send(preface[:7])
			p.wantSilence(50 * time.Millisecond)
			p.send(preface[7:], settingsFrame())
			p.wantPreface()
			p.wantSettings()
		}},
		{"preface/with-first-call", "3.4", func(t *T) {
			p := t.dial()
			p.credit = int64(p.mine[kConnCredit])
			p.send(preface, settingsFrame(), unary(1, "Echo", "early"))
			p.wantPreface()
			p.wantSettings()
			p.want(1, "early")
		}},
		{"preface/cut-off", "3.6", func(t *T) {
			p := t.dial()
			p.send(preface[:4])
			p.halt()
			p.wantSilentClose(patience)
		}},
		{"preface/nothing-at-all", "3.6", func(t *T) {
			p := t.dial()
			p.halt()
			p.wantSilentClose(patience)
		}},
		{"preface/http", "3.2", func(t *T) {
			p := t.dial()
			p.send(raw("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
			p.nc.SetReadDeadline(time.Now().Add(patience))
			b, err := p.r.Peek(5)
			if len(b) > 0 && string(b) != "HTTP/" {
				t.failf("a close without a word, or HTTP", "% x, %v", b, err)
			}
		}},
		{"preface/tls", "3.2", func(t *T) {
			p := t.dial()
			p.send(raw{0x16, 0x03, 0x01, 0x00, 0xc8, 0x01, 0x00, 0x00, 0xc4, 0x03, 0x03})
			p.wantSilentClose(t.beforeTimeout())
		}},
		{"preface/wrong-at-once", "3.2", func(t *T) {
			p := t.dial()
			p.send(raw{preface[0], 'S'})
			p.wantSilentClose(t.beforeTimeout())
		}},
	}
	for i := range 7 {
		cases = append(cases, testCase{fmt.Sprintf("preface/byte-%d", i), "3.2", func(t *T) {
			b := slices.Clone(preface)
			b[i] ^= 0x20
			p := t.dial()
			p.send(b)
			p.wantSilentClose(t.beforeTimeout())
		}})
	}
	for _, version := range []byte{0, 2, 255} {
		cases = append(cases, testCase{fmt.Sprintf("preface/version-%d", version), "19.1", func(t *T) {
			b := slices.Clone(preface)
			b[7] = version
			p := t.dial()
			p.send(b)
			p.wantPreface()
			if f := p.wantGoAway(eVersion); p.theirs != nil || f.id != 0 {
				t.failf("GOAWAY(VERSION) of no stream and no SETTINGS", "%v after SETTINGS %v", f, p.theirs)
			}
		}})
	}
	return cases
}

// beforeTimeout is a time in which a server that waits for its timeout has not
// closed yet.
func (t *T) beforeTimeout() time.Duration { return t.suite.handshake * 8 / 10 }

// afterTimeout is a time in which it has.
func (t *T) afterTimeout() time.Duration { return t.suite.handshake + 2*time.Second }

func serverTimeouts() []testCase {
	silent := func(sent raw) func(*T) {
		return func(t *T) {
			start := time.Now()
			p := t.dial()
			p.send(sent)
			p.wantSilentClose(t.afterTimeout())
			if d := time.Since(start); d < t.suite.handshake*8/10 {
				t.failf(fmt.Sprintf("a close after %v", t.suite.handshake), "one after %v", d)
			}
		}
	}
	loud := func(sent raw) func(*T) {
		return func(t *T) {
			p := t.dial()
			p.send(preface, sent)
			p.wantPreface()
			p.wantSettings()
			f, err := p.tryNext(t.afterTimeout())
			if err != nil || f.typ != tGoAway || f.code != eTimeout {
				t.failf("GOAWAY(TIMEOUT)", "%v, %v", f, err)
			}
			p.wantEnd("the end of the connection")
		}
	}
	s := settingsFrame(kMaxStreams, 100).wire()
	return []testCase{
		{"timeout/silence", "3.2", silent(nil)},
		{"timeout/part-of-preface", "3.2", silent(preface[:5])},
		{"timeout/drip", "3.2", func(t *T) {
			start := time.Now()
			p := t.dial()
			for _, b := range preface[:7] { // each well within the timeout, together beyond it
				if p.trySend([]byte{b}) != nil {
					break
				}
				time.Sleep(t.suite.handshake / 5)
			}
			p.wantSilentClose(t.afterTimeout())
			if d := time.Since(start); d > t.afterTimeout() {
				t.failf(fmt.Sprintf("a close after %v", t.suite.handshake), "one after %v", d)
			}
		}},
		{"timeout/no-settings", "3.2", loud(nil)},
		{"timeout/part-of-settings-header", "3.2", loud(s[:10])},
		{"timeout/part-of-settings", "3.2", loud(s[:headerSize+4])},
	}
}

func serverSettings() []testCase {
	cases := breaches("settings", settingsBreaches(), func(t *T, code uint16, frames []wire) {
		p := t.dial()
		p.send(append([]wire{preface}, frames...)...)
		p.wantPreface()
		p.wantSettings()
		p.wantGoAway(code)
	})
	cases = append(cases, testCase{"settings/first-open", "3.3", func(t *T) {
		key := t.key()
		p := t.dial()
		p.send(preface, unary(1, "Put", key))
		p.wantPreface()
		p.wantSettings()
		p.wantGoAway(eProtocol)
		t.wantRuns(key, 0)
	}})
	for name, kv := range settingsAccepted() {
		cases = append(cases, testCase{"settings/" + name, "5.1", func(t *T) { t.connect(kv...).echo(1) }})
	}
	slices.SortStableFunc(cases, func(a, b testCase) int { return strings.Compare(a.name, b.name) })
	return cases
}

// wantRuns fails the case unless Put ran n times with key, as another
// connection tells.
func (t *T) wantRuns(key string, n int) {
	if got := t.connect().call(1, "Runs", key); got != fmt.Sprint(n) {
		t.failf(fmt.Sprintf("%d runs of the handler", n), "%s", got)
	}
}

// awaitRuns waits until the handler of the key has run n times.
func (t *T) awaitRuns(key string, n int) {
	p, want, got := t.connect(), fmt.Sprint(n), ""
	for id, until := uint64(1), time.Now().Add(patience); got != want; id += 2 {
		if got = p.call(id, "Runs", key); got != want && time.Now().After(until) {
			t.failf(fmt.Sprintf("%d runs of the handler within %v", n, patience), "%s", got)
		}
	}
}
