package rpcx

import (
	"net"
	"testing"
)

// at is a connection to an address.
type at struct {
	net.Conn
	addr net.Addr
}

func (a at) RemoteAddr() net.Addr { return a.addr }

// TestServerName: whom a certificate must be for.
func TestServerName(t *testing.T) {
	tcp := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 7000}
	socket := &net.UnixAddr{Net: "unix", Name: "run/users.sock"}
	bare := &net.UnixAddr{Net: "unix", Name: "users.sock"}
	for _, test := range []struct {
		remote net.Addr
		addr   string
		want   string
	}{
		{tcp, "users.internal:7000", "users.internal"},
		{tcp, ":7000", "localhost"},
		{tcp, "users.internal", "users.internal"}, // an endpoint's Name
		{socket, "run/users.sock", "localhost"},
		{bare, "users.sock", "localhost"},
		{bare, "users.internal", "users.internal"}, // an endpoint's Name
	} {
		if got := serverName(at{addr: test.remote}, test.addr); got != test.want {
			t.Errorf("%v by the name %q: %q, want %q", test.remote, test.addr, got, test.want)
		}
	}
}
