package cluster

import (
	"net"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/transport"
)

// PeerOf describes the server that nc leads to.
func (cfg *Config) PeerOf(nc net.Conn, protocol string) call.Peer {
	state := transport.TLSState(nc)
	return call.Peer{
		Addr:     nc.RemoteAddr(),
		Protocol: protocol,
		Secure:   cfg.Trusted && cfg.Endpoint.Network == "unix" || state != nil,
		TLS:      state,
	}
}
