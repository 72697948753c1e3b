package main

import "slices"

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
	return nil
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
