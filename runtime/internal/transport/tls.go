package transport

import (
	"crypto/tls"
	"net"
)

// TLSState returns what is known of the TLS connection that nc is, or nil if it
// is none or its handshake is not complete.
func TLSState(nc net.Conn) *tls.ConnectionState {
	secured, ok := nc.(interface{ ConnectionState() tls.ConnectionState })
	if !ok {
		return nil
	}
	state := secured.ConnectionState()
	if !state.HandshakeComplete {
		return nil
	}
	return &state
}
