package main

import "strings"

// The breaches below are the same whichever side commits them.

// frameBreaches are wrong frames of the connection itself.
func frameBreaches() []breach {
	p := ping("abc")
	wrongCheck := p
	wrongCheck.check = 0x10
	wrongBoth := p.withVersion(2)
	wrongBoth.check = 0x10
	wrongSum := seal(p)
	wrongSum[len(wrongSum)-1] ^= 1
	unknown := frame{typ: 0x05}
	ignore := ignorable(3)
	ignoreCheck := ignore
	ignoreCheck.check = 1
	return []breach{
		{"check", "4", eProtocol, []wire{wrongCheck}},
		{"check-before-version", "4", eProtocol, []wire{wrongBoth}},
		{"version", "4", eVersion, []wire{p.withVersion(2)}},
		{"version-before-length", "4", eVersion, []wire{p.withVersion(7).header(1<<24 - 1)}},
		{"length-before-type", "4", eFrameSize, []wire{unknown.header(1<<24 - 1)}},
		{"length-of-data", "4", eFrameSize, []wire{data(1, fMessage|fMore).header(1<<20 + 1)}},
		{"length-of-ignorable", "19.2", eFrameSize, []wire{ignore.header(1<<20 + 1)}},
		{"type-0", "4", eProtocol, []wire{frame{typ: 0}}},
		{"type-unknown", "4", eProtocol, []wire{unknown}},
		{"type-unknown-stream", "4", eProtocol, []wire{frame{typ: 0x14, id: 1}}},
		{"type-unknown-high", "4", eProtocol, []wire{frame{typ: 0x7F}}},
		{"type-before-version-of-ignorable", "19.2", eVersion, []wire{ignore.withVersion(2)}},
		{"check-of-ignorable", "19.2", eProtocol, []wire{ignoreCheck}},
		{"ping-length-0", "4", eFrameSize, []wire{p.withPayload(0)}},
		{"ping-length-7", "4", eFrameSize, []wire{p.withPayload(7)}},
		{"ping-length-9", "4", eFrameSize, []wire{p.withPayload(9)}},
		{"ping-id", "5", eProtocol, []wire{p.withID(1)}},
		{"ping-arg", "5", eProtocol, []wire{p.withArg(1)}},
		{"ping-code", "5", eProtocol, []wire{p.withCode(1)}},
		{"ping-format", "5", eProtocol, []wire{p.withFormat(1)}},
		{"ping-class", "5", eProtocol, []wire{p.withClass(1)}},
		{"ping-flags", "4.1", eProtocol, []wire{p.withFlags(fMessage)}},
		{"ping-checksum-not-agreed", "14", eProtocol, []wire{seal(p)}},
		{"ping-checksum-wrong-and-not-agreed", "14", eProtocol, []wire{wrongSum}},
		{"ignorable-checksum-not-agreed", "14", eProtocol, []wire{seal(ignore)}},
		{"goaway-long", "5.3", eFrameSize, []wire{goAway(0, eNone, strings.Repeat("x", 1025))}},
		{"goaway-id", "5.3", eProtocol, []wire{goAway(maxID+1, eNone, "")}},
		{"goaway-id-rises", "5.3", eProtocol, []wire{goAway(1, eNone, ""), goAway(3, eNone, "")}},
		{"goaway-arg", "5", eProtocol, []wire{goAway(0, eNone, "").withArg(1)}},
		{"goaway-flags", "4.1", eProtocol, []wire{goAway(0, eNone, "").withFlags(1)}},
		{"credit-zero", "5.4", eFlowControl, []wire{credit(0, 0)}},
		{"credit-large", "5.4", eFlowControl, []wire{credit(0, 1<<31)}},
		{"credit-overflow", "10", eFlowControl, []wire{credit(0, 1<<31-1)}},
		{"credit-overflow-slowly", "10", eFlowControl, []wire{credit(0, 1<<30), credit(0, 1<<30)}},
		{"credit-payload", "4", eFrameSize, []wire{credit(0, 1).withPayload(1)}},
		{"credit-code", "5", eProtocol, []wire{credit(0, 1).withCode(1)}},
		{"credit-flags", "4.1", eProtocol, []wire{credit(0, 1).withFlags(1)}},
		{"credit-idle", "7.3", eProtocol, []wire{credit(9, 1)}},
		{"credit-even", "7.3", eProtocol, []wire{credit(2, 1)}},
		{"settings-twice", "3.3", eProtocol, []wire{settingsFrame()}},
	}
}

// settingsBreaches are wrong first frames.
func settingsBreaches() []breach {
	long := make([]uint32, 0, 130)
	for id := range uint32(65) {
		long = append(long, 30000+id, 0)
	}
	padded := settingsFrame(kMaxFrame, minFrame)
	padded.payload[2] = 1
	rows := []breach{
		{"first-ping", "3.3", eProtocol, []wire{ping("")}},
		{"first-credit", "3.3", eProtocol, []wire{credit(0, 1)}},
		{"first-ignorable", "3.3", eProtocol, []wire{ignorable(0)}},
		{"first-goaway-no-error", "3.3", eProtocol, []wire{goAway(0, eNone, "")}},
		{"twice-known", "5.1", eSettings, []wire{settingsFrame(kMaxFrame, minFrame, kMaxFrame, minFrame)}},
		{"twice-unknown", "5.1", eSettings, []wire{settingsFrame(4000, 1, 4000, 1)}},
		{"twice-0", "5.1", eSettings, []wire{settingsFrame(0, 1, 0, 1)}},
		{"padding", "5.1", eSettings, []wire{padded}},
		{"length-7", "5.1", eFrameSize, []wire{settingsFrame().withPayload(7)}},
		{"length-12", "5.1", eFrameSize, []wire{settingsFrame().withPayload(12)}},
		{"65-entries", "5.1", eFrameSize, []wire{settingsFrame(long...)}},
		{"id", "5", eProtocol, []wire{settingsFrame().withID(1)}},
		{"arg", "5", eProtocol, []wire{settingsFrame().withArg(1)}},
		{"code", "5", eProtocol, []wire{settingsFrame().withCode(1)}},
		{"flags", "4.1", eProtocol, []wire{settingsFrame().withFlags(1)}},
		{"checksum", "14", eProtocol, []wire{seal(settingsFrame())}},
		{"codecs-without-0", "3.3", eSettings, []wire{settingsFrame(kCodecs, 2)}},
		{"compressions-without-0", "3.3", eSettings, []wire{settingsFrame(kCompressions, 6)}},
	}
	for _, k := range knownSettings {
		name := strings.ToLower(strings.ReplaceAll(k.name, "_", "-"))
		if k.low > 0 {
			rows = append(rows, breach{name + "-low", "3.3", eSettings, []wire{settingsFrame(k.id, k.low-1)}})
		}
		if k.high < 1<<32-1 {
			rows = append(rows, breach{name + "-high", "3.3", eSettings, []wire{settingsFrame(k.id, k.high+1)}})
		}
	}
	return rows
}

// settingsAccepted are first frames that are right.
func settingsAccepted() map[string][]uint32 {
	var low, high, backwards, many []uint32
	for _, k := range knownSettings {
		low = append(low, k.id, k.low)
		switch k.id {
		case kChecksum: // it would change all that follows
		case kCompressions: // numbers that no compression has
			high = append(high, k.id, 0xFFFF0001)
		default:
			high = append(high, k.id, k.high)
		}
		backwards = append([]uint32{k.id, k.initial}, backwards...)
	}
	for id := range uint32(64) {
		many = append(many, 40000+id, id)
	}
	return map[string][]uint32{
		"lowest": low, "highest": high, "backwards": backwards, "64-entries": many,
		"unknown": {4000, 7, kMaxStreams, 100, 0, 1}, "none": nil,
	}
}
