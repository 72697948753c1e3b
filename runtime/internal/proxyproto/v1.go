package proxyproto

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// fieldsV1 is how many fields a line has that gives addresses:
//
//	PROXY TCP4 192.0.2.1 198.51.100.1 56324 443
const fieldsV1 = 6

// parseV1 parses one line, such as "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n".
func parseV1(b []byte) (Header, int, error) {
	if len(b) < minV1 {
		return Header{}, minV1, nil
	}
	line := string(b[:min(len(b), MaxV1)])
	known := strings.HasPrefix(line, "PROXY TCP4 ") || strings.HasPrefix(line, "PROXY TCP6 ")
	if !known && !strings.HasPrefix(line, "PROXY UNKNOWN\r") && !strings.HasPrefix(line, "PROXY UNKNOWN ") {
		return Header{}, 0, malformed("unknown protocol in %s", quote(line))
	}
	if i := strings.IndexAny(line, "\r\n"); i >= 0 && i+1 < len(line) {
		if line[i:i+2] != "\r\n" {
			return Header{}, 0, malformed("a line end in the middle of %s", quote(line))
		}
		line = line[:i]
	} else {
		if i >= 0 && line[i] == '\n' {
			return Header{}, 0, malformed("a bare line feed in %s", quote(line))
		}
		fields := 0
		if known {
			fields = fieldsV1
		}
		if strings.Count(line, " ") >= fieldsV1 && known {
			return Header{}, 0, malformed("more than %d fields in %s", fieldsV1, quote(line))
		}
		size := len(line) + lacks(line, fields)
		if size > MaxV1 {
			return Header{}, 0, malformed("more than %d bytes without a line end", MaxV1)
		}
		return Header{}, size, nil
	}
	h, size := Header{Version: 1}, len(line)+2
	if !known {
		return h, size, nil
	}
	fields := strings.Split(line, " ")
	if len(fields) != fieldsV1 {
		return Header{}, 0, malformed("%d fields in %s, want %d", len(fields), quote(line), fieldsV1)
	}
	source, ok1 := addrV1(fields[1], fields[2], fields[4])
	dest, ok2 := addrV1(fields[1], fields[3], fields[5])
	if !ok1 || !ok2 {
		return Header{}, 0, malformed("bad address or port in %s", quote(line))
	}
	h.Source, h.Destination = source, dest
	return h, size, nil
}

func addrV1(protocol, host, port string) (net.Addr, bool) {
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Zone() != "" || addr.Is4() != (protocol == "TCP4") {
		return nil, false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || len(port) > 1 && port[0] == '0' {
		return nil, false
	}
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, uint16(n))), true
}
