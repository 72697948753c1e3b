package main

import (
	"slices"
	"time"
)

// serverCases are the cases that test a server.
func serverCases() []testCase {
	return slices.Concat(
		serverPreface(), serverTimeouts(), serverSettings(), serverFrames(), serverFlips(),
		serverIDs(), serverLate(), serverCredit(), serverFragments(), serverSizes(), serverMetadata(),
		serverMethods(), serverFormats(), serverCompression(), serverChecksums(), serverCalls(),
		serverControl(), serverFloods(), serverDrain(), serverSplits(),
	)
}

// clientCases are the cases that test a client.
func clientCases() []testCase {
	return slices.Concat(
		clientStart(), clientEarly(), clientSettings(), clientFrames(), clientFlips(), clientStreams(),
		clientAnswers(), clientFragments(), clientChecksums(), clientSends(), clientCredit(), clientCalls(), clientControl(),
		clientDrain(), clientEnds(), clientSplits(),
	)
}

// breach is a case in which the suite breaks a rule and the tested side has to
// end the connection with a code.
type breach struct {
	name    string
	section string
	code    uint16
	frames  []wire
}

// breaches makes cases of breaches.
func breaches(group string, rows []breach, run func(t *T, code uint16, frames []wire)) []testCase {
	var all []testCase
	for _, r := range rows {
		all = append(all, testCase{group + "/" + r.name, r.section, func(t *T) { run(t, r.code, r.frames) }})
	}
	return all
}

// breakServer sends frames to a server, which ends the connection with code.
func breakServer(t *T, code uint16, frames []wire) {
	p := t.connect()
	p.send(frames...)
	p.wantGoAway(code)
}

// breakServerLater is breakServer, where the first frame is a call whose answer
// is read before the other frames are sent.
func breakServerLater(t *T, code uint16, frames []wire) {
	p := t.connect()
	p.send(frames[0])
	p.result(frames[0].(frame).id)
	p.send(frames[1:]...)
	p.wantGoAway(code)
}

// breakClient sends frames to a client in whose call on stream 1 no answer was
// sent. It ends the connection with code, and the call may have run.
func breakClient(t *T, code uint16, frames []wire) {
	c, p, _ := t.put()
	p.send(frames...)
	p.wantGoAway(code)
	p.halt()
	wantMayHaveRun(c, "put")
}

// wantMayHaveRun fails the case unless the call ends as one whose connection
// was lost.
func wantMayHaveRun(c *client, call string) {
	if e := c.want(call, sUnavailable, ""); e.NotRun {
		c.t.failf("a call that may have run", "%v", e)
	}
}

// wantNeverRan fails the case unless the call ends as one that never ran, or is
// made again on another connection, where it is answered.
func wantNeverRan(c *client, l *listener, call string) {
	const poll = 20 * time.Millisecond
	for until := time.Now().Add(patience); time.Now().Before(until); {
		if e, ok := c.tryResult(call, poll); ok {
			if e.Status == sUnavailable && e.NotRun || e.Status == sOK && e.Text == "again" {
				return
			}
			c.t.failf("UNAVAILABLE and never ran, or a second try", "%v", e)
		}
		if p := l.tryAccept(poll); p != nil {
			p.welcome()
			if f, err := p.tryNext(patience); err == nil && f.typ == tOpen {
				p.send(answer(f.id, "again"))
			}
		}
	}
	c.t.failf("a result of call "+call, "none in time")
}
