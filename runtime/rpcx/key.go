package rpcx

import "github.com/rpcx-go/rpcx/runtime/call"

// Key is what a call is routed by, such as the id of the user that it is about.
// The zero Key is absent.
type Key = call.Key

// The kinds of access to data that a method may state, for generated code.
const (
	AccessRead  = call.AccessRead
	AccessWrite = call.AccessWrite
)

// TextKey returns the key that is s, also if s is empty.
func TextKey(s string) Key { return call.TextKey(s) }

// BytesKey returns the key that is b, which must not change as long as the key is used.
func BytesKey(b []byte) Key { return call.BytesKey(b) }

// IntKey returns the key that is n.
func IntKey(n int64) Key { return call.IntKey(n) }

// UintKey returns the key that is n.
func UintKey(n uint64) Key { return call.UintKey(n) }

// KeyOf makes the Key of a MethodSpec of a function that returns the key of a
// request. Requests of other types, which only a Caller without generated code
// can send, have none.
func KeyOf[Req any](key func(*Req) Key) func(req any) Key {
	return func(req any) Key {
		if r, ok := req.(*Req); ok {
			return key(r)
		}
		return Key{}
	}
}
