package frame

import (
	"encoding/binary"
	"hash/crc32"
)

// ChecksumSize is the length of the checksum behind a payload in bytes.
const ChecksumSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const (
	checksumFlagByte = 5  // where bit 15 of the flags is
	checkByte        = 23 // the header's check
)

// AppendChecksum gives the frame that b[start:] holds, header and payload, a
// checksum: it sets FlagChecksum in its header and appends the CRC32C.
func AppendChecksum(b []byte, start int) []byte {
	frame := b[start:]
	if frame[checksumFlagByte]&0x80 == 0 {
		frame[checksumFlagByte] ^= 0x80
		frame[checkByte] ^= 0x80
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(frame, castagnoli))
}

// VerifyChecksum checks a frame that carries a checksum. header is its first
// HeaderSize bytes, rest the payload and the ChecksumSize bytes behind it; they
// need not be adjacent. The error is an *[Error].
func VerifyChecksum(header, rest []byte) error {
	payload := rest[:len(rest)-ChecksumSize]
	want := binary.LittleEndian.Uint32(rest[len(payload):])
	got := crc32.Update(crc32.Checksum(header[:HeaderSize], castagnoli), castagnoli, payload)
	if got != want {
		return errorf(ChecksumError, "CRC32C of a frame with %d bytes of payload is %08x, the frame says %08x", len(payload), got, want)
	}
	return nil
}
