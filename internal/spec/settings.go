package main

import (
	"encoding/binary"
	"fmt"
)

// Ids of settings, as section 3.3 numbers them.
const (
	kRevision = 1 + iota
	kMaxFrame
	kMaxMessage
	kMaxStreams
	kStreamCredit
	kConnCredit
	kMaxMetadata
	kMaxMethods
	kCodecs
	kCompressions
	kChecksum
)

// setting is a row of the table in section 3.3.
type setting struct {
	id                 uint32
	name               string
	low, high, initial uint32
	early              uint32 // what a client goes by before it has read SETTINGS
}

var knownSettings = []setting{
	{kRevision, "REVISION", 0, 65535, 0, 0},
	{kMaxFrame, "MAX_FRAME", 65536, 1 << 20, 65536, 65536},
	{kMaxMessage, "MAX_MESSAGE", 65536, 1 << 30, 4 << 20, 65536},
	{kMaxStreams, "MAX_STREAMS", 16, 1 << 20, 4096, 16},
	{kStreamCredit, "STREAM_CREDIT", 65536, 16 << 20, 256 << 10, 65536},
	{kConnCredit, "CONN_CREDIT", 65536, 64 << 20, 1 << 20, 65536},
	{kMaxMetadata, "MAX_METADATA", 8192, 16384, 8192, 8192},
	{kMaxMethods, "MAX_METHODS", 64, 65535, 4096, 64},
	{kCodecs, "CODECS", 1, 1<<32 - 1, 1, 1},
	{kCompressions, "COMPRESSIONS", 1, 1<<32 - 1, 1, 1},
	{kChecksum, "CHECKSUM", 0, 1, 0, 0},
}

// settings are values by id.
type settings map[uint32]uint32

func defaultSettings() settings {
	s := settings{}
	for _, k := range knownSettings {
		s[k.id] = k.initial
	}
	return s
}

func earlySettings() settings {
	s := settings{}
	for _, k := range knownSettings {
		s[k.id] = k.early
	}
	return s
}

// parseSettings judges the payload of a SETTINGS frame.
func parseSettings(payload []byte) (settings, error) {
	if len(payload)%8 != 0 || len(payload) > 512 {
		return nil, fmt.Errorf("SETTINGS of %d bytes", len(payload))
	}
	s, seen := defaultSettings(), map[uint32]bool{}
	for b := payload; len(b) > 0; b = b[8:] {
		id, value := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
		if id > 0xFFFF {
			return nil, fmt.Errorf("setting %d has padding that is not 0", id&0xFFFF)
		}
		if seen[id] {
			return nil, fmt.Errorf("setting %d twice", id)
		}
		seen[id] = true
		s[id] = value
	}
	for _, k := range knownSettings {
		if v := s[k.id]; v < k.low || v > k.high || (k.id == kCodecs || k.id == kCompressions) && v&1 == 0 {
			return nil, fmt.Errorf("setting %s is %d", k.name, v)
		}
	}
	return s, nil
}

// missingBit is the lowest number of 0 to 15 that set does not have.
func missingBit(set uint32) (byte, bool) {
	for n := range byte(16) {
		if set&(1<<n) == 0 {
			return n, true
		}
	}
	return 0, false
}
