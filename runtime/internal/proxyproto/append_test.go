package proxyproto

import (
	"encoding/binary"
	"fmt"
	"net"
)

// appendV1 is the writing side of version 1, for tests.
func appendV1(b []byte, h Header) []byte {
	source, ok := h.Source.(*net.TCPAddr)
	if !ok {
		return append(b, "PROXY UNKNOWN\r\n"...)
	}
	dest := h.Destination.(*net.TCPAddr)
	protocol := "TCP6"
	if source.AddrPort().Addr().Is4() {
		protocol = "TCP4"
	}
	return fmt.Appendf(b, "PROXY %s %s %s %d %d\r\n", protocol, source.AddrPort().Addr(), dest.AddrPort().Addr(), source.Port, dest.Port)
}

// tlv is an extension of version 2.
type tlv struct {
	kind  byte
	value []byte
}

// sum is a TLV whose value appendV2 fills in.
var sum = tlv{tlvCRC32C, make([]byte, 4)}

// appendV2 is the writing side of version 2, for tests.
func appendV2(b []byte, h Header, tlvs ...tlv) []byte {
	start := len(b)
	b = append(b, beginV2...)
	b = append(b, 0x20|commandProxy, 0, 0, 0)
	switch source := h.Source.(type) {
	case nil:
	case *net.TCPAddr:
		dest := h.Destination.(*net.TCPAddr)
		from, to := source.AddrPort().Addr(), dest.AddrPort().Addr()
		b[start+13] = familyTCP6
		if from.Is4() {
			b[start+13] = familyTCP4
		}
		b = append(append(b, from.AsSlice()...), to.AsSlice()...)
		b = binary.BigEndian.AppendUint16(b, uint16(source.Port))
		b = binary.BigEndian.AppendUint16(b, uint16(dest.Port))
	case *net.UnixAddr:
		b[start+13] = familyUnix
		for _, path := range []string{source.Name, h.Destination.(*net.UnixAddr).Name} {
			var field [unixPath]byte
			copy(field[:], path)
			b = append(b, field[:]...)
		}
	}
	summed := -1
	for _, t := range tlvs {
		b = append(b, t.kind)
		b = binary.BigEndian.AppendUint16(b, uint16(len(t.value)))
		if t.kind == tlvCRC32C {
			summed = len(b) - start
		}
		b = append(b, t.value...)
	}
	binary.BigEndian.PutUint16(b[start+14:], uint16(len(b)-start-minV2))
	if summed >= 0 {
		binary.BigEndian.PutUint32(b[start+summed:], checksum(b[start:], summed))
	}
	return b
}
