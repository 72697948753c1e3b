package cluster

import (
	"net"

	"github.com/rpcx-go/rpcx/runtime/address"
	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/transport"
)

// peerOf describes the server that nc, which was dialed to e, leads to.
func peerOf(nc net.Conn, e address.Endpoint) call.Peer {
	state := transport.TLSState(nc)
	return call.Peer{
		Addr:     nc.RemoteAddr(),
		Protocol: "rpcx",
		Secure:   e.Network == "unix" || state != nil,
		TLS:      state,
	}
}
