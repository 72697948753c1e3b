package main

import (
	"github.com/rpcx-go/rpcx/runtime/wire"
)

// The functions below are all that the benchmark knows of rpcx: they are how
// the runtime and its users turn messages with glue into bytes and back.

// rpcxAppend is how the runtime writes a message into a connection's buffer,
// which has room.
func rpcxAppend(dst []byte, m wire.Message) ([]byte, error) { return wire.Append(dst, m) }

// rpcxMarshal is how users get a slice of their own.
func rpcxMarshal(m wire.Message) ([]byte, error) { return wire.Append(nil, m) }

// rpcxUnmarshalOwned is how the runtime unmarshals: m may keep references to data.
func rpcxUnmarshalOwned(data []byte, m wire.Message) error {
	return wire.UnmarshalOptions{Alias: true, Merge: true}.Unmarshal(data, m)
}

// rpcxUnmarshalCopy is how users unmarshal a slice that stays theirs.
func rpcxUnmarshalCopy(data []byte, m wire.Message) error {
	return wire.UnmarshalOptions{Merge: true}.Unmarshal(data, m)
}
