package httpform

import (
	"connectrpc.com/connect/v2"

	"github.com/rpcx-go/rpcx/runtime/call"
)

// SpecOf returns what connect needs to know of a method.
func SpecOf(m *call.Method) connect.Spec {
	return connect.Spec{
		Procedure:        m.FullName(),
		StreamType:       connect.StreamType(m.Kind()),              // the same bits
		IdempotencyLevel: connect.IdempotencyLevel(m.Idempotency()), // the proto's numbers
	}
}
