package main

import (
	"fmt"
	"slices"
	"strings"
)

// clientAnswers are what a client makes of the ways in which a call ends.
func clientAnswers() []testCase {
	// ends has a call end by frames, and returns its result.
	ends := func(t *T, frames ...wire) (event, *peer) {
		c, p, _ := t.put()
		p.send(frames...)
		return c.result("put"), p
	}
	// wants makes a case of a call that ends by frames with a status; cancelled
	// is what the client sends CANCEL with, 0 for none.
	wants := func(status, cancelled uint16, frames ...wire) func(*T) {
		return func(t *T) {
			e, p := ends(t, frames...)
			if e.Status != status || e.NotRun {
				t.failf(fmt.Sprintf("status %d, may have run", status), "%v", e)
			}
			if cancelled != 0 {
				if f := p.next(); f.typ != tCancel || f.code != cancelled {
					t.failf(fmt.Sprintf("CANCEL(%d)", cancelled), "%v", f)
				}
			}
			p.fence()
		}
	}
	large := strings.Repeat("v", 8192)
	var many []string
	for i := range 65 {
		many = append(many, fmt.Sprint("k", i), "v")
	}
	tooMuch := func(f frame) frame { f.payload = total(never); f.payload = append(f.payload, 'x'); return f }
	return []testCase{
		{"answers/every-status", "13.1", func(t *T) {
			c, p, id := t.put()
			p.send(closing(id, 1, fDetail, detail("status 1")))
			e := c.result("put")
			for status := uint16(1); ; status++ {
				if e.Status != status || e.Message != fmt.Sprint("status ", status) || e.NotRun || e.Never || e.RetryMS != 0 {
					t.failf(fmt.Sprintf("status %d, may have run", status), "%v", e)
				}
				if status == 16 {
					return
				}
				c.do(command{Do: "call", Call: "next", Method: "Put"})
				p.send(closing(p.wantOpen("Put").id, status+1, fDetail, detail(fmt.Sprint("status ", status+1))))
				e = c.result("next")
			}
		}},
		{"answers/without-detail", "5.7", func(t *T) {
			if e, _ := ends(t, closing(1, sAborted, 0)); e.Status != sAborted || e.Message != "" {
				t.failf("ABORTED without a message", "%v", e)
			}
		}},
		{"answers/not-run", "13.2", func(t *T) {
			if e, _ := ends(t, closing(1, sUnimplemented, fNotRun|fDetail, detail("no such method"))); e.Status != sUnimplemented || !e.NotRun {
				t.failf("UNIMPLEMENTED, never ran", "%v", e)
			}
		}},
		{"answers/push-back", "13.4", func(t *T) {
			if e, _ := ends(t, closing(1, sUnavailable, 0).withArg(250)); e.RetryMS != 250 || e.Never || e.NotRun {
				t.failf("push-back of 250 ms", "%v", e)
			}
		}},
		{"answers/push-back-never", "13.4", func(t *T) {
			if e, _ := ends(t, closing(1, sResourceExhausted, fNotRun).withArg(never)); !e.Never || !e.NotRun || e.Status != sResourceExhausted {
				t.failf("push-back never", "%v", e)
			}
		}},
		{"answers/details", "6", func(t *T) {
			e, _ := ends(t, closing(1, sAborted, fDetail, detail("why", "type.googleapis.com/a.B", "\x01\x02", "x/y", "")))
			if want := []string{"type.googleapis.com/a.B", "0102", "x/y", ""}; !slices.Equal(e.Details, want) || e.Message != "why" {
				t.failf(fmt.Sprintf("%q", want), "%v", e)
			}
		}},
		{"answers/text-not-utf8", "2", func(t *T) {
			if e, _ := ends(t, closing(1, sAborted, fDetail, detail("a\xffb"))); e.Message != "a\uFFFDb" {
				t.failf("a replacement character", "%v", e)
			}
		}},
		{"answers/metadata", "12", func(t *T) {
			e, _ := ends(t, closing(1, sOK, fHeaders|fTrailers|fMessage, block("h", "1", "k-bin", "\x00\xff", "h", "2"), block("t", "3"), text("x")))
			if !slices.Equal(e.Headers, []string{"h", "1", "k-bin", "00ff", "h", "2"}) || !slices.Equal(e.Trailers, []string{"t", "3"}) || e.Text != "x" {
				t.failf("headers and trailers in order", "%v", e)
			}
		}},
		{"answers/metadata-of-error", "12", func(t *T) {
			e, _ := ends(t, data(1, fHeaders, block("h", "1")), closing(1, sAborted, fTrailers, block("t", "3")))
			if !slices.Equal(e.Headers, []string{"h", "1"}) || !slices.Equal(e.Trailers, []string{"t", "3"}) {
				t.failf("headers and trailers", "%v", e)
			}
		}},
		{"answers/metadata-reserved", "12", func(t *T) {
			e, _ := ends(t, closing(1, sOK, fHeaders|fMessage, block("rpcx-x", "1", "a", "2"), text("x")))
			if !slices.Equal(e.Headers, []string{"a", "2"}) {
				t.failf("no entries of the runtime's", "%v", e)
			}
		}},
		{"answers/metadata-bad-key", "12", wants(sInternal, 0, closing(1, sOK, fHeaders|fMessage, block("BAD", "v"), text("x")))},
		{"answers/metadata-bad-value", "12", wants(sInternal, 0, closing(1, sOK, fTrailers|fMessage, block("k", "a\nb"), text("x")))},
		{"answers/metadata-large", "12", wants(sResourceExhausted, 0, closing(1, sOK, fHeaders|fMessage, block("k", large), text("x")))},
		{"answers/metadata-many", "12", wants(sResourceExhausted, 0, closing(1, sOK, fTrailers|fMessage, block(many...), text("x")))},
		{"answers/metadata-bad-key-early", "12", wants(sInternal, sInternal, data(1, fHeaders, block("BAD", "v")))},
		{"answers/metadata-large-early", "12", wants(sResourceExhausted, sResourceExhausted, data(1, fHeaders, block("k", large)))},
		{"answers/metadata-bad-in-error", "12", wants(sAborted, 0, closing(1, sAborted, fTrailers, block("BAD", "v")))},
		{"answers/metadata-large-in-error", "12", wants(sAborted, 0, closing(1, sAborted, fTrailers, block("k", large)))},
		{"answers/too-large", "9.3", wants(sResourceExhausted, sResourceExhausted, tooMuch(data(1, fMessage|fMore|fTotal)))},
		{"answers/compression-refused", "9.1", func(t *T) {
			c, p, id := t.put()
			compression, ok := missingBit(p.theirs[kCompressions])
			if !ok {
				t.na("the client takes every compression")
			}
			p.send(answer(id, "x").withFormat(compression << 4))
			c.want("put", sInternal, "")
			p.fence()
		}},
		{"answers/compression-refused-early", "9.1", func(t *T) {
			c, p, id := t.put()
			compression, ok := missingBit(p.theirs[kCompressions])
			if !ok {
				t.na("the client takes every compression")
			}
			p.send(data(id, fMessage|fMore|fTotal, total(9), []byte("x")).withFormat(compression << 4))
			c.want("put", sInternal, "")
			if f := p.next(); f.typ != tCancel || f.code != sInternal {
				t.failf("CANCEL(INTERNAL)", "%v", f)
			}
		}},
		{"answers/compressed", "9.1", func(t *T) {
			c, p, id := t.put()
			if p.theirs[kCompressions]&(1<<compressionGzip) == 0 {
				t.na("the client does not take gzip")
			}
			p.send(closing(id, sOK, fMessage, gzipped(text("packed"))).withFormat(compressionGzip << 4))
			c.want("put", sOK, "packed")
		}},
		{"answers/compressed-broken", "9.1", func(t *T) {
			c, p, id := t.put()
			if p.theirs[kCompressions]&(1<<compressionGzip) == 0 {
				t.na("the client does not take gzip")
			}
			p.send(closing(id, sOK, fMessage, []byte("no gzip")).withFormat(compressionGzip << 4))
			c.want("put", sInternal, "")
			p.fence()
		}},
		{"answers/undecodable", "9.1", wants(sInternal, 0, closing(1, sOK, fMessage, []byte("\x0a\x7fshort")))},
		{"answers/nesting", "17", wants(sInternal, 0, closing(1, sOK, fMessage, []byte(strings.Repeat("\x53", 20000)+strings.Repeat("\x54", 20000))))},
		{"answers/error-breaks-message-off", "5.7", wants(sAborted, 0, data(1, fMessage|fMore|fTotal, total(9), []byte("x")), closing(1, sAborted, 0))},
		{"answers/stream-error-breaks-message-off", "5.7", func(t *T) {
			c, p := t.serve(command{Do: "open", Call: "a", Method: "Count", Kind: "server"})
			c.do(command{Do: "recv", Call: "a"})
			id := p.wantOpen("Count").id
			p.send(message(id, "one"), data(id, fMessage|fMore|fTotal|fCredited, total(9), []byte("x")), closing(id, sAborted, 0))
			if e := c.wantEvent("a", "message"); e.Text != "one" {
				t.failf("the first message", "%v", e)
			}
			c.want("a", sAborted, "")
			p.fence()
		}},
		{"answers/stream", "7.2", func(t *T) {
			c, p := t.serve(command{Do: "open", Call: "a", Method: "Count", Kind: "server", Text: "2"})
			c.do(command{Do: "recv", Call: "a"})
			f := p.wantOpen("Count")
			if f.flags&(fCaller|fCallee|fHalfClose|fMessage) != fCallee|fHalfClose|fMessage || p.request(f) != "2" {
				t.failf("OPEN of a server-streaming call", "%v", f)
			}
			p.send(data(f.id, fHeaders, block("h", "1")), message(f.id, "one"), message(f.id, ""), closing(f.id, sOK, fTrailers, block("t", "2")))
			for _, want := range []string{"one", ""} {
				if e := c.wantEvent("a", "message"); e.Text != want {
					t.failf(fmt.Sprintf("message %q", want), "%v", e)
				}
			}
			if e := c.want("a", sOK, ""); !slices.Equal(e.Headers, []string{"h", "1"}) || !slices.Equal(e.Trailers, []string{"t", "2"}) {
				t.failf("headers and trailers", "%v", e)
			}
		}},
		{"answers/stream-too-large", "9.3", func(t *T) {
			c, p := t.serve(command{Do: "open", Call: "a", Method: "Count", Kind: "server"})
			c.do(command{Do: "recv", Call: "a"})
			id := p.wantOpen("Count").id
			p.send(tooMuch(data(id, fMessage|fMore|fTotal|fCredited)))
			c.want("a", sResourceExhausted, "")
			if f := p.next(); f.typ != tCancel || f.code != sResourceExhausted {
				t.failf("CANCEL(RESOURCE_EXHAUSTED)", "%v", f)
			}
		}},
		{"answers/stream-undecodable", "9.1", func(t *T) {
			c, p := t.serve(command{Do: "open", Call: "a", Method: "Count", Kind: "server"})
			c.do(command{Do: "recv", Call: "a"})
			id := p.wantOpen("Count").id
			p.send(data(id, fMessage|fCredited, []byte("\x0a\x7fshort")))
			c.want("a", sInternal, "")
			if f := p.next(); f.typ != tCancel || f.code != sInternal {
				t.failf("CANCEL(INTERNAL)", "%v", f)
			}
		}},
	}
}

// clientFragments are answers in more than one frame.
func clientFragments() []testCase {
	m := text("0123456789")
	first := func(id uint64, n int) frame { return data(id, fMessage|fMore|fTotal, total(len(m)), m[:n]) }
	whole := func(frames ...wire) func(*T) {
		return func(t *T) {
			c, p, _ := t.put()
			p.send(frames...)
			c.want("put", sOK, "0123456789")
			p.fence()
		}
	}
	var bytewise []wire
	bytewise = append(bytewise, first(1, 1))
	for _, b := range m[1:] {
		bytewise = append(bytewise, data(1, fMessage|fMore, []byte{b}))
	}
	return []testCase{
		{"fragments/two", "9.2", whole(first(1, 5), closing(1, sOK, fMessage, m[5:]))},
		{"fragments/last-empty", "9.2", whole(first(1, 5), data(1, fMessage|fMore, m[5:]), closing(1, sOK, fMessage))},
		{"fragments/byte-by-byte", "9.2", whole(append(bytewise, closing(1, sOK, fMessage))...)},
		{"fragments/behind-headers", "9.2", whole(data(1, fHeaders, block("k", "v")), first(1, 5), closing(1, sOK, fMessage|fTrailers, block("t", "v"), m[5:]))},
		{"fragments/with-headers", "9.2", whole(data(1, fMessage|fMore|fTotal|fHeaders, block("k", "v"), total(len(m)), m[:3]), closing(1, sOK, fMessage, m[3:]))},
		{"fragments/ignorable-between", "19.2", whole(first(1, 5), ignorable(100), ping("x").withFlags(fAck), closing(1, sOK, fMessage, m[5:]))},
		{"fragments/interleaved", "9.2", func(t *T) {
			c, p, id := t.put()
			c.do(command{Do: "call", Call: "b", Method: "Put"})
			second := p.wantOpen("Put").id
			c.do(command{Do: "call", Call: "c", Method: "Put"})
			third := p.wantOpen("Put").id
			p.send(first(id, 4), first(second, 6), answer(third, "small"), data(id, fMessage|fMore, m[4:8]), closing(second, sOK, fMessage, m[6:]))
			c.want("c", sOK, "small")
			c.want("b", sOK, "0123456789")
			p.send(closing(id, sOK, fMessage, m[8:]))
			c.want("put", sOK, "0123456789")
		}},
		{"fragments/large", "9.2", func(t *T) {
			c, p, id := t.put()
			s := strings.Repeat("large", 60000)
			all := text(s)
			p.send(data(id, fMessage|fMore|fTotal, total(len(all)), all[:60000]))
			for all = all[60000:]; len(all) > 60000; all = all[60000:] {
				p.send(data(id, fMessage|fMore, all[:60000]))
			}
			p.send(closing(id, sOK, fMessage, all))
			c.want("put", sOK, s)
		}},
		{"fragments/of-stream", "9.2", func(t *T) {
			c, p := t.serve(command{Do: "open", Call: "a", Method: "Count", Kind: "server"})
			c.do(command{Do: "recv", Call: "a"})
			id := p.wantOpen("Count").id
			p.send(first(id, 4).withFlags(fCredited), data(id, fMessage|fMore|fCredited, m[4:5]), data(id, fMessage|fCredited, m[5:]), message(id, "next"), closing(id, sOK, 0))
			for _, want := range []string{"0123456789", "next"} {
				if e := c.wantEvent("a", "message"); e.Text != want {
					t.failf(fmt.Sprintf("message %q", want), "%v", e)
				}
			}
			c.want("a", sOK, "")
		}},
	}
}
