// Package faults proves that calls keep their promises while the network, the
// servers and the other side do not: each call ends with one typed result in
// time, an answer belongs to its caller, a handler runs as often as it may, and
// an error that says the call never ran is right.
//
// It holds what its tests and the simulation share. A Service answers Orders,
// which say what a call does; an Agent carries them out and verifies each byte
// that comes back; a Journal remembers what both saw and says which promises
// were broken. A Middle stands between the two and rewrites frames, with a
// codec of its own, so that no fault of the transport's hides behind the same
// fault in the test.
package faults
