// Package foreign has generated glue handle messages without glue of its own
// run: those of other packages, extensions and the message sets of proto1. What
// has glue is served by it, the rest by google.golang.org/protobuf.
package foreign

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/rpcx-go/rpcx/runtime/wire"
)

// Size returns how many bytes m has on the wire.
func Size[P proto.Message](m P) int {
	if m, ok := any(m).(wire.Message); ok {
		return m.SizeRPCX()
	}
	return proto.Size(m)
}

// Put puts m's fields.
func Put[P proto.Message](m P, b wire.Buffer) wire.Buffer {
	if m, ok := any(m).(wire.Message); ok {
		return m.PutRPCX(b)
	}
	return PutWhole(m, b)
}

// Parse merges the fields in b into m; see [wire.Message].
func Parse[T any, P interface {
	*T
	proto.Message
}](m P, b []byte, p wire.Parser) int {
	if m, ok := any(m).(wire.Message); ok {
		return m.ParseRPCX(b, p)
	}
	return ParseWhole(m, b, p)
}

// SizeWhole is [Size] by protobuf alone.
func SizeWhole(m proto.Message) int { return proto.Size(m) }

// PutWhole is [Put] by protobuf alone.
func PutWhole(m proto.Message, b wire.Buffer) wire.Buffer {
	n := proto.Size(m)
	dst, b := b.Take(n)
	if len(dst) < n {
		return b
	}
	if proto.CheckInitialized(m) != nil {
		b = b.Missing()
	}
	out, err := proto.MarshalOptions{
		AllowPartial:  true,
		Deterministic: b.Mode()&wire.Deterministic != 0,
		UseCachedSize: true,
	}.MarshalAppend(dst[:0:n], m)
	if err != nil || len(out) != n {
		return b.Fail()
	}
	return b
}

// ParseWhole is [Parse] by protobuf alone.
func ParseWhole(m proto.Message, b []byte, p wire.Parser) int {
	n := len(b)
	if end := p.EndTag(); end != 0 {
		number, _ := protowire.DecodeTag(end)
		_, size := protowire.ConsumeGroup(number, b)
		if size < 0 {
			return wire.Failed
		}
		n, b = size, b[:size-protowire.SizeVarint(end)]
	}
	if unmarshal(b, m, p.Depth()) != nil {
		return wire.Failed
	}
	return n
}

// ParseExtensions merges extensions and unknown fields into m, whose parsing
// came to i, and returns i or what is wrong.
func ParseExtensions(m proto.Message, fields []byte, p wire.Parser, i int) int {
	if i >= 0 && len(fields) > 0 && unmarshal(fields, m, p.Depth()) != nil {
		return wire.Failed
	}
	return i
}

// ParseUnknown is [wire.Parser.Unknown] for the unknown fields of m.
func ParseUnknown(m proto.Message, b []byte, i int, p wire.Parser, tag uint64) int {
	unknown, i := p.Unknown(nil, b, i, tag)
	if r := m.ProtoReflect(); i >= 0 {
		r.SetUnknown(append(r.GetUnknown(), unknown...))
	}
	return i
}

func unmarshal(b []byte, m proto.Message, depth int) error {
	return proto.UnmarshalOptions{Merge: true, AllowPartial: true, RecursionLimit: depth}.Unmarshal(b, m)
}

// CheckInitialized returns an error that names a required field of m that is not set.
func CheckInitialized(m proto.Message) error { return proto.CheckInitialized(m) }
