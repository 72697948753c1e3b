package main

import (
	"fmt"
	"strings"
)

// serverFragments are messages in more than one frame.
func serverFragments() []testCase {
	m := text("0123456789")
	first := func(id uint64, n int) frame {
		return open(id, fMessage|fMore|fTotal, "Echo", total(len(m)), m[:n])
	}
	streamed := func(frames ...wire) []wire { return append([]wire{open(1, fCaller, "Sum")}, frames...) }
	more := uint16(fMessage | fCredited | fMore)
	cases := breaches("fragments", []breach{
		{"beyond-total", "9.2", eProtocol, []wire{first(1, 5), data(1, fMessage|fMore, m)}},
		{"beyond-total-at-once", "9.2", eProtocol, []wire{open(1, fMessage|fMore|fTotal, "Echo", total(3), m)}},
		{"beyond-total-in-last", "9.2", eProtocol, []wire{first(1, 5), data(1, fMessage|fHalfClose, m)}},
		{"short-of-total", "9.2", eProtocol, []wire{first(1, 5), data(1, fMessage|fHalfClose, m[5:8])}},
		{"empty-middle", "9.2", eProtocol, []wire{first(1, 5), data(1, fMessage|fMore)}},
		{"total-again", "9.2", eProtocol, []wire{first(1, 5), data(1, fMessage|fMore|fTotal, total(len(m)), m[5:6])}},
		{"format-again", "9.1", eProtocol, []wire{first(1, 5), data(1, fMessage|fHalfClose, m[5:]).withFormat(1)}},
		{"credited-single", "5.6", eProtocol, []wire{first(1, 5), data(1, fMessage|fHalfClose|fCredited, m[5:])}},
		{"last-without-half-close", "5.6", eProtocol, []wire{first(1, 5), data(1, fMessage, m[5:])}},
		{"half-close-without-message", "5.6", eProtocol, []wire{first(1, 5), halfClose(1)}},
		{"stream-beyond-total", "9.2", eProtocol, streamed(data(1, more|fTotal, total(6), m[:3]), data(1, fMessage|fCredited, m[3:9]))},
		{"stream-short-of-total", "9.2", eProtocol, streamed(data(1, more|fTotal, total(6), m[:3]), data(1, fMessage|fCredited, m[3:5]))},
		{"stream-total-again", "9.2", eProtocol, streamed(data(1, more|fTotal, total(6), m[:3]), data(1, more|fTotal, total(6), m[3:4]))},
		{"stream-format-again", "9.1", eProtocol, streamed(data(1, more|fTotal, total(6), m[:3]), data(1, fMessage|fCredited, m[3:6]).withFormat(0x10))},
		{"stream-not-credited", "5.6", eProtocol, streamed(data(1, more|fTotal, total(6), m[:3]), data(1, fMessage, m[3:6]))},
	}, breakServer)
	whole := func(send func(p *peer)) func(*T) {
		return func(t *T) {
			p := t.connect()
			send(p)
			p.want(1, "0123456789")
		}
	}
	return append(cases, []testCase{
		{"fragments/three", "9.2", whole(func(p *peer) {
			p.send(first(1, 4), data(1, fMessage|fMore, m[4:7]), data(1, fMessage|fHalfClose, m[7:]))
		})},
		{"fragments/last-empty", "9.2", whole(func(p *peer) {
			p.send(first(1, 4), data(1, fMessage|fMore, m[4:]), data(1, fMessage|fHalfClose))
		})},
		{"fragments/byte-by-byte", "9.2", whole(func(p *peer) {
			p.send(first(1, 1))
			for _, b := range m[1:] {
				p.send(data(1, fMessage|fMore, []byte{b}))
			}
			p.send(data(1, fMessage|fHalfClose))
		})},
		{"fragments/interleaved", "9.2", func(t *T) {
			p := t.connect()
			p.send(first(1, 4))
			p.echo(3)
			p.send(first(5, 7), data(1, fMessage|fMore, m[4:6]), open(7, fCaller, "Sum"), message(7, "abc"), data(5, fMessage|fHalfClose, m[7:]))
			p.want(5, "0123456789")
			p.send(data(1, fMessage|fHalfClose, m[6:]), halfClose(7))
			p.want(1, "0123456789")
			p.want(7, "1 3")
		}},
		{"fragments/stream", "9.2", func(t *T) {
			p := t.connect()
			p.send(open(1, fCaller|fCallee, "Chat"), data(1, more|fTotal, total(len(m)), m[:3]))
			p.echo(3)
			p.send(data(1, more, m[3:4]), data(1, fMessage|fCredited, m[4:]), message(1, "next"), halfClose(1))
			if r := p.wantStatus(1, sOK); strings.Join(r.messages, ",") != "0123456789,next" {
				t.failf("both messages", "%v", r)
			}
		}},
		{"fragments/stream-last-half-closes", "9.2", func(t *T) {
			p := t.connect()
			p.send(open(1, fCaller, "Sum"), data(1, more|fTotal, total(len(m)), m[:3]), data(1, fMessage|fCredited|fHalfClose, m[3:]))
			p.want(1, "1 10")
		}},
		{"fragments/answer", "9.2", func(t *T) {
			p := t.connect()
			s := strings.Repeat("a large message. ", 12000)
			p.sendLarge(1, "Echo", s)
			if r := p.want(1, s); r.frames < 2 {
				t.failf("an answer in fragments", "%d frames", r.frames)
			}
		}},
		{"fragments/cancelled", "5.8", func(t *T) {
			p := t.connect()
			p.send(first(1, 4), cancel(1, sCancelled), data(1, fMessage|fHalfClose, m[4:]))
			p.fence()
			p.echo(3)
		}},
		{"fragments/server-interleaves", "9.2", func(t *T) {
			p := t.connect()
			large := strings.Repeat("l", 2<<20)
			if len(large) > int(p.theirs[kMaxMessage])-10 {
				t.na("MAX_MESSAGE is below 2 MiB")
			}
			p.sendLarge(1, "Echo", large)
			p.send(unary(3, "Echo", "small"))
			p.want(3, "small")
			p.want(1, large)
		}},
	}...)
}

// sendLarge sends a call whose request needs more than one frame.
func (p *peer) sendLarge(id uint64, method, s string) {
	m := text(s)
	size := len(m)
	f := open(id, fMessage|fMore|fTotal, method, total(size), m[:60000])
	for m = m[60000:]; len(m) > 60000; m = m[60000:] {
		p.send(f)
		f = data(id, fMessage|fMore, m[:60000])
	}
	p.send(f, data(id, fMessage|fHalfClose, m))
}

// serverSizes are declarations above a limit.
func serverSizes() []testCase {
	return []testCase{
		{"size/request", "9.3", func(t *T) {
			p := t.connect()
			n := int(p.theirs[kMaxMessage]) + 1
			p.send(open(1, fMessage|fMore|fTotal, "Echo", total(n), []byte("x")))
			if r := p.wantRefusal(1, sResourceExhausted); r.pushBack != never {
				t.failf("push-back \"never\"", "%v", r)
			}
			p.send(data(1, fMessage|fMore, make([]byte, 1000)), data(1, fMessage|fHalfClose, []byte("end")))
			p.fence()
			p.echo(3)
		}},
		{"size/request-huge", "9.3", func(t *T) {
			p := t.connect()
			p.send(open(1, fMessage|fMore|fTotal, "Echo", total(never), []byte("x")))
			p.wantRefusal(1, sResourceExhausted)
			p.echo(3)
		}},
		{"size/stream-message", "9.3", func(t *T) {
			p := t.connect()
			p.send(open(1, fCaller, "Sum"), message(1, "fine"))
			p.send(data(1, fMessage|fCredited|fMore|fTotal, total(int(p.theirs[kMaxMessage])+1), []byte("x")))
			p.wantStatus(1, sResourceExhausted)
			p.send(message(1, "late"), halfClose(1))
			p.fence()
			p.echo(3)
		}},
		{"size/unfinished-cost-nothing", "3.5", func(t *T) {
			p := t.connect()
			for i := range uint64(16) {
				p.send(open(2*i+1, fMessage|fMore|fTotal, "Echo", total(int(p.theirs[kMaxMessage])), []byte("x")))
			}
			p.echo(101)
		}},
		{"size/name-512", "6", func(t *T) {
			p := t.connect()
			p.send(open(1, fMessage|fHalfClose, service+strings.Repeat("x", 512-len(service))))
			p.wantRefusal(1, sUnimplemented)
			p.echo(3)
		}},
		{"size/metadata", "12", func(t *T) {
			p := t.connect()
			n := int(p.theirs[kMaxMetadata])
			p.send(unaryMeta(1, "Meta", "", "a", strings.Repeat("v", n)))
			if r := p.wantRefusal(1, sResourceExhausted); r.pushBack != never {
				t.failf("push-back \"never\"", "%v", r)
			}
			p.echo(3)
		}},
		{"size/metadata-just-fits", "12", func(t *T) {
			p := t.connect()
			n := int(p.theirs[kMaxMetadata]) - 4 // lengths and key
			v := strings.Repeat("v", n)
			p.send(unaryMeta(1, "Meta", "", "a", v))
			p.want(1, "a="+v+"\n")
			p.send(unaryMeta(3, "Meta", "", "a", v+"v"))
			p.wantRefusal(3, sResourceExhausted)
		}},
		{"size/metadata-entries", "12", func(t *T) {
			p := t.connect()
			var kv []string
			want := ""
			for i := range 64 {
				kv = append(kv, fmt.Sprint("k", i), "v")
				want += fmt.Sprintf("k%d=v\n", i)
			}
			p.send(unaryMeta(1, "Meta", "", kv...))
			p.want(1, want)
			p.send(unaryMeta(3, "Meta", "", append(kv, "k64", "v")...))
			if r := p.wantRefusal(3, sResourceExhausted); r.pushBack != never {
				t.failf("push-back \"never\"", "%v", r)
			}
		}},
	}
}

func serverMetadata() []testCase {
	refused := func(key, value string) func(*T) {
		return func(t *T) {
			k := t.key()
			p := t.connect()
			p.send(unaryMeta(1, "Put", k, key, value))
			p.wantRefusal(1, sInvalidArgument)
			p.echo(3)
			t.wantRuns(k, 0)
		}
	}
	return []testCase{
		{"metadata/key-empty", "12", refused("", "v")},
		{"metadata/key-upper-case", "12", refused("Key", "v")},
		{"metadata/key-space", "12", refused("a b", "v")},
		{"metadata/key-utf8", "12", refused("ü", "v")},
		{"metadata/key-colon", "12", refused(":path", "v")},
		{"metadata/value-cr", "12", refused("k", "a\rb")},
		{"metadata/value-lf", "12", refused("k", "a\nb")},
		{"metadata/value-nul", "12", refused("k", "a\x00b")},
		{"metadata/order-and-repeats", "12", func(t *T) {
			p := t.connect()
			p.send(unaryMeta(1, "Meta", "", "b", "1", "a", "2", "b", "3", "empty", "", "x.y_z-0", "é"))
			p.want(1, "b=1\na=2\nb=3\nempty=\nx.y_z-0=é\n")
		}},
		{"metadata/binary", "12", func(t *T) {
			p := t.connect()
			p.send(unaryMeta(1, "Meta", "", "k-bin", "\x00\r\n\xff"))
			p.want(1, "k-bin=\x00\r\n\xff\n")
		}},
		{"metadata/not-utf8", "12", func(t *T) {
			p := t.connect()
			p.send(unaryMeta(1, "Meta", "", "k", "\xff\x01"))
			p.want(1, "k=\xff\x01\n")
		}},
		{"metadata/empty-block", "6", func(t *T) {
			p := t.connect()
			p.send(unaryMeta(1, "Meta", ""))
			p.want(1, "")
		}},
		{"metadata/reserved-dropped", "12", func(t *T) {
			p := t.connect()
			p.send(unaryMeta(1, "Meta", "", "rpcx-priority", "7", "a", "1", "rpcx-", "x", "rpcxa", "2"))
			p.want(1, "a=1\nrpcxa=2\n")
		}},
		{"metadata/of-answer", "12", func(t *T) {
			p := t.connect()
			p.send(unaryMeta(1, "Meta", "", "h-a", "1", "t-b", "2", "h-c-bin", "\x00", "h-a", "3"))
			r := p.want(1, "h-a=1\nt-b=2\nh-c-bin=\x00\nh-a=3\n")
			if fmt.Sprintf("%q %q", r.headers, r.trailers) != `["h-a" "1" "h-c-bin" "\x00" "h-a" "3"] ["t-b" "2"]` {
				t.failf("headers and trailers in order", "%q, %q", r.headers, r.trailers)
			}
		}},
		{"metadata/of-stream", "12", func(t *T) {
			p := t.connect()
			p.send(open(1, fCallee|fHalfClose|fMessage, "Count", text("3 1")))
			r := p.wantStatus(1, sOK)
			if fmt.Sprintf("%q %q", r.headers, r.trailers) != `["h-count" "3"] ["t-count" "3"]` {
				t.failf("headers and trailers", "%q, %q", r.headers, r.trailers)
			}
		}},
		{"metadata/route-ignored", "11.3", func(t *T) {
			p := t.connect()
			sections := join([]byte{1, 2, 3, 4, 5, 6, 7, 8}, lengthed([]byte(path("Meta"))), block("a", "b"))
			p.send(openID(1, 0, fRoute|fName|fHeaders|fMessage|fHalfClose, sections))
			p.want(1, "a=b\n")
		}},
	}
}
