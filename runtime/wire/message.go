package wire

import (
	"bytes"
	"slices"
)

// Message is a message with generated glue.
type Message interface {
	// Reset makes the message empty.
	Reset()
	// SizeRPCX returns how many bytes the message has on the wire.
	SizeRPCX() int
	// PutRPCX puts the message's fields.
	PutRPCX(b Buffer) Buffer
	// ParseRPCX merges the fields in b into the message, and returns how many
	// bytes it took, or a negative number that says what is wrong.
	ParseRPCX(b []byte, p Parser) int
	// InfoRPCX returns what is known of the message's type.
	InfoRPCX() Info
}

// Checker is a Message that may lack required fields.
type Checker interface {
	// CheckRPCX returns an error that names a required field that is not set.
	CheckRPCX() error
}

// Mode is how a message is put.
type Mode uint8

const (
	// Deterministic has maps put in the order of their keys.
	Deterministic Mode = 1 << iota
	// Partial accepts that required fields are missing.
	Partial
)

// MarshalOptions is how a message becomes bytes. The zero value is what the
// glue's own methods do.
type MarshalOptions struct {
	// Deterministic gives equal messages equal bytes, within one build of the
	// program: maps are put in the order of their keys. Default: false.
	Deterministic bool
	// AllowPartial accepts messages that lack required fields. Default: false.
	AllowPartial bool
}

// Append appends m's bytes to b. It fails, and returns b as it was, if a text is
// not UTF-8, if a required field is missing, and if m is seen to change
// meanwhile, which it must not.
func (o MarshalOptions) Append(b []byte, m Message) ([]byte, error) {
	return o.AppendSize(b, m, m.SizeRPCX())
}

// AppendSize is Append for a message whose size is known: size is what
// m.SizeRPCX returned just before.
func (o MarshalOptions) AppendSize(b []byte, m Message, size int) (out []byte, err error) {
	var mode Mode
	if o.Deterministic {
		mode |= Deterministic
	}
	if o.AllowPartial {
		mode |= Partial
	}
	return put(b, m, size, mode)
}

// put appends the size bytes of m to b.
func put(b []byte, m Message, size int, o Mode) (out []byte, err error) {
	n := len(b)
	if cap(b)-n < size {
		b = slices.Grow(b, size)
	}
	left := -1
	// Recover is not free, so it is called only if something failed.
	defer func() {
		if left != 0 {
			out, err = b[:n], failed(m, left, recover())
		}
	}()
	left = m.PutRPCX(NewBuffer(b[n:n+size], o)).left
	return b[:n+size], nil
}

// Append appends m's bytes to b; see [MarshalOptions.Append].
func Append(b []byte, m Message) ([]byte, error) { return put(b, m, m.SizeRPCX(), 0) }

// UnmarshalOptions is how bytes become a message. The zero value is what the
// glue's own methods do.
type UnmarshalOptions struct {
	// Alias lets the message refer to the bytes that it is parsed from, which
	// must not be changed afterwards. Default: false, everything is copied.
	Alias bool
	// Merge adds to what the message holds. Default: false, it is reset.
	Merge bool
	// AllowPartial accepts messages that lack required fields. Default: false.
	AllowPartial bool
}

// Unmarshal fills m from b. Nesting is limited to [MaxNesting]. If it fails, what
// m holds is undefined.
func (o UnmarshalOptions) Unmarshal(b []byte, m Message) error {
	if !o.Merge {
		m.Reset()
	}
	p := Parser{alias: copies, depth: MaxNesting}
	src := b
	if o.Alias {
		p.alias = aliasFrom(len(b))
	} else if m.InfoRPCX()&HasText != 0 && len(b) <= maxPiece {
		// One copy to alias is faster than one for each text.
		src, p.alias = bytes.Clone(b), 0
	}
	if i := m.ParseRPCX(src, p); i < 0 {
		return parseError(m, len(b), i)
	}
	if m.InfoRPCX()&MayLack != 0 && !o.AllowPartial {
		return m.(Checker).CheckRPCX()
	}
	return nil
}

// Unmarshal resets m and fills it from b, which it does not keep.
func Unmarshal(b []byte, m Message) error { return UnmarshalOptions{}.Unmarshal(b, m) }
