package main

import "fmt"

func serverIDs() []testCase {
	o := unary(3, "Echo", "x")
	held := open(3, fCaller, "Sum")
	cases := breaches("ids", []breach{
		{"reused-open", "7.1", eProtocol, []wire{held, held}},
		{"even", "19.3", eProtocol, []wire{o.withID(4)}},
		{"zero", "7.1", eProtocol, []wire{o.withID(0)}},
		{"high", "7.1", eProtocol, []wire{o.withID(maxID + 2)}},
		{"data-idle", "7.3", eProtocol, []wire{message(5, "x")}},
		{"cancel-idle", "7.3", eProtocol, []wire{cancel(5, sCancelled)}},
	}, breakServer)
	cases = append(cases, breaches("ids", []breach{
		{"reused-closed", "7.1", eProtocol, []wire{o, o}},
		{"decreasing", "7.1", eProtocol, []wire{o, o.withID(1)}},
		{"data-idle-higher", "7.3", eProtocol, []wire{o, message(5, "x")}},
		{"data-even", "7.3", eProtocol, []wire{o, message(2, "x")}},
		{"data-zero", "7.3", eProtocol, []wire{o, message(0, "x")}},
		{"cancel-even", "7.3", eProtocol, []wire{o, cancel(2, sCancelled)}},
		{"credit-idle-higher", "7.3", eProtocol, []wire{o, credit(5, 100)}},
	}, breakServerLater)...)
	return append(cases,
		testCase{"ids/gaps", "7.1", func(t *T) {
			p := t.connect()
			for _, id := range []uint64{1, 3, 9, 1001, 1<<40 + 1, maxID} {
				p.echo(id)
			}
			p.send(unary(maxID, "Echo", "x"))
			p.wantGoAway(eProtocol)
		}},
		testCase{"ids/many", "7.1", func(t *T) {
			p := t.connect()
			for i := range uint64(500) {
				p.send(unary(2*i+1, "Echo", fmt.Sprint("call ", i)))
			}
			for i := range uint64(500) {
				p.want(2*i+1, fmt.Sprint("call ", i))
			}
			p.fence()
		}},
	)
}

// serverLate are frames of streams that are over, and of a stream's end.
func serverLate() []testCase {
	// after sends frames behind a finished call, which have to be dropped.
	after := func(frames ...wire) func(*T) {
		return func(t *T) {
			p := t.connect()
			p.echo(1)
			p.send(frames...)
			p.fence()
			p.echo(3)
		}
	}
	return append([]testCase{
		{"late/data", "7.3", after(message(1, "x"))},
		{"late/data-half-close", "7.3", after(halfClose(1))},
		{"late/data-unread", "7.3", after(data(1, fMessage|fCredited|fMore|fTotal, []byte{1}))},
		{"late/credit", "7.3", after(credit(1, 1000))},
		{"late/cancel", "7.3", after(cancel(1, sCancelled), cancel(1, sDeadlineExceeded))},
		{"late/gap", "7.3", func(t *T) {
			p := t.connect()
			p.echo(9)
			p.send(message(5, "x"), cancel(7, sCancelled), credit(3, 9), halfClose(1))
			p.fence()
			p.echo(11)
		}},
		{"late/data-after-cancel", "7.3", func(t *T) {
			p := t.connect()
			p.send(open(1, fCaller, "Sum"), message(1, "x"), cancel(1, sCancelled), message(1, "y"), halfClose(1), cancel(1, sCancelled))
			p.fence()
			p.echo(3)
		}},
		{"late/cancel-crosses-answer", "21.7", func(t *T) {
			p := t.connect()
			p.send(unary(1, "Echo", "x"), cancel(1, sDeadlineExceeded))
			if f := p.sync("cross"); f != nil && (f.typ != tClose || f.id != 1) {
				t.failf("CLOSE of stream 1 or nothing", "%v", *f)
			}
		}},
		{"late/of-refused", "7.3", func(t *T) {
			p := t.connect()
			p.send(open(1, fCaller, "NoSuchMethod"), message(1, "x"), message(1, "y"), halfClose(1))
			p.wantRefusal(1, sUnimplemented)
			p.fence()
		}},
		{"late/credit-returned", "7.3", func(t *T) {
			p := t.connect()
			p.echo(1)
			p.pour(1, 3*int64(p.theirs[kConnCredit]))
			p.echo(3)
		}},
		{"half-close/answer-before", "7.3", func(t *T) {
			p := t.connect()
			p.send(open(1, fCaller, "Early"))
			p.want(1, "early")
			p.send(message(1, "late"), halfClose(1))
			p.fence()
		}},
		{"half-close/with-message", "5.6", func(t *T) {
			p := t.connect()
			p.send(open(1, fCaller, "Sum"), message(1, "abc"), message(1, "de").withFlags(fHalfClose))
			p.want(1, "2 5")
		}},
		{"half-close/alone", "5.6", func(t *T) {
			p := t.connect()
			p.send(open(1, fCaller, "Sum"), message(1, "abc"), message(1, ""), halfClose(1))
			p.want(1, "2 3")
		}},
		{"half-close/empty-stream", "5.5", func(t *T) {
			p := t.connect()
			p.send(open(1, fCaller|fHalfClose, "Sum"), open(3, fCaller|fCallee|fHalfClose, "Chat"))
			p.want(1, "0 0")
			p.wantStatus(3, sOK)
		}},
		{"half-close/awaited", "7.3", func(t *T) {
			p := t.connect()
			p.send(open(1, fCaller, "Sum"), message(1, "abc"))
			p.fence()
			p.send(halfClose(1))
			p.want(1, "1 3")
		}},
	}, breaches("half-close", []breach{
		{"data-after", "7.3", eProtocol, []wire{unary(1, "Wait", "data-after"), message(1, "x")}},
		{"data-after-of-single", "7.3", eProtocol, []wire{unary(1, "Wait", "single"), data(1, fMessage|fMore, text("x"))}},
		{"twice", "5.6", eProtocol, []wire{unary(1, "Wait", "twice"), halfClose(1)}},
		{"twice-stream", "5.6", eProtocol, []wire{open(1, fCaller, "Lazy"), message(1, "half-close-twice"), halfClose(1), halfClose(1)}},
		{"within-message", "5.6", eProtocol, []wire{open(1, fCaller, "Sum"), data(1, fMessage|fCredited|fMore|fTotal, total(9), text("x")), halfClose(1)}},
	}, breakServer)...)
}

// pour sends messages of a stream, n bytes in all, as the connection's credit
// allows, and waits until most of that credit is back.
func (p *peer) pour(id uint64, n int64) {
	const size = 16000
	m := message(id, string(make([]byte, size)))
	cost := int64(len(m.wire()))
	window := int64(p.theirs[kConnCredit])
	for sent := int64(0); sent < n; sent += cost {
		// More than the window must have been granted before more than it is sent.
		p.waitCredit(0, sent+cost-window)
		p.send(m)
	}
}
