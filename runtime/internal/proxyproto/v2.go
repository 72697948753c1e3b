package proxyproto

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"net"
	"net/netip"
)

// Commands, in the low half of byte 12.
const (
	commandLocal = 0x0
	commandProxy = 0x1
)

// Families with transports, byte 13. Those of datagrams make no sense on a
// connection.
const (
	familyUnspecified = 0x00
	familyTCP4        = 0x11
	familyTCP6        = 0x21
	familyUnix        = 0x31
)

// What a header of 16 bytes is followed by: addresses, then TLVs of 1 byte type,
// 2 bytes length, value.
const (
	sizeTCP4  = 2*4 + 2*2
	sizeTCP6  = 2*16 + 2*2
	unixPath  = 108
	sizeUnix  = 2 * unixPath
	tlvHeader = 3
	tlvCRC32C = 0x03
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func parseV2(b []byte) (Header, int, error) {
	if len(b) < minV2 {
		return Header{}, minV2, nil
	}
	if v := b[12] >> 4; v != 2 {
		return Header{}, 0, malformed("version %d", v)
	}
	size := minV2 + int(binary.BigEndian.Uint16(b[14:]))
	if size > MaxV2 {
		return Header{}, 0, malformed("%d bytes, more than %d", size, MaxV2)
	}
	if len(b) < size {
		return Header{}, size, nil
	}
	b = b[:size]
	h := Header{Version: 2}
	switch command := b[12] & 0xf; command {
	case commandLocal: // the rest is to be ignored, whatever it is
		return h, size, nil
	case commandProxy:
	default:
		return Header{}, 0, malformed("command %d", command)
	}
	body := b[minV2:]
	var addresses int
	switch family := b[13]; family {
	case familyUnspecified: // where addresses would end is unknown
		return h, size, nil
	case familyTCP4:
		addresses = sizeTCP4
	case familyTCP6:
		addresses = sizeTCP6
	case familyUnix:
		addresses = sizeUnix
	default:
		return Header{}, 0, malformed("address family and transport 0x%02x", family)
	}
	if len(body) < addresses {
		return Header{}, 0, malformed("%d bytes for addresses of %d", len(body), addresses)
	}
	if err := checkTLVs(b, minV2+addresses); err != nil {
		return Header{}, 0, err
	}
	h.Source, h.Destination = addrsV2(body[:addresses])
	return h, size, nil
}

func addrsV2(b []byte) (source, dest net.Addr) {
	switch len(b) {
	case sizeTCP4:
		return tcpAddr(b[:4], b[8:]), tcpAddr(b[4:8], b[10:])
	case sizeTCP6:
		return tcpAddr(b[:16], b[32:]), tcpAddr(b[16:32], b[34:])
	default:
		return unixAddr(b[:unixPath]), unixAddr(b[unixPath:])
	}
}

func tcpAddr(ip, port []byte) net.Addr {
	addr, _ := netip.AddrFromSlice(ip)
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, binary.BigEndian.Uint16(port)))
}

func unixAddr(path []byte) net.Addr {
	if i := bytes.IndexByte(path, 0); i >= 0 {
		path = path[:i]
	}
	return &net.UnixAddr{Name: string(path), Net: "unix"}
}

// checkTLVs goes through the TLVs of header, from offset at on, and verifies
// the checksum if one of them is one.
func checkTLVs(header []byte, at int) error {
	summed := false
	for at < len(header) {
		if len(header)-at < tlvHeader {
			return malformed("%d bytes after the last TLV", len(header)-at)
		}
		kind := header[at]
		value := at + tlvHeader
		end := value + int(binary.BigEndian.Uint16(header[at+1:]))
		if end > len(header) {
			return malformed("TLV 0x%02x goes %d bytes beyond the end", kind, end-len(header))
		}
		if kind == tlvCRC32C {
			if end-value != crc32.Size || summed {
				return malformed("bad checksum TLV")
			}
			summed = true
			if got, want := checksum(header, value), binary.BigEndian.Uint32(header[value:]); got != want {
				return malformed("its checksum is %08x, it says %08x", got, want)
			}
		}
		at = end
	}
	return nil
}

// checksum returns the CRC32C of header with the four bytes at offset at taken as zero.
func checksum(header []byte, at int) uint32 {
	sum := crc32.Update(0, castagnoli, header[:at])
	sum = crc32.Update(sum, castagnoli, make([]byte, crc32.Size))
	return crc32.Update(sum, castagnoli, header[at+crc32.Size:])
}
