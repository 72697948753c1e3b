package main

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// serverCalls are deadlines, cancels, errors and slots.
func serverCalls() []testCase {
	// ended cancels a call in some way and returns why its context ended.
	ended := func(t *T, end func(p *peer, id uint64), change func(frame) frame) string {
		p, key := t.connect(), t.key()
		f := unary(1, "Wait", key)
		if change != nil {
			f = change(f)
		}
		p.send(f)
		watch := t.connect()
		watch.call(1, "Began", key)
		end(p, 1)
		return watch.call(3, "Ended", key)
	}
	return []testCase{
		{"deadline/none", "11.1", func(t *T) {
			if got := t.connect().call(1, "Remaining", ""); got != "none" {
				t.failf("no deadline", "%s", got)
			}
		}},
		{"deadline/counted-from-open", "11.1", func(t *T) {
			p := t.connect()
			for i, d := range []uint32{100_000, 5_000_000, math.MaxUint32} {
				id := uint64(2*i + 1)
				p.send(unary(id, "Remaining", "").withArg(d))
				r := p.wantStatus(id, sOK)
				left, err := strconv.ParseInt(r.messages[0], 10, 64)
				if most := int64(d) / 10; err != nil || left > most || left < most-5000 {
					t.failf(fmt.Sprintf("about %d ms left", most), "%q", r.messages[0])
				}
			}
		}},
		{"deadline/ends-context", "11.1", func(t *T) {
			if got := ended(t, func(*peer, uint64) {}, func(f frame) frame { return f.withArg(1000) }); got != "DEADLINE_EXCEEDED" {
				t.failf("DEADLINE_EXCEEDED", "%s", got)
			}
		}},
		{"deadline/answered", "11.1", func(t *T) {
			p := t.connect()
			p.send(unary(1, "Wait", t.key()).withArg(500))
			if r := p.wantStatus(1, sDeadlineExceeded); r.notRun {
				t.failf("a call that may have run", "%v", r)
			}
			p.echo(3)
		}},
		{"deadline/class-is-taken", "11.2", func(t *T) {
			p := t.connect()
			for i, class := range []byte{0x20, 0xE0, 0x1C, 0x03, 0xFF} {
				id := uint64(2*i + 1)
				p.send(unary(id, "Echo", "x").withClass(class))
				p.want(id, "x")
			}
		}},
		{"cancel/ends-context", "5.8", func(t *T) {
			got := ended(t, func(p *peer, id uint64) { p.send(cancel(id, sCancelled)); p.fence() }, nil)
			if got != "CANCELLED" {
				t.failf("CANCELLED", "%s", got)
			}
		}},
		{"cancel/no-answer", "5.8", func(t *T) {
			p, key := t.connect(), t.key()
			p.send(unary(1, "Hold", key))
			p.call(3, "Began", key)
			p.send(cancel(1, sDeadlineExceeded))
			p.fence()
			p.call(5, "Release", key)
			p.echo(7)
			p.fence()
		}},
		{"cancel/every-status", "5.8", func(t *T) {
			p, key := t.connect(), t.key()
			for status := uint16(1); status <= 16; status++ {
				id := 2*uint64(status) - 1
				p.send(open(id, fCaller, "Lazy"), message(id, key), cancel(id, status))
			}
			p.fence()
			p.echo(101)
		}},
		{"cancel/by-end-of-connection", "3.6", func(t *T) {
			if got := ended(t, func(p *peer, _ uint64) { p.halt(); p.wantEnd("the end") }, nil); got != "CANCELLED" {
				t.failf("CANCELLED", "%s", got)
			}
		}},
		{"cancel/by-reset", "3.6", func(t *T) {
			if got := ended(t, func(p *peer, _ uint64) { _ = p.nc.SetLinger(0); p.nc.Close() }, nil); got != "CANCELLED" {
				t.failf("CANCELLED", "%s", got)
			}
		}},
		{"cancel/by-connection-error", "3.6", func(t *T) {
			if got := ended(t, func(p *peer, _ uint64) { p.send(frame{}); p.wantGoAway(eProtocol) }, nil); got != "CANCELLED" {
				t.failf("CANCELLED", "%s", got)
			}
		}},
		{"cancel/by-goaway", "3.6", func(t *T) {
			got := ended(t, func(p *peer, _ uint64) { p.send(goAway(0, eInternal, "gone")); p.wantEnd("the end") }, nil)
			if got != "CANCELLED" {
				t.failf("CANCELLED", "%s", got)
			}
		}},
		{"errors/every-status", "13.1", func(t *T) {
			p := t.connect()
			for status := uint16(1); status <= 16; status++ {
				id := 2*uint64(status) - 1
				p.send(unary(id, "Fail", fmt.Sprintf("%d 0 - status %d", status, status)))
				if r := p.wantStatus(id, status); r.notRun || r.pushBack != 0 || r.text != fmt.Sprint("status ", status) || len(r.details) != 0 {
					t.failf("the handler's error and no NOT_RUN", "%v", r)
				}
			}
		}},
		{"errors/push-back", "13.4", func(t *T) {
			p := t.connect()
			p.send(unary(1, "Fail", "14 250 - later"), unary(3, "Fail", "8 never - not again"))
			if r := p.wantStatus(1, sUnavailable); r.pushBack != 250 {
				t.failf("push-back 250", "%v", r)
			}
			if r := p.wantStatus(3, sResourceExhausted); r.pushBack != never {
				t.failf("push-back never", "%v", r)
			}
		}},
		{"errors/details", "6", func(t *T) {
			p := t.connect()
			p.send(unary(1, "Fail", "9 0 why of what"))
			r := p.wantStatus(1, 9)
			if len(r.details) != 2 || !strings.HasSuffix(r.details[0], "/google.protobuf.BytesValue") || !bytes.Equal([]byte(r.details[1]), text("why")) {
				t.failf("one detail with \"why\"", "%q", r.details)
			}
		}},
		{"errors/long-message-cut", "6", func(t *T) {
			p := t.connect()
			p.send(unary(1, "Fail", "9 0 why "+strings.Repeat("äöü", 6000)))
			r := p.wantStatus(1, 9)
			if len(r.text) < 1000 || !strings.HasPrefix(strings.Repeat("äöü", 6000), r.text) || len(r.details) != 2 {
				t.failf("a text cut between characters, and the detail", "%d bytes, %d details", len(r.text), len(r.details)/2)
			}
		}},
		{"errors/of-stream", "5.7", func(t *T) {
			p := t.connect()
			p.send(open(1, fCallee|fHalfClose|fMessage, "Count", text("2 5 10")))
			if r := p.wantStatus(1, sAborted); len(r.messages) != 2 || r.notRun {
				t.failf("two messages, then ABORTED", "%v", r)
			}
		}},
		{"errors/panic", "20", func(t *T) {
			p := t.connect()
			p.send(unary(1, "Panic", "a secret"))
			if r := p.wantStatus(1, sInternal); strings.Contains(r.text, "secret") || r.notRun {
				t.failf("INTERNAL with a fixed text", "%v", r)
			}
			p.echo(3)
		}},
		{"not-run/of-refusals", "13.2", func(t *T) {
			p, key := t.connect(), t.key()
			p.send(
				unaryMeta(1, "Put", key, "K", ""),
				open(3, fMessage|fMore|fTotal, "Put", total(uint32(1<<31)), text(key)),
				open(5, fCallee|fHalfClose|fMessage, "Put", text(key)),
			)
			p.wantRefusal(1, sInvalidArgument)
			p.wantRefusal(3, sResourceExhausted)
			p.wantRefusal(5, sUnimplemented)
			t.wantRuns(key, 0)
			p.call(7, "Put", key)
			t.wantRuns(key, 1)
		}},
		{"not-run/of-undecodable", "13.2", func(t *T) {
			p, key := t.connect(), t.key()
			p.send(open(1, fHalfClose|fMessage, "Put", text(key), []byte{0x0a, 0x7f}))
			p.wantStatus(1, sInvalidArgument)
			t.wantRuns(key, 0)
		}},
		{"slots/held-until-handler-returns", "7.4", slotsHeld},
		{"slots/many-waiting", "7.4", func(t *T) {
			p, key := t.connect(), t.key()
			n := uint64(min(p.theirs[kMaxStreams], 200)) - 1
			for i := range n {
				p.send(unary(2*i+1, "Hold", key))
			}
			p.send(unary(2*n+1, "Release", key))
			for i := range n + 1 {
				p.want(2*i+1, key)
			}
		}},
	}
}

// slotsHeld takes all slots, cancels the calls, and finds the slots taken until
// the handlers have returned.
func slotsHeld(t *T) {
	p, key := t.connect(), t.key()
	n := uint64(p.theirs[kMaxStreams])
	if n > 10000 {
		t.na("MAX_STREAMS is %d: too many to open", n)
	}
	for i := range n {
		p.send(unary(2*i+1, "Hold", key))
	}
	id := 2*n + 1
	p.send(unary(id, "Echo", "x"))
	p.wantRefusal(id, sResourceExhausted)
	t.awaitRuns(key, int(n))     // a call that is cancelled before it began need not run
	for i := range min(n, 500) { // not so many that it is a flood
		p.send(cancel(2*i+1, sCancelled))
	}
	id += 2
	p.send(unary(id, "Echo", "x"))
	p.wantRefusal(id, sResourceExhausted)
	t.connect().call(1, "Release", key)
	for until := time.Now().Add(patience); ; {
		id += 2
		p.send(unary(id, "Echo", "x"))
		if r := p.result(id); r.status == sOK {
			break
		} else if r.status != sResourceExhausted || time.Now().After(until) {
			t.failf("a free slot once the handlers have returned", "%v", r)
		}
	}
	t.wantRuns(key, int(n))
}
