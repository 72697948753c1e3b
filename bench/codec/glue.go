package main

import (
	"google.golang.org/protobuf/proto"

	"github.com/rpcx-go/rpcx/runtime/codec"
)

// The functions below are all that the benchmark knows of rpcx: they are how
// the runtime and its users turn messages into bytes and back.

// rpcxAppend is how the runtime writes a message into a connection's buffer,
// which has room.
func rpcxAppend(dst []byte, m proto.Message) ([]byte, error) {
	n, err := codec.Proto.Size(m)
	if err != nil {
		return dst, err
	}
	return codec.Proto.AppendMarshal(dst, m, n)
}

// rpcxMarshal is how users get a slice of their own.
func rpcxMarshal(m proto.Message) ([]byte, error) {
	n, err := codec.Proto.Size(m)
	if err != nil {
		return nil, err
	}
	return codec.Proto.AppendMarshal(make([]byte, 0, n), m, n)
}

// rpcxUnmarshalOwned is how the runtime unmarshals: m may keep references to data.
func rpcxUnmarshalOwned(data []byte, m proto.Message) error {
	return codec.Proto.UnmarshalOwned(data, m)
}

// rpcxUnmarshalCopy is how users unmarshal a slice that stays theirs.
func rpcxUnmarshalCopy(data []byte, m proto.Message) error {
	return codec.Proto.Unmarshal(data, m)
}
