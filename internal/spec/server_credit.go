package main

import (
	"fmt"
	"strings"
)

func serverCredit() []testCase {
	return []testCase{
		{"credit/stream-filled", "10", func(t *T) {
			p := t.connect()
			key := p.lazy(1)
			left := p.fill(1, int64(p.theirs[kStreamCredit])-p.spent(key))
			p.fence()
			if left != 0 {
				t.failf("that the stream's credit can be used up to its last byte", "%d left", left)
			}
			p.release(3, key)
			p.send(halfClose(1))
			p.wantStatus(1, sOK)
		}},
		{"credit/stream-overdrawn", "10", func(t *T) {
			p := t.connect()
			key := p.lazy(1)
			left := int64(p.theirs[kStreamCredit]) - p.spent(key)
			p.fill(1, left-10)
			p.send(message(1, ""))
			p.wantGoAway(eFlowControl)
		}},
		{"credit/stream-overdrawn-at-once", "10", func(t *T) {
			p := t.connect()
			key := p.lazy(1)
			p.send(repeat(int(p.theirs[kStreamCredit]/60000)+1, message(1, strings.Repeat("x", 60000))))
			p.wantGoAway(eFlowControl)
			_ = key
		}},
		{"credit/connection-overdrawn", "10", func(t *T) {
			p := t.connect()
			window, each := int64(p.theirs[kConnCredit]), int64(p.theirs[kStreamCredit])
			id := uint64(1)
			for ; window > 0; id += 4 {
				key := p.lazy(id)
				window -= p.spent(key)
				n := min(each-p.spent(key), window)
				if n < 100 {
					break
				}
				window -= n - p.fill(id, n)
				p.fence() // up to here all is covered
			}
			key := p.lazyUnsafe(id + 4)
			p.send(message(id+4, key), message(id+4, strings.Repeat("y", 2000)))
			p.wantGoAway(eFlowControl)
		}},
		{"credit/granted-when-taken", "10", func(t *T) {
			p := t.connect()
			p.send(open(1, fCaller, "Sum"))
			n, size := p.stream(1, 4*int64(p.theirs[kStreamCredit]), 10000)
			p.send(halfClose(1))
			p.want(1, fmt.Sprintf("%d %d", n, size))
		}},
		{"credit/granted-beyond-connection", "10", func(t *T) {
			p := t.connect()
			p.send(open(1, fCaller, "Sum"))
			n, size := p.stream(1, 2*int64(p.theirs[kConnCredit]), 16000)
			p.send(halfClose(1))
			p.want(1, fmt.Sprintf("%d %d", n, size))
		}},
		{"credit/message-larger-than-window", "10", func(t *T) {
			p := t.connect()
			size := int(p.theirs[kStreamCredit]) + int(p.theirs[kConnCredit])
			if size > int(p.theirs[kMaxMessage]) {
				t.na("MAX_MESSAGE is below the windows")
			}
			p.send(open(1, fCaller, "Sum"))
			m := text(strings.Repeat("z", size-10))
			p.streamMessage(1, m, 16000)
			p.send(halfClose(1))
			p.want(1, fmt.Sprintf("1 %d", size-10))
		}},
		{"credit/returned-by-cancel", "10", func(t *T) {
			p := t.connect()
			window := int64(p.theirs[kConnCredit])
			id := uint64(1)
			for sent := int64(0); sent < 3*window; id += 4 {
				key := t.key()
				m := message(id, strings.Repeat("c", 30000))
				cost := int64(len(m.wire())) + p.spent(key)
				p.waitCredit(0, sent+cost-window)
				p.send(open(id, fCaller, "Lazy"), message(id, key), m, cancel(id, sCancelled))
				sent += cost
			}
			p.echo(id)
		}},
		{"credit/returned-by-early-answer", "10", func(t *T) {
			p := t.connect()
			p.send(open(1, fCaller, "Early"))
			p.want(1, "early")
			p.pour(1, 2*int64(p.theirs[kConnCredit]))
			p.echo(3)
		}},
		{"credit/returned-by-refusal", "10", func(t *T) {
			p := t.connect()
			p.send(open(1, fCaller, "NoSuchMethod"))
			p.wantRefusal(1, sUnimplemented)
			p.pour(1, 2*int64(p.theirs[kConnCredit]))
			p.echo(3)
		}},
		{"credit/unread-holds-no-unary", "10", func(t *T) {
			p := t.connect()
			window := int64(p.theirs[kConnCredit])
			id := uint64(1)
			for window > int64(p.theirs[kStreamCredit]) {
				key := p.lazy(id)
				window -= p.spent(key)
				n := int64(p.theirs[kStreamCredit]) - p.spent(key)
				window -= n - p.fill(id, n)
				id += 4
			}
			s := strings.Repeat("u", 50000)
			p.send(unary(id, "Echo", s))
			p.want(id, s)
		}},
		{"credit/for-no-stream", "10", func(t *T) {
			p := t.connect()
			key := t.key()
			p.send(unary(1, "Hold", key), credit(1, 1<<31-1), credit(1, 1<<31-1))
			p.fence()
			p.call(3, "Release", key)
			p.want(1, key)
		}},
		{"credit/server-obeys-stream", "10", func(t *T) {
			p := t.connect(kStreamCredit, 65536)
			p.send(open(1, fCallee|fHalfClose|fMessage, "Count", text("40 9000")))
			p.drawn(1, 65536, 9000)
			p.send(credit(1, 200000), credit(1, 200000))
			p.wantNumbered(1, 40, 9000)
		}},
		{"credit/server-obeys-connection", "10", func(t *T) {
			p := t.connect(kConnCredit, 65536)
			p.send(open(1, fCallee|fHalfClose|fMessage, "Count", text("20 9000")))
			p.drawn(1, 65536, 9000)
			p.echo(3)
			p.send(credit(0, 200000))
			p.wantNumbered(1, 20, 9000)
		}},
		{"credit/server-needs-no-more-than-a-quarter", "10", func(t *T) {
			p := t.connect(kStreamCredit, 65536)
			p.send(open(1, fCallee|fHalfClose|fMessage, "Count", text("2 60000")))
			p.drawn(1, 65536, 60000)
			left := p.streams[1].credit
			p.send(credit(1, uint32(16384-left)))
			if f := p.of(1); f.typ != tData || !f.has(fMessage) {
				t.failf("a fragment within a quarter of the window", "%v", f)
			}
		}},
		{"credit/cancelled-while-blocked", "10", func(t *T) {
			p := t.connect(kStreamCredit, 65536)
			p.send(open(1, fCallee|fHalfClose|fMessage, "Count", text("40 9000")))
			p.drawn(1, 65536, 9000)
			p.send(cancel(1, sCancelled))
			p.sync("cancelled")
			p.pending = nil // what was on its way
			p.send(credit(1, 1<<20))
			p.fence()
			p.echo(3)
		}},
	}
}

// lazy opens a call of Lazy and sends its key; id and the two after it are used.
func (p *peer) lazy(id uint64) string {
	key := p.lazyUnsafe(id)
	p.send(message(id, key))
	p.call(id+2, "Began", key)
	return key
}

func (p *peer) lazyUnsafe(id uint64) string {
	p.send(open(id, fCaller, "Lazy"))
	return p.t.key()
}

func (p *peer) release(id uint64, key string) { p.call(id+2, "Release", key) }

// spent is what a message with key costs.
func (p *peer) spent(key string) int64 { return int64(len(message(1, key).wire())) }

// fill sends messages that cost n bytes in all and returns what is left of n,
// which is less than any frame costs.
func (p *peer) fill(id uint64, n int64) int64 {
	for n > headerSize {
		size := min(n-headerSize, 30000)
		if rest := n - headerSize - size; rest > 0 && rest <= headerSize {
			size -= headerSize + 1 // for a last frame
		}
		// A message of size bytes, or fewer where that size has no encoding.
		m := text(strings.Repeat("f", max(int(size)-2, 0)))
		for len(m) > int(size) {
			s, _ := untext(m)
			m = text(s[1:])
		}
		if len(m) == 0 || size < 3 {
			m = nil
		}
		f := data(id, fMessage|fCredited, m)
		p.send(f)
		n -= int64(len(f.wire()))
	}
	return n
}

// stream sends messages of size bytes that cost at least n, as the credit of
// stream and connection allows. It returns how many, and the bytes in them.
func (p *peer) stream(id uint64, n int64, size int) (messages, bytes int) {
	m := message(id, strings.Repeat("s", size))
	cost := int64(len(m.wire()))
	for sent := int64(0); sent < n; sent += cost {
		p.waitCredit(id, sent+cost-int64(p.theirs[kStreamCredit]))
		p.waitCredit(0, sent+cost-int64(p.theirs[kConnCredit]))
		p.send(m)
		messages++
		bytes += size
	}
	return messages, bytes
}

// streamMessage sends one message in fragments, as credit allows.
func (p *peer) streamMessage(id uint64, m []byte, fragment int) {
	sent, size := int64(0), len(m)
	for first := true; len(m) > 0; first = false {
		n := min(fragment, len(m))
		f := data(id, fMessage|fCredited, m[:n])
		if first {
			f = data(id, fMessage|fCredited|fTotal, total(size), m[:n])
		}
		if m = m[n:]; len(m) > 0 {
			f.flags |= fMore
		}
		cost := int64(len(f.wire()))
		p.waitCredit(id, sent+cost-int64(p.theirs[kStreamCredit]))
		p.waitCredit(0, sent+cost-int64(p.theirs[kConnCredit]))
		p.send(f)
		sent += cost
	}
}

// drawn reads the answer to Count, with messages of size bytes, until what is
// left of n bytes of credit covers neither another message nor a quarter of n.
// The frames are put aside.
func (p *peer) drawn(id uint64, n, size int64) {
	for left := n; left >= min(size+headerSize+4, n/4); {
		f := p.of(id)
		if f.has(fCredited) {
			left -= int64(headerSize + len(f.payload))
		}
		p.held = append(p.held, f)
	}
	p.sync("drawn")
	p.held, p.pending = append(p.held, p.pending...), nil
}

// wantNumbered reads the answer to Count.
func (p *peer) wantNumbered(id uint64, n, size int) {
	p.pending, p.held = append(p.held, p.pending...), nil
	r := p.result(id)
	if r.status != sOK || len(r.messages) != n {
		p.t.failf(fmt.Sprintf("OK and %d messages", n), "%d messages, %v", len(r.messages), r)
	}
	for i, m := range r.messages {
		want := fmt.Sprint(i)
		want += strings.Repeat(".", max(size-len(want), 0))
		if m != want {
			p.t.failf(fmt.Sprintf("%.20q in its place", want), "message %d is %.20q of %d bytes", i, m, len(m))
		}
	}
}
