// Package frame turns frames of the native protocol into bytes and back.
//
// It holds no state and does no I/O: every function maps bytes to values or
// values to bytes, so that the whole of it can be fuzzed. docs/protocol.md
// specifies the format, testdata/wire holds the examples that this package's
// tests and that document share.
//
// A reader goes through these steps, each of which can refuse the frame:
//
//	ParseHeader      24 bytes: check byte and layout version
//	Header.Validate  type, flags, fields and length, before anything is
//	                 allocated or read for the payload
//	VerifyChecksum   if the frame carries a checksum
//	ParseSections    OPEN, DATA, CLOSE: where in the payload what lies
//	ParseSettings, ParsePing, ParseGoAway for the other payloads
//	CheckMetadata, ParseMetadata, ParseDetail for the sections
//
// What depends on earlier frames (stream states, credits, interned methods)
// is the transport's business.
//
// A breach that the connection cannot survive is an *[Error]; one that costs
// only its call is a *[CallError].
package frame
