package metadata

import (
	"context"
	"slices"
)

type (
	incomingKey struct{}
	outgoingKey struct{}
)

// IncomingSource is what a context may hold instead of an MD: something that
// gives the incoming metadata when it is asked for, so that a call whose
// handler does not ask pays nothing.
type IncomingSource interface {
	// IncomingMetadata returns the metadata that came with the call and
	// whether there is a call. It may be called by several goroutines.
	IncomingMetadata() (MD, bool)
}

// IncomingKey returns the key under which FromIncomingContext asks a context.
// A context type of the runtime's answers it with an MD or an IncomingSource.
func IncomingKey() any { return incomingKey{} }

// NewOutgoingContext returns a context whose calls send md, in place of what
// ctx's calls would send. The caller must not write to md's entries afterwards.
func NewOutgoingContext(ctx context.Context, md MD) context.Context {
	return context.WithValue(ctx, outgoingKey{}, slices.Clip(md))
}

// AppendToOutgoingContext returns a context whose calls send, after what ctx's
// calls send, the alternating keys and values. It panics if a value is missing.
func AppendToOutgoingContext(ctx context.Context, kv ...string) context.Context {
	old, _ := FromOutgoingContext(ctx)
	md := make(MD, len(old), len(old)+len(kv)/2)
	copy(md, old)
	return NewOutgoingContext(ctx, appendPairs(md, kv))
}

// FromOutgoingContext returns what the context's calls send and whether any was
// set. The entries are shared and must not be written to; the MD's own methods
// copy them.
func FromOutgoingContext(ctx context.Context) (MD, bool) {
	md, ok := ctx.Value(outgoingKey{}).(MD)
	return md, ok
}

// NewIncomingContext returns a context as a handler gets it that was called
// with md. Tests of handlers use it. The caller must not write to md's entries
// afterwards.
func NewIncomingContext(ctx context.Context, md MD) context.Context {
	return context.WithValue(ctx, incomingKey{}, slices.Clip(md))
}

// FromIncomingContext returns the metadata that came with the call that the
// context belongs to, and whether there is such a call. It is read-only: the
// entries are shared and must not be written to; the MD's own methods copy them.
func FromIncomingContext(ctx context.Context) (MD, bool) {
	switch v := ctx.Value(incomingKey{}).(type) {
	case MD:
		return v, true
	case IncomingSource:
		md, ok := v.IncomingMetadata()
		return slices.Clip(md), ok
	}
	return nil, false
}
